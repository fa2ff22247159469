// The commit of one step of a compaction: see storage/compact.h.
#pragma once

#include <string>
#include <vector>

#include "cold/manifest.h"
#include "storage/segment_cache.h"
#include "storage/segment_files.h"
#include "storage/segments_change.h"

namespace kalamdb::storage {

// A segment that is replaced.
struct CompactedSegment {
  static constexpr uint32_t kDropped = UINT32_MAX;

  uint64_t id = 0;
  DeletionsPtr deletions;  // at the snapshot; nullptr: none
  // For each of its positions the place of the row among all that were written, or kDropped.
  std::vector<uint32_t> places;
};

class CompactChange final : public SegmentsChange {
 public:
  struct Input {
    model::TablePtr table;
    std::string scope;
    hot::SnapshotPtr snapshot;
    std::vector<CompactedSegment> sources;
    std::vector<cold::SegmentEntry> outputs;  // rows go into them one after another
    Location location;                        // of `outputs`
    std::vector<std::string> filter_records;  // of `outputs`
    std::vector<std::string> users_records;   // of `outputs`; "" outside shards
    int64_t now_us = 0;
  };

  explicit CompactChange(Input input);

  TableId table() const override { return input_.table->id; }
  uint32_t schema_version() const override { return input_.table->schema_version; }
  Seq snapshot_seq() const override { return input_.snapshot->seq(); }

  // Does outside the committer what can be done there: carries over what was deleted since the snapshot, so that little
  // is left for apply().
  Result<> prepare(const hot::Store& store);
  Result<> apply(const hot::Store& store, hot::Batch& batch) override;

 private:
  Result<> carry_deletions(const hot::Store& store);
  Result<> carry(CompactedSegment& source, std::string_view record);
  Result<> update_manifest(const hot::Store& store, hot::Batch& batch) const;

  Input input_;
  std::vector<Seq> seen_;             // of each source, the version of its deletions that is carried over; 0: none
  std::vector<uint64_t> first_rows_;  // of each output, the place of its first row
  std::vector<PositionSet> carried_;  // of each output
};

}  // namespace kalamdb::storage
