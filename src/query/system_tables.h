// The computed tables of `system` and `information_schema`, one row each in a table of them.
#pragma once

#include <optional>
#include <string_view>

#include "duck/source.h"
#include "query/command.h"

namespace kalamdb::query {

// The rows that `caller` may see of a system table; nullopt where there is no such table. Errors: kPermissionDenied.
Result<std::optional<duck::TableSource>> open_system_table(const Services& services, const Caller& caller,
                                                           std::string_view namespace_id, std::string_view name);
// The definition by which a live query knows a system table, which never changes: with `_seq` and an id that no other
// table has. Errors: kTableNotFound; kPermissionDenied for roles other than dba and system; kInvalidOperation for one
// that shows more than records.
Result<model::TablePtr> find_subscribed_system_table(const Caller& caller, std::string_view namespace_id,
                                                     std::string_view name);
// The definition and rows of one, by its name; for SHOW statements. Asserts that it exists.
Result<StatementResult> select_system_table(const Services& services, const Caller& caller,
                                            std::string_view namespace_id, std::string_view name);

// A column's default as DESCRIBE and information_schema show it: `SNOWFLAKE_ID()`, `'x'`, `42`, `NULL`; NULL for none.
model::Value default_text(const model::ColumnDefinition& column);

// Whether the role may read it; false where there is no such table.
bool may_read_system_table(std::string_view namespace_id, std::string_view name, catalog::Role role);

// True for `system` and `information_schema`.
bool is_system_namespace(std::string_view namespace_id);

}  // namespace kalamdb::query
