// Manifests and deletion vectors whose records are damaged or lost, made again from what lies in the storages.
//
// Which files belong to a scope is told by manifest.json, and for those that are newer than it by what is in the
// directory; everything else is told by the files. Of several rows with one key the one with the newest `_seq` counts,
// hot rows and tombstones among them, so that what was updated or deleted since the last export stays so, unless VACUUM
// has removed the tombstone since: the log names the segments of which that may be so.
#pragma once

#include <functional>
#include <set>
#include <string>
#include <unordered_map>

#include "storage/segments_context.h"

namespace kalamdb::storage {

// The definitions of all tables and views, those that are being unregistered among them. Errors: kIo, kCorruption.
using StoredTables = std::unordered_map<TableId, model::TablePtr>;
Result<StoredTables> stored_tables(const hot::Store& store);

// The scopes of which the manifest, a deletion vector or a record of users cannot be read. Reads all of them.
Result<std::set<std::string>> damaged_scopes(const hot::Store& store);

// Until this has succeeded the scope must be among SegmentCache::damaged(), and nobody be writing segments of the
// table. `is_stopped` is asked from time to time; kUnavailable once it says so. Errors: kCorruption with what is
// missing and what to do, kUnavailable when a storage cannot be reached, kIo.
Result<> rebuild_scope(const SegmentsContext& context, const model::TablePtr& table, const SegmentScope& scope,
                       const std::function<bool()>& is_stopped);

}  // namespace kalamdb::storage
