// Removal of all rows that one user has in a table: of users who have gone. Nobody is told: no subscriber of theirs is
// left.
#pragma once

#include "storage/segments_context.h"
#include "storage/storage.h"

namespace kalamdb::storage {

// One commit that removes hot rows and what names the user's own segments, whose files go when nobody reads them any
// more; in segments that the user shares, the rows are marked as deleted. The manifest stays, without segments. The
// caller holds both mutexes of the table. Running it again is harmless.
Result<UserRemoval> remove_user_rows(const SegmentsContext& context, const model::TablePtr& table, const UserId& user);

}  // namespace kalamdb::storage
