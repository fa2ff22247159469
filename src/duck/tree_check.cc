#include "duck/tree_check.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "duck/allow_list.h"
#include "duckdb/parser/common_table_expression_info.hpp"
#include "duckdb/parser/expression/list.hpp"
#include "duckdb/parser/query_node/list.hpp"
#include "duckdb/parser/statement/list.hpp"
#include "duckdb/parser/tableref/list.hpp"

namespace kalamdb::duck {
namespace {

// Elements that the fixed-size arrays of one type may have together: a vector of 2,048 values of such a type is
// allocated at once.
constexpr uint64_t kMaxArrayElements = 8192;

std::string lower(const std::string& name) { return duckdb::StringUtil::Lower(name); }

}  // namespace

void TreeCheck::refuse(std::string what) {
  if (refusal_.empty()) refusal_ = std::move(what);
}

Result<> TreeCheck::run(const duckdb::SQLStatement& tree) {
  statement(tree);
  if (!refusal_.empty()) return fail(ErrorCode::kInvalidSql, std::move(refusal_));
  return {};
}

// Statements ----------------------------------------------------------------------------------------------------------

void TreeCheck::statement(const duckdb::SQLStatement& tree) {
  switch (tree.type) {
    case duckdb::StatementType::SELECT_STATEMENT:
      return query(*tree.Cast<duckdb::SelectStatement>().node);
    case duckdb::StatementType::INSERT_STATEMENT:
      return insert(tree.Cast<duckdb::InsertStatement>());
    case duckdb::StatementType::UPDATE_STATEMENT:
      return update(tree.Cast<duckdb::UpdateStatement>());
    case duckdb::StatementType::DELETE_STATEMENT:
      return remove(tree.Cast<duckdb::DeleteStatement>());
    case duckdb::StatementType::EXPLAIN_STATEMENT: {
      const auto& explained = *tree.Cast<duckdb::ExplainStatement>().stmt;
      if (explained.type == duckdb::StatementType::EXPLAIN_STATEMENT) return refuse("EXPLAIN of an EXPLAIN");
      return statement(explained);
    }
    case duckdb::StatementType::MULTI_STATEMENT:
      return refuse("PIVOT and UNPIVOT are not supported");
    default:
      return refuse("Unsupported statement type: " + duckdb::StatementTypeToString(tree.type));
  }
}

void TreeCheck::insert(const duckdb::InsertStatement& insert) {
  base_table(insert.catalog, insert.schema, insert.table, false);
  if (insert.column_order != duckdb::InsertColumnOrder::INSERT_BY_POSITION) {
    return refuse("INSERT … BY NAME is not supported: list the columns after the table name");
  }
  ctes(insert.cte_map);
  if (insert.select_statement) query(*insert.select_statement->node);
  if (insert.table_ref) {
    if (insert.table_ref->type != duckdb::TableReferenceType::BASE_TABLE || insert.table_ref->sample) {
      return refuse("INSERT INTO takes nothing but a table");
    }
    from(*insert.table_ref);
  }
  if (insert.on_conflict_info) on_conflict(*insert.on_conflict_info);
  all(insert.returning_list);
  scope_.clear();
}

void TreeCheck::on_conflict(const duckdb::OnConflictInfo& info) {
  if (info.action_type == duckdb::OnConflictAction::REPLACE) {
    return refuse("INSERT OR REPLACE is not supported: use ON CONFLICT (key) DO UPDATE SET …");
  }
  if (info.condition) return refuse("A WHERE on the target of ON CONFLICT is not supported");
  if (info.set_info) set_info(*info.set_info);
}

void TreeCheck::set_info(const duckdb::UpdateSetInfo& info) {
  optional(info.condition);
  all(info.expressions);
}

void TreeCheck::update(const duckdb::UpdateStatement& update) {
  if (update.table->type != duckdb::TableReferenceType::BASE_TABLE || update.table->sample) {
    return refuse("UPDATE takes nothing but a table");
  }
  from(*update.table);
  ctes(update.cte_map);
  if (update.from_table) from(*update.from_table);
  if (update.set_info) set_info(*update.set_info);
  all(update.returning_list);
  scope_.clear();
}

void TreeCheck::remove(const duckdb::DeleteStatement& remove) {
  if (remove.table->type != duckdb::TableReferenceType::BASE_TABLE || remove.table->sample) {
    return refuse("DELETE takes nothing but a table");
  }
  from(*remove.table);
  ctes(remove.cte_map);
  for (const auto& ref : remove.using_clauses) from(*ref);
  optional(remove.condition);
  all(remove.returning_list);
  scope_.clear();
}

// Queries -------------------------------------------------------------------------------------------------------------

void TreeCheck::ctes(const duckdb::CommonTableExpressionMap& map) {
  for (const auto& entry : map.map) {
    query(*entry.second->query->node);
    all(entry.second->key_targets);
    scope_.push_back(lower(entry.first));
  }
}

void TreeCheck::query(const duckdb::QueryNode& node) {
  if (!refusal_.empty()) return;
  const size_t outer_scope = scope_.size();
  // Besides its entries as CTENodes around this node, a WITH leaves them in the map; both are checked.
  ctes(node.cte_map);
  switch (node.type) {
    case duckdb::QueryNodeType::SELECT_NODE:
      select(node.Cast<duckdb::SelectNode>());
      break;
    case duckdb::QueryNodeType::SET_OPERATION_NODE: {
      const auto& operation = node.Cast<duckdb::SetOperationNode>();
      query(*operation.left);
      query(*operation.right);
      break;
    }
    case duckdb::QueryNodeType::RECURSIVE_CTE_NODE: {
      const auto& recursive = node.Cast<duckdb::RecursiveCTENode>();
      query(*recursive.left);
      scope_.push_back(lower(recursive.ctename));
      query(*recursive.right);
      all(recursive.key_targets);
      break;
    }
    case duckdb::QueryNodeType::CTE_NODE: {
      const auto& cte = node.Cast<duckdb::CTENode>();
      scope_.resize(outer_scope);
      query(*cte.query);
      scope_.push_back(lower(cte.ctename));
      if (cte.child) query(*cte.child);
      break;
    }
    default:
      refuse("This kind of query is not supported");
  }
  for (const auto& entry : node.modifiers) modifier(*entry);
  scope_.resize(outer_scope);
}

void TreeCheck::select(const duckdb::SelectNode& node) {
  all(node.select_list);
  if (node.from_table) from(*node.from_table);
  optional(node.where_clause);
  all(node.groups.group_expressions);
  optional(node.having);
  optional(node.qualify);
}

void TreeCheck::modifier(const duckdb::ResultModifier& modifier) {
  switch (modifier.type) {
    case duckdb::ResultModifierType::LIMIT_MODIFIER: {
      const auto& limit = modifier.Cast<duckdb::LimitModifier>();
      optional(limit.limit);
      return optional(limit.offset);
    }
    case duckdb::ResultModifierType::LIMIT_PERCENT_MODIFIER: {
      const auto& limit = modifier.Cast<duckdb::LimitPercentModifier>();
      optional(limit.limit);
      return optional(limit.offset);
    }
    case duckdb::ResultModifierType::ORDER_MODIFIER:
      return orders(modifier.Cast<duckdb::OrderModifier>().orders);
    case duckdb::ResultModifierType::DISTINCT_MODIFIER:
      return all(modifier.Cast<duckdb::DistinctModifier>().distinct_on_targets);
    default:
      refuse("This clause is not supported");
  }
}

// FROM ----------------------------------------------------------------------------------------------------------------

void TreeCheck::from(const duckdb::TableRef& ref) {
  if (!refusal_.empty()) return;
  switch (ref.type) {
    case duckdb::TableReferenceType::BASE_TABLE: {
      const auto& table = ref.Cast<duckdb::BaseTableRef>();
      if (table.at_clause) return refuse("Reading a table AT a version or time is not supported");
      return base_table(table.catalog_name, table.schema_name, table.table_name, true);
    }
    case duckdb::TableReferenceType::SUBQUERY:
      return query(*ref.Cast<duckdb::SubqueryRef>().subquery->node);
    case duckdb::TableReferenceType::JOIN:
      return join(ref.Cast<duckdb::JoinRef>());
    case duckdb::TableReferenceType::TABLE_FUNCTION:
      return table_function(ref.Cast<duckdb::TableFunctionRef>());
    case duckdb::TableReferenceType::EXPRESSION_LIST:
      for (const auto& row : ref.Cast<duckdb::ExpressionListRef>().values) all(row);
      return;
    case duckdb::TableReferenceType::EMPTY_FROM:
      return;
    case duckdb::TableReferenceType::PIVOT:
      return refuse("PIVOT and UNPIVOT are not supported");
    case duckdb::TableReferenceType::SHOW_REF:
      return refuse("DESCRIBE, SHOW and SUMMARIZE are not supported inside a query");
    default:
      return refuse("This kind of table reference is not supported");
  }
}

void TreeCheck::join(const duckdb::JoinRef& join) {
  from(*join.left);
  from(*join.right);
  optional(join.condition);
  all(join.duplicate_eliminated_columns);
}

void TreeCheck::base_table(const std::string& catalog, const std::string& schema, const std::string& name,
                           bool may_be_cte) {
  if (!catalog.empty() && lower(catalog) != "kalam") {
    return refuse(fmt::format("Catalog '{}' does not exist: tables are named namespace.table", catalog));
  }
  TableName table{lower(schema), lower(name)};
  if (table.schema.empty() && may_be_cte && std::ranges::find(scope_, table.name) != scope_.end()) return;
  if (table.schema == "pg_catalog" ||
      ((table.schema.empty() || table.schema == "main") && is_duckdb_view(table.name))) {
    return refuse(fmt::format("Table '{}' is not available: use information_schema or the system namespace", name));
  }
  if (std::ranges::find(tables_, table) == tables_.end()) tables_.push_back(std::move(table));
}

void TreeCheck::table_function(const duckdb::TableFunctionRef& ref) {
  if (!ref.function || ref.function->GetExpressionClass() != duckdb::ExpressionClass::FUNCTION) {
    return refuse("Only a function call may stand in FROM");
  }
  const auto& call = ref.function->Cast<duckdb::FunctionExpression>();
  if (!call.catalog.empty() || !call.schema.empty() || !is_allowed_table_function(lower(call.function_name))) {
    return refuse(fmt::format("Table function {}() is not available", call.function_name));
  }
  all(call.children);
  optional(call.filter);
  if (call.order_bys) orders(call.order_bys->orders);
  if (ref.subquery) query(*ref.subquery->node);
}

// Expressions ---------------------------------------------------------------------------------------------------------

void TreeCheck::optional(const duckdb::unique_ptr<duckdb::ParsedExpression>& expression) {
  if (expression) this->expression(*expression);
}

void TreeCheck::all(const Expressions& expressions) {
  for (const auto& entry : expressions) optional(entry);
}

void TreeCheck::orders(const duckdb::vector<duckdb::OrderByNode>& orders) {
  for (const auto& order : orders) optional(order.expression);
}

void TreeCheck::expression(const duckdb::ParsedExpression& expression) {
  if (!refusal_.empty()) return;
  switch (expression.GetExpressionClass()) {
    case duckdb::ExpressionClass::CONSTANT:
    case duckdb::ExpressionClass::DEFAULT:
    case duckdb::ExpressionClass::POSITIONAL_REFERENCE:
      return;
    case duckdb::ExpressionClass::COLUMN_REF:
      return column(expression.Cast<duckdb::ColumnRefExpression>());
    case duckdb::ExpressionClass::PARAMETER:
      return parameter(expression.Cast<duckdb::ParameterExpression>());
    case duckdb::ExpressionClass::COMPARISON: {
      const auto& comparison = expression.Cast<duckdb::ComparisonExpression>();
      optional(comparison.left);
      return optional(comparison.right);
    }
    case duckdb::ExpressionClass::CONJUNCTION:
      return all(expression.Cast<duckdb::ConjunctionExpression>().children);
    case duckdb::ExpressionClass::OPERATOR:
      return operation(expression.Cast<duckdb::OperatorExpression>());
    case duckdb::ExpressionClass::FUNCTION:
      return function(expression.Cast<duckdb::FunctionExpression>());
    case duckdb::ExpressionClass::WINDOW:
      return window(expression.Cast<duckdb::WindowExpression>());
    case duckdb::ExpressionClass::STAR:
      return star(expression.Cast<duckdb::StarExpression>());
    case duckdb::ExpressionClass::CAST: {
      const auto& cast = expression.Cast<duckdb::CastExpression>();
      type(cast.cast_type, 1);
      return optional(cast.child);
    }
    case duckdb::ExpressionClass::BETWEEN: {
      const auto& between = expression.Cast<duckdb::BetweenExpression>();
      optional(between.input);
      optional(between.lower);
      return optional(between.upper);
    }
    case duckdb::ExpressionClass::CASE: {
      const auto& cases = expression.Cast<duckdb::CaseExpression>();
      for (const auto& check : cases.case_checks) {
        optional(check.when_expr);
        optional(check.then_expr);
      }
      return optional(cases.else_expr);
    }
    case duckdb::ExpressionClass::COLLATE:
      return optional(expression.Cast<duckdb::CollateExpression>().child);
    case duckdb::ExpressionClass::LAMBDA: {
      const auto& lambda = expression.Cast<duckdb::LambdaExpression>();
      optional(lambda.lhs);
      optional(lambda.expr);
      return optional(lambda.copied_expr);
    }
    case duckdb::ExpressionClass::SUBQUERY: {
      const auto& subquery = expression.Cast<duckdb::SubqueryExpression>();
      optional(subquery.child);
      return query(*subquery.subquery->node);
    }
    default:
      refuse("This kind of expression is not supported");
  }
}

void TreeCheck::operation(const duckdb::OperatorExpression& expression) {
  switch (expression.GetExpressionType()) {
    case duckdb::ExpressionType::OPERATOR_NOT:
    case duckdb::ExpressionType::OPERATOR_IS_NULL:
    case duckdb::ExpressionType::OPERATOR_IS_NOT_NULL:
    case duckdb::ExpressionType::OPERATOR_COALESCE:
    case duckdb::ExpressionType::OPERATOR_NULLIF:
    case duckdb::ExpressionType::OPERATOR_UNPACK:
    case duckdb::ExpressionType::OPERATOR_TRY:
    case duckdb::ExpressionType::COMPARE_IN:
    case duckdb::ExpressionType::COMPARE_NOT_IN:
    case duckdb::ExpressionType::ARRAY_EXTRACT:
    case duckdb::ExpressionType::ARRAY_SLICE:
    case duckdb::ExpressionType::ARRAY_CONSTRUCTOR:
    case duckdb::ExpressionType::STRUCT_EXTRACT:
    case duckdb::ExpressionType::GROUPING_FUNCTION:
      return all(expression.children);
    default:
      refuse("This operator is not supported");
  }
}

void TreeCheck::function_name(const std::string& catalog, const std::string& schema, const std::string& name) {
  // The parser itself writes main.list_value() for [1, 2] and the like; main holds nothing but DuckDB's own functions.
  if (!catalog.empty() || (!schema.empty() && schema != "main")) {
    return refuse(fmt::format("Function {}.{}() is not available: functions are called by their name alone",
                              schema.empty() ? catalog : schema, name));
  }
  const std::string lower_name = lower(name);
  if (!is_allowed_function(lower_name)) return refuse(fmt::format("Function {}() is not available", name));
  if (lower_name == "current_user" || lower_name == "current_role") uses_current_user_ = true;
}

void TreeCheck::function(const duckdb::FunctionExpression& function) {
  function_name(function.catalog, function.schema, function.function_name);
  if (function.export_state) return refuse("EXPORT_STATE is not supported");
  all(function.children);
  optional(function.filter);
  if (function.order_bys) orders(function.order_bys->orders);
}

void TreeCheck::window(const duckdb::WindowExpression& window) {
  function_name(window.catalog, window.schema, window.function_name);
  all(window.children);
  all(window.partitions);
  orders(window.orders);
  optional(window.filter_expr);
  optional(window.start_expr);
  optional(window.end_expr);
  optional(window.offset_expr);
  optional(window.default_expr);
  orders(window.arg_orders);
}

// DuckDB reads some names as function calls when there is no column of that name.
void TreeCheck::column(const duckdb::ColumnRefExpression& column) {
  if (column.column_names.size() != 1) return;
  const std::string& name = column.column_names.front();
  constexpr size_t kShortestKeyword = 12;  // current_user
  if (name.size() < kShortestKeyword) return;
  const std::string lower_name = lower(name);
  if (is_catalog_keyword(lower_name)) return refuse(fmt::format("{} is not available", name));
  if (lower_name == "current_user" || lower_name == "current_role") uses_current_user_ = true;
}

void TreeCheck::star(const duckdb::StarExpression& star) {
  optional(star.expr);
  for (const auto& entry : star.replace_list) optional(entry.second);
}

void TreeCheck::parameter(const duckdb::ParameterExpression& parameter) {
  const std::string& name = parameter.identifier;
  uint32_t number = 0;
  const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), number);
  if (error != std::errc() || end != name.data() + name.size() || number == 0) {
    return refuse(fmt::format("Parameter ${} is not supported: parameters are numbered, $1, $2, …, or ?", name));
  }
  parameter_count_ = std::max(parameter_count_, number);
}

