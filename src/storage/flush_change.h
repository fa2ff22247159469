// The commit of one flushed segment: see storage/flush.h.
#pragma once

#include <string>
#include <vector>

#include "cold/manifest.h"
#include "cold/segment_users.h"
#include "storage/segment_files.h"
#include "storage/segments_change.h"
#include "storage/write_watches.h"

namespace kalamdb::storage {

// The rows of a new segment, in the order of the file, and what lay between them.
struct FlushedRows {
  std::vector<std::string> keys;  // of segment_key(), ascending: the index is the position in the segment
  std::vector<Seq> seqs;
  cold::SegmentUsers users;
  std::vector<std::string> tombstone_keys;  // they stay hot
};

// What a manifest tells of a segment that was written of such rows.
cold::SegmentEntry segment_entry(uint64_t id, std::string storage_id, std::string path,
                                 const model::TableDefinition& table, const duck::WrittenSegment& written,
                                 const FlushedRows& rows, int64_t now_us);

class FlushChange final : public SegmentsChange {
 public:
  struct Input {
    model::TablePtr table;
    SegmentScope scope;
    hot::SnapshotPtr snapshot;
    uint64_t segments_version = 0;  // at which the segment's number was chosen
    cold::Manifest first;           // of a scope that has none: SegmentCache::first_manifest()
    cold::SegmentEntry segment;
    Location location;
    std::string filter_record;
  };

  FlushChange(Input input, FlushedRows rows);

  TableId table() const override { return input_.table->id; }
  uint32_t schema_version() const override { return input_.table->schema_version; }
  Seq snapshot_seq() const override { return input_.snapshot->seq(); }

  // Does outside the committer what can be done there: plans what to erase from the change index, and finds the rows
  // that have changed since the snapshot, so that few are left for apply() to find.
  Result<> prepare(const hot::Store& store, WriteWatches& watches);
  Result<> apply(const hot::Store& store, hot::Batch& batch) override;

 private:
  // Those up to `until` from the change index; how many there were.
  Result<size_t> collect_changes(const hot::Store& store, const hot::SnapshotPtr& until);
  void collect_watched();
  void add_changed(const UserId& user, std::string_view key);
  Result<> update_manifest(const hot::Store& store, hot::Batch& batch) const;
  void mark_changed(const hot::Store& store, hot::Batch& batch) const;
  void erase_rows(hot::Batch& batch) const;
  void erase_run(hot::Batch& batch, size_t begin, size_t end) const;
  // Erases the rows at these positions, which lie one after another and are all of one user.
  void erase_users_run(hot::Batch& batch, const UserId& user, size_t begin, size_t end) const;
  Result<> plan_changes(const hot::Store& store);
  Result<> plan_changes(const hot::Store& store, const UserId& user, PositionRange rows);

  Input input_;
  FlushedRows rows_;
  Seq caught_up_to_;
  std::shared_ptr<WriteWatch> watch_;
  std::vector<std::string> changed_keys_;
  // First and last `_seq` of a user's change-index entries that go, with none in between that stays.
  struct ErasedChanges {
    const UserId* user;  // of `rows_`
    Seq first;
    Seq last;
  };
  std::vector<ErasedChanges> erased_changes_;
};

}  // namespace kalamdb::storage
