// The commit of one flushed segment: see storage/flush.h.
#pragma once

#include <string>
#include <vector>

#include "cold/manifest.h"
#include "storage/segments_change.h"

namespace kalamdb::storage {

// The rows of a new segment, in the order of the file, and what lay between them.
struct FlushedRows {
  std::vector<std::string> keys;  // ascending: the index is the position in the segment
  std::vector<Seq> seqs;
  // Tombstones stay hot.
  std::vector<std::string> tombstone_keys;
  std::vector<Seq> tombstone_seqs;
  // The segment has all live rows of its scope, so that apart from the tombstones above all change-index entries up to
  // the snapshot are its own.
  bool whole_scope = false;
};

class FlushChange final : public SegmentsChange {
 public:
  struct Input {
    model::TablePtr table;
    UserId user;
    std::string scope;
    hot::SnapshotPtr snapshot;
    uint64_t segments_version = 0;  // at which the segment's number was chosen
    cold::SegmentEntry segment;
    std::string scope_directory;
    std::string table_directory;
    std::string filter_record;
  };

  FlushChange(Input input, FlushedRows rows);

  TableId table() const override { return input_.table->id; }
  uint32_t schema_version() const override { return input_.table->schema_version; }
  Seq snapshot_seq() const override { return input_.snapshot->seq(); }

  // Finds the rows that have changed since the snapshot, so that few are left for apply() to find.
  Result<> catch_up(const hot::Store& store);
  Result<> apply(const hot::Store& store, hot::Batch& batch) override;

 private:
  Result<size_t> collect_changes(const hot::Store& store, const hot::SnapshotPtr& until);
  Result<> update_manifest(const hot::Store& store, hot::Batch& batch) const;
  void mark_changed(const hot::Store& store, hot::Batch& batch) const;
  void erase_rows(hot::Batch& batch) const;
  void erase_run(hot::Batch& batch, size_t begin, size_t end) const;
  void erase_changes(hot::Batch& batch) const;

  Input input_;
  FlushedRows rows_;
  Seq caught_up_to_;
  std::vector<std::string> changed_keys_;
};

}  // namespace kalamdb::storage
