// Statistics of columns and Bloom filters of segments whose manifest lacks them, made by reading the segments.
#pragma once

#include "storage/segments_context.h"
#include "storage/storage.h"

namespace kalamdb::storage {

// Adds what it does to `result`. The caller holds `mutexes.maintenance`. Errors: kIo, kCorruption, kConflict when the
// table was altered or dropped meanwhile, and the committer's.
Result<> analyze_scope(const SegmentsContext& context, TableMutexes& mutexes, const model::TablePtr& table,
                       const SegmentScope& scope, AnalyzeResult& result);

}  // namespace kalamdb::storage
