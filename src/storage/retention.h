// Removal of tombstones that are past a table's retention, in batches of one commit each.
//
// Nobody is told: to readers the rows are gone already. What is lost is that a subscriber who resumes from before is
// told of the deletion, so the greatest `_seq` that went is recorded (RecordSpace::kRetention), and older cursors are
// refused. A flush relies on every change of hot rows being in the change index (storage/flush.h), so the caller holds
// the table's `segments` mutex for each batch.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "storage/segments_change.h"
#include "storage/segments_context.h"

namespace kalamdb::storage {

class TombstoneRemoval final : public SegmentsChange {
 public:
  // Of a bounded number of rows with after < _seq ≤ up_to of one scope, up to `max_rows` tombstones.
  static Result<std::shared_ptr<TombstoneRemoval>> prepare(const hot::Store& store, const model::TablePtr& table,
                                                           const UserId& user, Seq after, Seq up_to, uint64_t max_rows);

  // The last row that was looked at; nullopt when none was left.
  std::optional<Seq> last_seen() const { return last_seen_; }
  bool empty() const { return tombstones_.empty(); }
  // How many apply() has removed.
  uint64_t removed() const { return removed_; }

  TableId table() const override { return table_->id; }
  uint32_t schema_version() const override { return table_->schema_version; }
  Seq snapshot_seq() const override { return snapshot_seq_; }
  // Tombstones in whose place there is a row by then stay.
  Result<> apply(const hot::Store& store, hot::Batch& batch) override;

 private:
  struct Tombstone {
    std::string key;
    Seq seq = 0;
  };

  TombstoneRemoval(model::TablePtr table, UserId user, Seq snapshot_seq)
      : table_(std::move(table)), user_(std::move(user)), snapshot_seq_(snapshot_seq) {}

  model::TablePtr table_;
  UserId user_;
  Seq snapshot_seq_;
  std::optional<Seq> last_seen_;
  std::vector<Tombstone> tombstones_;
  uint64_t removed_ = 0;
};

// Removes those of one scope that were deleted behind `after` and up to `up_to`, until there have been `max_rows` (at
// least 1); returns how many. `after` is then where it goes on; nullopt when nothing is left. Errors: kConflict when
// the table was altered or dropped meanwhile, and the committer's.
Result<uint64_t> remove_tombstones(const SegmentsContext& context, TableMutexes& mutexes, const model::TablePtr& table,
                                   const UserId& user, std::optional<Seq>& after, Seq up_to, uint64_t max_rows);
// Whether it would remove any; if not, what is up to `up_to` need not be looked at again.
Result<bool> has_tombstones(const hot::Store& store, const model::TablePtr& table, const UserId& user, Seq after,
                            Seq up_to);

// Notes in a batch that tombstones up to this `_seq`, or more, have been removed from a scope.
Result<> put_removed_tombstones(const hot::Store& store, const std::string& scope, Seq up_to, hot::Batch& batch);
// The greatest `_seq` of a tombstone that was removed from a scope; 0 for none.
Result<Seq> removed_tombstones_up_to(const hot::Store& store, const std::string& scope,
                                     const hot::SnapshotPtr& snapshot);

}  // namespace kalamdb::storage
