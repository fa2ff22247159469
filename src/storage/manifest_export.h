// Writes manifest.json from the records.
#pragma once

#include "storage/segments_context.h"

namespace kalamdb::storage {

// Logs what fails: the record in the hot store is what counts, and the next export has all of it.
void export_manifest(const SegmentsContext& context, const model::TablePtr& table, const UserId& user);
// Of all scopes of the table of which rows in segments were deleted or updated since.
void export_changed_manifests(const SegmentsContext& context, const model::TablePtr& table);

}  // namespace kalamdb::storage
