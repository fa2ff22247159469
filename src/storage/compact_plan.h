// Which segments of a scope a compaction puts together.
#pragma once

#include <vector>

#include "cold/manifest.h"
#include "storage/segment_cache.h"
#include "storage/storage.h"

namespace kalamdb::storage {

// Indexes into `manifest.segments`, to be merged into as few segments of up to `max_segment_rows` as hold their rows;
// of one partition each. `deletions[i]` belongs to `manifest.segments[i]`. A segment with `first_new` as its number or
// a higher one was written by the same compaction, and is only merged if it is small.
std::vector<std::vector<size_t>> plan_compaction(const model::TableDefinition& table, const cold::Manifest& manifest,
                                                 const std::vector<DeletionsPtr>& deletions, CompactKind kind,
                                                 uint64_t max_segment_rows, uint64_t first_new,
                                                 std::string_view storage_id);

// Whether there are more small segments that could be merged than that, or one of which many rows are deleted;
// never if that is 0.
bool is_fragmented(const model::TableDefinition& table, const cold::Manifest& manifest,
                   const std::vector<DeletionsPtr>& deletions, uint64_t max_segment_rows, uint64_t max_small_segments);

// How many rows of a segment are not deleted.
uint64_t live_rows(const cold::SegmentEntry& segment, const DeletionsPtr& deletions);

}  // namespace kalamdb::storage
