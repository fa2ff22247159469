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

duck::Segment to_segment(const cold::ManifestPtr& manifest, size_t index, const DeletionsPtr& deletions,
                         const std::string& base) {
  const cold::SegmentEntry& entry = manifest->segments[index];
  return {.id = entry.id,
          .path = base + "/" + entry.path,
          .row_count = entry.row_count,
          .size_bytes = entry.size_bytes,
          .schema_version = entry.schema_version,
          .min_seq = entry.min_seq,
          .max_seq = entry.max_seq,
          .min_key = entry.min_key,
          .max_key = entry.max_key,
          .columns = {manifest, &entry.columns},
          .deleted = deletions};
}

std::vector<duck::Segment> to_segments(const cold::ManifestPtr& manifest, const std::vector<DeletionsPtr>& deletions,
                                       const std::string& base) {
  std::vector<duck::Segment> segments;
  segments.reserve(manifest->segments.size());
  for (size_t i = 0; i < manifest->segments.size(); ++i) {
    segments.push_back(to_segment(manifest, i, deletions[i], base));
  }
  return segments;
}

}  // namespace kalamdb::storage
