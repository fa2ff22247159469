// Stored rows as values.
#pragma once

#include "model/row_codec.h"

namespace kalamdb::query {

// What `row`, encoded by model::encode_row(), holds: `result[i]` belongs to `table.columns[i]`. `_seq` and `_deleted`,
// which are not within it, are those given. Errors: kCorruption.
Result<model::Row> decode_row(const model::TableDefinition& table, std::string_view row, Seq seq, bool deleted);

}  // namespace kalamdb::query
