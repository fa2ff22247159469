// The live rows of a scope, cut into segments.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "model/row_codec.h"
#include "storage/flush_change.h"
#include "storage/partition.h"

namespace kalamdb::storage {

// Hands out a scope's live rows in portions of one segment, of one partition each, and takes notes of them. Its `rows`
// say whose they are.
class FlushCursor final : public model::RowCursor {
 public:
  FlushCursor(const model::TablePtr& table, std::unique_ptr<model::RowCursor> rows, uint64_t max_segment_rows)
      : table_(table), partitions_(*table_), rows_(std::move(rows)), max_segment_rows_(max_segment_rows) {}

  // Begins the next portion; false if there are no rows left.
  Result<bool> begin_segment() {
    notes_ = {};
    if (!waiting_) {
      KALAM_TRY(waiting_, next_live());
    }
    if (waiting_) partition_ = partitions_.of(waiting_->key);
    return waiting_.has_value();
  }

  Result<std::optional<model::RowRecord>> next() override {
    std::optional<model::RowRecord> record = std::exchange(waiting_, std::nullopt);
    if (!record) {
      if (notes_.keys.size() >= max_segment_rows_) return std::nullopt;
      KALAM_TRY(record, next_live());
      if (record && partitions_.of(record->key) != partition_) {
        waiting_ = record;
        return std::nullopt;
      }
    }
    if (record) {
      notes_.keys.push_back(segment_key(*table_, *record->user, record->key));
      notes_.seqs.push_back(record->seq);
      notes_.users.add_row(*record->user);
    }
    return record;
  }

  FlushedRows take_notes() { return std::move(notes_); }

 private:
  Result<std::optional<model::RowRecord>> next_live() {
    while (!at_end_) {
      KALAM_TRY(auto record, rows_->next());
      if (!record) break;
      if (!record->deleted) return record;
      notes_.tombstone_keys.push_back(segment_key(*table_, *record->user, record->key));
    }
    at_end_ = true;
    return std::nullopt;
  }

  model::TablePtr table_;
  Partitions partitions_;
  std::string partition_;
  std::unique_ptr<model::RowCursor> rows_;
  uint64_t max_segment_rows_;
  bool at_end_ = false;
  std::optional<model::RowRecord> waiting_;
  FlushedRows notes_;
};

}  // namespace kalamdb::storage
