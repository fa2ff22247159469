// A flush of one scope: its live hot rows go into segments, each of which is one file and one commit.
//
//   1. at a snapshot, the rows are written to batch-N.parquet.tmp in key order, synced, renamed, the directory synced;
//   2. one commit adds the segment to the manifest and removes the hot rows that have not changed since the snapshot.
//      A row that has changed stays hot, and its position goes into the new segment's deletion vector.
//
// Until 2 the file is garbage that the next start collects; after it the rows are in the segment only. Rows that
// changed are found in the change index before the commit, and those that changed behind that look in a watch on the
// table's commits, so that the committer has little to do. That needs every change to leave an entry: whatever erases
// hot rows or tombstones of a table otherwise, as retention does, must not run beside a flush of that table.
#pragma once

#include <span>

#include "storage/segments_context.h"
#include "storage/storage.h"

namespace kalamdb::storage {

// `scopes`, several at a time. Adds what it does to `result`, so that it is right also after an error,
// which is one scope's. Only one flush of a scope runs at a time. Errors: kIo, kCorruption, kConflict when the table
// was altered or dropped meanwhile, and the committer's.
Result<> flush_scopes(const SegmentsContext& context, const model::TablePtr& table, std::span<const ScopeUsers> scopes,
                      FlushResult& result);

// The record that keeps a table's directory settled.
RecordWrite directory_record(const Location& location);
// Before anything is written there: what a crash leaves of a table's first segment is found by the directory's record.
Result<> record_directory(const SegmentsContext& context, const Location& location);

}  // namespace kalamdb::storage
