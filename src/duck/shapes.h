// The simple shapes of statements that need no planner, read off DuckDB's tree. For src/duck only.
#pragma once

#include <optional>

#include "base/result.h"
#include "duck/statement.h"
#include "duckdb.hpp"
#include "duckdb/parser/query_node/select_node.hpp"
#include "duckdb/parser/result_modifier.hpp"
#include "duckdb/parser/statement/list.hpp"
#include "duckdb/parser/tableref/basetableref.hpp"

namespace kalamdb::duck {

std::optional<PointSelect> point_select_shape(const duckdb::SelectStatement& select);
InsertShape insert_shape(const duckdb::InsertStatement& insert);
ChangeShape update_shape(const duckdb::UpdateStatement& update);
ChangeShape delete_shape(const duckdb::DeleteStatement& remove);

// Of a FROM that is one table and nothing else, the table; else nullptr.
const duckdb::BaseTableRef* plain_table(const duckdb::TableRef* ref);
TableName name_of(const duckdb::BaseTableRef& table);
// GROUP BY in any form.
bool has_groups(const duckdb::SelectNode& node);
// The number that a LIMIT without OFFSET gives; nullopt for everything else.
std::optional<int64_t> plain_limit(const duckdb::ResultModifier& modifier);

// The column of `table` that the expression is, written c, t.c, or ns.t.c; nullptr for everything else.
const std::string* column_of(const duckdb::ParsedExpression& expression, const duckdb::BaseTableRef& table);
// Whether it is * or t.* as it stands, without EXCLUDE and the like.
bool is_plain_star(const duckdb::ParsedExpression& expression, const duckdb::BaseTableRef& table);

// A value that needs no planner; nullopt for everything else.
std::optional<Operand> operand(const duckdb::ParsedExpression& expression);

}  // namespace kalamdb::duck
