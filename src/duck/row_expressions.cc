#include "duck/row_expressions.h"

#include <fmt/format.h>

#include "duck/allow_list.h"
#include "duck/dml.h"
#include "duck/shapes.h"
#include "duckdb/parser/expression/list.hpp"
#include "duckdb/parser/parsed_expression_iterator.hpp"
#include "duckdb/parser/query_node/list.hpp"
#include "duckdb/parser/statement/list.hpp"
#include "duckdb/parser/tableref/list.hpp"

namespace kalamdb::duck {

using duckdb::make_uniq;

namespace {

using Expression = duckdb::ParsedExpression;
using ExpressionPtr = duckdb::unique_ptr<Expression>;

// The number of each row, since a query may give its rows in any order. No table has a column of this name.
constexpr const char* kRowColumn = "_row";
// In front of the names of the columns that are excluded.c in SQL.
constexpr const char* kExcluded = "excluded.";

std::string lower(const std::string& name) { return duckdb::StringUtil::Lower(name); }

std::unexpected<Error> refused(std::string message) { return fail(ErrorCode::kInvalidSql, std::move(message)); }

bool known_at_commit(const std::string& column) {
  return duckdb::StringUtil::CIEquals(column, std::string(model::kSeqColumn)) ||
         duckdb::StringUtil::CIEquals(column, std::string(model::kUpdatedColumn));
}

// The table that an INSERT, UPDATE or DELETE writes to, as its expressions may name it.
duckdb::unique_ptr<duckdb::BaseTableRef> target_of(const duckdb::SQLStatement& change) {
  auto target = make_uniq<duckdb::BaseTableRef>();
  const auto take = [&](const duckdb::TableRef& written) {
    const auto& table = written.Cast<duckdb::BaseTableRef>();
    target->schema_name = table.schema_name;
    target->table_name = table.table_name;
    target->alias = table.alias;
  };
  if (change.type == duckdb::StatementType::UPDATE_STATEMENT) {
    take(*change.Cast<duckdb::UpdateStatement>().table);
  } else if (change.type == duckdb::StatementType::DELETE_STATEMENT) {
    take(*change.Cast<duckdb::DeleteStatement>().table);
  } else {
    const auto& insert = change.Cast<duckdb::InsertStatement>();
    target->schema_name = insert.schema;
    target->table_name = insert.table;
    if (insert.table_ref) target->alias = insert.table_ref->alias;
  }
  return target;
}

// nullptr for statements that have no such list.
const duckdb::vector<ExpressionPtr>* returning_list(const duckdb::SQLStatement& change) {
  switch (change.type) {
    case duckdb::StatementType::INSERT_STATEMENT:
      return &change.Cast<duckdb::InsertStatement>().returning_list;
    case duckdb::StatementType::UPDATE_STATEMENT:
      return &change.Cast<duckdb::UpdateStatement>().returning_list;
    case duckdb::StatementType::DELETE_STATEMENT:
      return &change.Cast<duckdb::DeleteStatement>().returning_list;
    default:
      return nullptr;
  }
}

// What an expression over one row may not hold, whatever its columns are. Its subqueries are queries like any other.
Result<> check_function(const std::string& name, const char* clause) {
  const std::string function = lower(name);
  if (is_aggregate_function(function)) {
    return refused(fmt::format("Aggregate functions are not allowed in {}: {}()", clause, function));
  }
  if (function == "unnest" || function == "unlist") {
    return refused(fmt::format("Functions that return several rows are not allowed in {}: {}()", clause, function));
  }
  return {};
}

Result<> check_row_expression(const Expression& expression, const char* clause) {
  switch (expression.GetExpressionClass()) {
    case duckdb::ExpressionClass::SUBQUERY:
      break;  // of its children, the left side of IN
    case duckdb::ExpressionClass::WINDOW:
      return refused(fmt::format("Window functions are not allowed in {}", clause));
    case duckdb::ExpressionClass::STAR:
      return refused(fmt::format("In {}, * stands on its own and takes no EXCLUDE, REPLACE or COLUMNS", clause));
    case duckdb::ExpressionClass::FUNCTION:
      KALAM_CHECK(check_function(expression.Cast<duckdb::FunctionExpression>().function_name, clause));
      break;
    default:
      break;
  }
  Result<> outcome;
  duckdb::ParsedExpressionIterator::EnumerateChildren(expression, [&](const Expression& child) {
    if (outcome) outcome = check_row_expression(child, clause);
  });
  return outcome;
}

Result<> check_returned_columns(const Expression& expression, const duckdb::BaseTableRef& table) {
  if (expression.GetExpressionClass() == duckdb::ExpressionClass::COLUMN_REF) {
    const auto& names = expression.Cast<duckdb::ColumnRefExpression>().column_names;
    if (known_at_commit(names.back())) {
      return refused(fmt::format(
          "RETURNING gives {0} as it is, not within an expression: it is known only once the rows are committed",
          lower(names.back())));
    }
    // A namespace in front is looked at where the name is resolved.
    const bool qualified = names.size() > 2 && table.alias.empty() &&
                           duckdb::StringUtil::CIEquals(names[names.size() - 2], table.table_name);
    if (names.size() > 1 && !qualified && column_of(expression, table) == nullptr) {
      return refused(fmt::format("RETURNING shows columns of the table that is written; '{}' is not one of them",
                                 duckdb::StringUtil::Join(names, ".")));
    }
    return {};
  }
  Result<> outcome;
  duckdb::ParsedExpressionIterator::EnumerateChildren(expression, [&](const Expression& child) {
    if (outcome) outcome = check_returned_columns(child, table);
  });
  return outcome;
}

// excluded.c → table."excluded.c", in subqueries too.
void rename_excluded(Expression& expression, const std::string& table) {
  if (expression.GetExpressionClass() == duckdb::ExpressionClass::COLUMN_REF) {
    auto& names = expression.Cast<duckdb::ColumnRefExpression>().column_names;
    if (names.size() == 2 && lower(names[0]) == "excluded") names = {table, kExcluded + names[1]};
    return;
  }
  const auto rename = [&](ExpressionPtr& child) { rename_excluded(*child, table); };
  if (expression.GetExpressionClass() == duckdb::ExpressionClass::SUBQUERY) {
    auto& query = *expression.Cast<duckdb::SubqueryExpression>().subquery->node;
    duckdb::ParsedExpressionIterator::EnumerateQueryNodeChildren(query, rename);
  }
  duckdb::ParsedExpressionIterator::EnumerateChildren(expression, rename);
}

// A table that is there for one query only; its columns get their ordinals here.
class RowTable {
 public:
  explicit RowTable(const model::TableDefinition& like) : table_(std::make_shared<model::TableDefinition>()) {
    table_->namespace_id = like.namespace_id;
    table_->name = like.name;
  }

