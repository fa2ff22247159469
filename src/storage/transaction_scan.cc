#include "storage/transaction_scan.h"

namespace kalamdb::storage {
namespace {

using OwnIterator = std::map<std::string, OwnRow, std::less<>>::const_iterator;

// Merges two runs of rows in key order; of rows with the same key the own one counts.
class OverlayCursor final : public model::RowCursor {
 public:
  OverlayCursor(std::unique_ptr<model::RowCursor> base, OwnIterator begin, OwnIterator end, bool with_tombstones)
      : base_(std::move(base)), own_(begin), end_(end), with_tombstones_(with_tombstones) {}

  Result<std::optional<model::RowRecord>> next() override {
    while (true) {
      if (base_is_used_) {
        KALAM_TRY(base_record_, base_->next());
        base_is_used_ = false;
      }
      if (own_ == end_ || (base_record_ && base_record_->key < own_->first)) {
        base_is_used_ = true;
        return base_record_;
      }
      if (base_record_ && base_record_->key == own_->first) base_is_used_ = true;
      const auto& [key, row] = *own_++;
      const bool is_tombstone = !row.live && row.base_seq != 0;
      if (row.live || (with_tombstones_ && is_tombstone)) {
        return model::RowRecord{.seq = row.seq, .deleted = !row.live, .key = key, .row = row.row};
      }
    }
  }

 private:
  std::unique_ptr<model::RowCursor> base_;
  OwnIterator own_;
  OwnIterator end_;
  bool with_tombstones_;
  std::optional<model::RowRecord> base_record_;
  bool base_is_used_ = true;
};

}  // namespace

TransactionScan::TransactionScan(std::shared_ptr<const duck::TableScan> base, const OwnRows& own)
    : base_(std::move(base)), own_(own), segments_(base_->segments()) {
  std::vector<uint32_t> positions;
  for (duck::Segment& segment : segments_) {
    const auto replaced = own_.replaced.find(segment.id);
    if (replaced == own_.replaced.end()) continue;
    auto deleted = segment.deleted ? std::make_shared<PositionSet>(*segment.deleted) : std::make_shared<PositionSet>();
    positions.clear();
    replaced->second.append_range(0, static_cast<uint32_t>(segment.row_count), positions);
    for (const uint32_t position : positions) deleted->add(position);
    segment.deleted = std::move(deleted);
  }
}

std::unique_ptr<model::RowCursor> TransactionScan::hot(const duck::KeyRange& range, bool with_tombstones) const {
  const auto begin = own_.rows.lower_bound(range.begin);
  const bool is_empty = !range.end.empty() && range.end <= range.begin;
  const auto end = is_empty ? begin : range.end.empty() ? own_.rows.end() : own_.rows.lower_bound(range.end);
  return std::make_unique<OverlayCursor>(base_->hot(range, with_tombstones), begin, end, with_tombstones);
}

}  // namespace kalamdb::storage
