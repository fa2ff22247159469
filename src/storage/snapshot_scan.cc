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

std::optional<uint64_t> SnapshotScan::known_hot_rows() const {
  if (expired_up_to_ != 0) return std::nullopt;
  return counts_.find(table_->id, user_, snapshot_->seq());
}

void SnapshotScan::learn_hot_rows(uint64_t rows) const {
  if (expired_up_to_ == 0) counts_.learn(table_->id, user_, snapshot_->seq(), rows);
}

}  // namespace kalamdb::storage
