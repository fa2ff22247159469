#include "storage/snapshot_scan.h"

namespace kalamdb::storage {
namespace {

class UnexpiredCursor final : public model::RowCursor {
 public:
  UnexpiredCursor(std::unique_ptr<model::RowCursor> rows, Seq expired_up_to)
      : rows_(std::move(rows)), expired_up_to_(expired_up_to) {}

  Result<std::optional<model::RowRecord>> next() override {
    while (true) {
      KALAM_TRY(auto record, rows_->next());
      if (!record || record->seq > expired_up_to_) return record;
    }
  }

 private:
  std::unique_ptr<model::RowCursor> rows_;
  Seq expired_up_to_;
};

}  // namespace

std::unique_ptr<model::RowCursor> SnapshotScan::hot(const duck::KeyRange& range, bool with_tombstones) const {
  auto rows = store_.scan(table_->id, user_, range.begin, range.end, with_tombstones, snapshot_);
  if (expired_up_to_ == 0) return rows;
  return std::make_unique<UnexpiredCursor>(std::move(rows), expired_up_to_);
}

}  // namespace kalamdb::storage
