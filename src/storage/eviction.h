// Removes rows of STREAM tables that are to go: those past their time to live, and the oldest ones of a table that is
// larger than its bound. Nobody is told: to readers the first ones are gone already, and the others just end.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "storage/segments_change.h"
#include "storage/storage.h"

namespace kalamdb::storage {

// The greatest `_seq` of a row that is to go at `now_us`; 0 if none is. Reads the table if its size is bounded.
Result<Seq> evictable_up_to(const hot::Store& store, const model::TableDefinition& table, int64_t now_us);

// Rows that are erased unless they are written to before that.
class Eviction final : public SegmentsChange {
 public:
  // Up to `max_rows` of the rows with a `_seq` up to `up_to`, the oldest of each user first. `writes` watches the table
  // since before the snapshot.
  static Result<std::shared_ptr<Eviction>> prepare(const hot::Store& store, const model::TablePtr& table,
                                                   std::shared_ptr<WriteWatch> writes, Seq up_to, uint64_t max_rows);

  size_t row_count() const { return rows_.size(); }

  TableId table() const override { return table_->id; }
  uint32_t schema_version() const override { return table_->schema_version; }
  Seq snapshot_seq() const override { return snapshot_seq_; }
  Result<> apply(const hot::Store& store, hot::Batch& batch) override;

 private:
  struct Row {
    UserId user;
    std::string key;
    Seq seq = 0;
  };

  Eviction(model::TablePtr table, std::shared_ptr<WriteWatch> writes, Seq snapshot_seq)
      : table_(std::move(table)), writes_(std::move(writes)), snapshot_seq_(snapshot_seq) {}

  model::TablePtr table_;
  std::shared_ptr<WriteWatch> writes_;
  Seq snapshot_seq_;
  std::vector<Row> rows_;
};

}  // namespace kalamdb::storage
