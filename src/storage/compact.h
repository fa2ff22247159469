// Compaction of one scope: small segments, and segments of which many rows are deleted, become fewer full ones.
//
//   1. at a snapshot, segments are chosen and numbers for the new ones reserved in the manifest, so that flushes go on;
//   2. their live rows are merged in key order and written as the current schema has them, each new file synced under
//      its final name;
//   3. one commit puts the new segments into the manifest in place of the old ones. What was deleted of the old ones
//      since the snapshot goes into the new ones' deletion vectors;
//   4. the old files go when no snapshot is left from before 3.
//
// Until 3 the new files are garbage that the next start collects, after it the old ones are. Rows keep their `_seq`, so
// nobody sees a change. A writer that has read where a row lay finds the segment gone at its commit (kConflict) and
// reads again.
#pragma once

#include "storage/segments_context.h"
#include "storage/storage.h"

namespace kalamdb::storage {

// Adds what it does to `result`, so that it is right also after an error. One compaction of a table runs at a time: the
// caller holds `mutexes.maintenance`. Errors: kIo, kCorruption, kConflict when the table was altered or dropped
// meanwhile, and the committer's.
Result<> compact_scope(const SegmentsContext& context, TableMutexes& mutexes, const model::TablePtr& table,
                       const SegmentScope& scope, CompactKind kind, CompactResult& result);

// Whether the scope has so many small segments, or one of which so many rows are deleted, that a compaction is due.
Result<bool> needs_compaction(const SegmentsContext& context, const model::TablePtr& table, const SegmentScope& scope);

}  // namespace kalamdb::storage
