// The simple shapes of statements that need no planner, read off DuckDB's tree. For src/duck only.
#pragma once

#include <optional>

#include "base/result.h"
#include "duck/statement.h"
#include "duckdb.hpp"
#include "duckdb/parser/statement/list.hpp"
#include "duckdb/parser/tableref/basetableref.hpp"

namespace kalamdb::duck {

std::optional<PointSelect> point_select_shape(const duckdb::SelectStatement& select);
InsertShape insert_shape(const duckdb::InsertStatement& insert);
ChangeShape update_shape(const duckdb::UpdateStatement& update);
ChangeShape delete_shape(const duckdb::DeleteStatement& remove);
// Without `uses_current_user`. Errors: kInvalidSql, as the protocol words them.
Result<LiveShape> live_shape(const duckdb::SelectStatement& select);

// The column of `table` that the expression is, written c, t.c, or ns.t.c; nullptr for everything else.
const std::string* column_of(const duckdb::ParsedExpression& expression, const duckdb::BaseTableRef& table);
// Whether it is * or t.* as it stands, without EXCLUDE and the like.
bool is_plain_star(const duckdb::ParsedExpression& expression, const duckdb::BaseTableRef& table);

// A value that needs no planner; nullopt for everything else.
std::optional<Operand> operand(const duckdb::ParsedExpression& expression);

}  // namespace kalamdb::duck
