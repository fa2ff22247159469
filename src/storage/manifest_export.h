// Writes manifest.json from the records.
#pragma once

#include "storage/segments_context.h"

namespace kalamdb::storage {

// False when it failed, which the log tells: the record in the hot store is what counts, and the scope stays noted as
// changed, so that the next export has all of it.
bool export_manifest(const SegmentsContext& context, const model::TablePtr& table, const SegmentScope& scope);
// Of all scopes of the table of which rows in segments were deleted or updated since.
// False when one failed, behind which no other is tried.
bool export_changed_manifests(const SegmentsContext& context, const model::TablePtr& table);

}  // namespace kalamdb::storage
