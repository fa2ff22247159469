// What is said of a primary key that may not be inserted, in one wording wherever it is found.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "model/table.h"

namespace kalamdb::storage {

// `where` the row lies that has the key: "hot storage" or "cold storage: app/rooms/batch-0.parquet". kAlreadyExists.
Error key_taken(const model::TableDefinition& table, std::string_view key, std::string_view where);
// One statement inserts the key twice. kAlreadyExists.
Error repeated_key(const model::TableDefinition& table, std::string_view key);

}  // namespace kalamdb::storage
