// What the alterations of a column share. For alterations only.
#pragma once

#include "query/alteration.h"

namespace kalamdb::query {

std::unexpected<Error> refuse(std::string message);
// 'column'
std::string named(const std::string& column);

// The column of `table` that is to be altered; system columns are refused: "Cannot {action} column 'c': system column
// cannot be {refusal}".
Result<model::ColumnDefinition*> find_column(model::TableDefinition& table, const std::string& name, const char* action,
                                             const char* refusal);
Result<model::ColumnDefinition*> column_to_modify(model::TableDefinition& table, const std::string& name);
// A CHECK is kept as text, which would not follow a change of its columns.
Result<> check_unconstrained(const model::TableDefinition& table, const model::ColumnDefinition& column);
// The next slot of the table.
Result<uint32_t> new_slot(const model::TableDefinition& table);
// SET and DROP NOT NULL on a column that may be altered. Returns what existing rows must meet, if anything.
Result<std::function<Result<>(const ExistingRows&)>> set_nullable(model::ColumnDefinition& column, bool nullable);

}  // namespace kalamdb::query
