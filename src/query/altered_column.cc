#include "query/altered_column.h"

#include <algorithm>

#include "model/names.h"

namespace kalamdb::query {

using model::ColumnDefinition;
using model::TableDefinition;

std::unexpected<Error> refuse(std::string message) { return fail(ErrorCode::kInvalidOperation, std::move(message)); }

std::string named(const std::string& column) { return "'" + column + "'"; }

Result<ColumnDefinition*> find_column(TableDefinition& table, const std::string& name, const char* action,
                                      const char* refusal) {
  const ColumnDefinition* column = table.find_column(name);
  if (model::is_reserved_column(name)) {
    return refuse(std::string("Cannot ") + action + " column " + named(name) + ": system column cannot be " + refusal);
  }
  if (column == nullptr) return refuse("Column " + named(name) + " does not exist");
  return const_cast<ColumnDefinition*>(column);
}

Result<ColumnDefinition*> column_to_modify(TableDefinition& table, const std::string& name) {
  return find_column(table, name, "modify", "altered");
}

Result<> check_unconstrained(const TableDefinition& table, const ColumnDefinition& column) {
  for (const auto& check : table.checks) {
    if (std::ranges::find(check.ordinals, column.ordinal) == check.ordinals.end()) continue;
    return refuse("Column " + named(column.name) + " is used by the CHECK constraint '" + check.name +
                  "'; drop the constraint first");
  }
  return {};
}

Result<uint32_t> new_slot(const TableDefinition& table) {
  const uint32_t slot = table.max_slot() + 1;
  if (slot > UINT16_MAX)
    return refuse("Table " + table.qualified_name() + " has been altered too often; make a new one");
  return slot;
}

Result<std::function<Result<>(const ExistingRows&)>> set_nullable(ColumnDefinition& column, bool nullable) {
  if (nullable && column.is_primary_key()) {
    return refuse("Column " + named(column.name) + " is a PRIMARY KEY and cannot be nullable");
  }
  column.nullable = nullable;
  if (nullable) return nullptr;
  return [name = column.name](const ExistingRows& rows) -> Result<> {
    KALAM_TRY(const bool has_null, rows.any(quoted(name) + " IS NULL"));
    if (has_null) return refuse("Column " + named(name) + " has rows with NULL; UPDATE them before SET NOT NULL");
    return {};
  };
}

}  // namespace kalamdb::query