void TreeCheck::type(const duckdb::LogicalType& type, uint64_t array_elements) {
  switch (type.id()) {
    case duckdb::LogicalTypeId::USER: {
      const auto& catalog = duckdb::UserType::GetCatalog(type);
      const auto& schema = duckdb::UserType::GetSchema(type);
      const auto& name = duckdb::UserType::GetTypeName(type);
      if (!catalog.empty() || !schema.empty() || !is_allowed_type(lower(name))) {
        refuse(fmt::format("Type '{}' is not known", name));
      }
      return;
    }
    case duckdb::LogicalTypeId::LIST:
      return this->type(duckdb::ListType::GetChildType(type), array_elements);
    case duckdb::LogicalTypeId::ARRAY: {
      const uint64_t elements = array_elements * duckdb::ArrayType::GetSize(type);
      if (elements > kMaxArrayElements) {
        return refuse(fmt::format("An array type may have at most {} elements", kMaxArrayElements));
      }
      return this->type(duckdb::ArrayType::GetChildType(type), elements);
    }
    case duckdb::LogicalTypeId::MAP:
      this->type(duckdb::MapType::KeyType(type), array_elements);
      return this->type(duckdb::MapType::ValueType(type), array_elements);
    case duckdb::LogicalTypeId::STRUCT:
      for (const auto& child : duckdb::StructType::GetChildTypes(type)) this->type(child.second, array_elements);
      return;
    case duckdb::LogicalTypeId::UNION:
      for (const auto& child : duckdb::UnionType::CopyMemberTypes(type)) this->type(child.second, array_elements);
      return;
    case duckdb::LogicalTypeId::VARIANT:
      return refuse("Type 'VARIANT' is not known");
    default:
      return;
  }
}

}  // namespace kalamdb::duck