  void add(std::string name, const model::DataType& type) {
    table_->columns.push_back(
        {.name = std::move(name), .ordinal = static_cast<uint32_t>(table_->columns.size()) + 1, .type = type});
  }

  // Each row gets its number as the last cell.
  RowQuery query(duckdb::unique_ptr<duckdb::BaseTableRef> target, std::vector<ExpressionPtr> expressions,
                 std::vector<model::Row> rows, const duckdb::CommonTableExpressionMap& ctes) && {
    add(kRowColumn, {.tag = model::TypeTag::kBigInt});
    for (size_t i = 0; i < rows.size(); ++i) rows[i].emplace_back(static_cast<int64_t>(i));
    auto select = make_uniq<duckdb::SelectNode>();
    select->select_list.push_back(make_uniq<duckdb::ColumnRefExpression>(kRowColumn));
    for (auto& expression : expressions) select->select_list.push_back(std::move(expression));
    RowQuery result;
    result.given = target.get();
    result.rows = {table_, std::make_shared<const std::vector<model::Row>>(std::move(rows))};
    select->from_table = std::move(target);
    result.query = with_ctes(std::move(select), ctes.Copy());
    return result;
  }

 private:
  std::shared_ptr<model::TableDefinition> table_;
};

const duckdb::CommonTableExpressionMap& ctes_of(const duckdb::SQLStatement& change) {
  switch (change.type) {
    case duckdb::StatementType::UPDATE_STATEMENT:
      return change.Cast<duckdb::UpdateStatement>().cte_map;
    case duckdb::StatementType::DELETE_STATEMENT:
      return change.Cast<duckdb::DeleteStatement>().cte_map;
    default:
      return change.Cast<duckdb::InsertStatement>().cte_map;
  }
}

ReturningItem returning_item(const Expression& expression, const duckdb::BaseTableRef& table) {
  if (is_plain_star(expression, table)) return {};
  if (const std::string* column = column_of(expression, table)) {
    return {ReturningItem::Kind::kColumn, *column, expression.HasAlias() ? expression.GetAlias() : *column};
  }
  return {.kind = ReturningItem::Kind::kExpression};
}

}  // namespace

Result<std::vector<ReturningItem>> returning_items(const duckdb::SQLStatement& change) {
  std::vector<ReturningItem> items;
  const auto* list = returning_list(change);
  if (list == nullptr || list->empty()) return items;
  const auto table = target_of(change);
  for (const auto& expression : *list) {
    items.push_back(returning_item(*expression, *table));
    if (items.back().kind != ReturningItem::Kind::kExpression) continue;
    KALAM_CHECK(check_row_expression(*expression, "RETURNING"));
    KALAM_CHECK(check_returned_columns(*expression, *table));
  }
  return items;
}

RowQuery returning_query(const duckdb::SQLStatement& change, const model::TableDefinition& table,
                         std::vector<model::Row> rows) {
  auto target = target_of(change);
  std::vector<ExpressionPtr> expressions;
  for (const auto& expression : *returning_list(change)) {
    if (returning_item(*expression, *target).kind == ReturningItem::Kind::kExpression) {
      expressions.push_back(expression->Copy());
    }
  }
  RowTable given(table);
  for (size_t i = 0; i < table.columns.size(); ++i) {
    if (table.columns[i].name != model::kSeqColumn) {
      given.add(table.columns[i].name, table.columns[i].type);
      continue;
    }
    for (auto& row : rows) row.erase(row.begin() + static_cast<std::ptrdiff_t>(i));
  }
  return std::move(given).query(std::move(target), std::move(expressions), std::move(rows), ctes_of(change));
}

Result<> check_set(const duckdb::UpdateSetInfo& set, const char* clause) {
  for (const auto& expression : set.expressions) KALAM_CHECK(check_row_expression(*expression, clause));
  return set.condition ? check_row_expression(*set.condition, clause) : Result<>{};
}

RowQuery conflict_query(const duckdb::SQLStatement& insert, const model::TableDefinition& table,
                        std::vector<ConflictRow> rows) {
  auto target = target_of(insert);
  const std::string& visible = target->alias.empty() ? target->table_name : target->alias;
  const auto& set = *insert.Cast<duckdb::InsertStatement>().on_conflict_info->set_info;
  std::vector<ExpressionPtr> expressions;
  for (size_t i = 0; i < set.expressions.size(); ++i) {
    expressions.push_back(set.expressions[i]->Copy());
    replace_default(expressions.back(), table, set.columns[i]);
  }
  if (set.condition) {
    expressions.push_back(make_uniq<duckdb::CastExpression>(duckdb::LogicalType::BOOLEAN, set.condition->Copy()));
  }
  for (auto& expression : expressions) rename_excluded(*expression, visible);
  RowTable given(table);
  for (const auto& column : table.columns) given.add(column.name, column.type);
  std::vector<model::Row> pairs;
  pairs.reserve(rows.size());
  for (auto& row : rows) pairs.push_back(std::move(row.current));
  for (size_t i = 0; i < table.columns.size(); ++i) {
    if (table.columns[i].is_system()) continue;
    given.add(kExcluded + table.columns[i].name, table.columns[i].type);
    for (size_t r = 0; r < rows.size(); ++r) pairs[r].push_back(std::move(rows[r].excluded[i]));
  }
  return std::move(given).query(std::move(target), std::move(expressions), std::move(pairs), ctes_of(insert));
}

}  // namespace kalamdb::duck
