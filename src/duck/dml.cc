#include "duck/dml.h"

#include "duck/query_state.h"
#include "duck/types.h"
#include "duckdb/parser/expression/list.hpp"
#include "duckdb/parser/query_node/list.hpp"
#include "duckdb/parser/statement/list.hpp"
#include "duckdb/parser/tableref/list.hpp"

namespace kalamdb::duck {

using duckdb::make_uniq;
using Expression = duckdb::unique_ptr<duckdb::ParsedExpression>;
using Node = duckdb::unique_ptr<duckdb::QueryNode>;

namespace {

duckdb::unique_ptr<duckdb::TableRef> cross_join(duckdb::unique_ptr<duckdb::TableRef> left,
                                                duckdb::unique_ptr<duckdb::TableRef> right) {
  auto join = make_uniq<duckdb::JoinRef>(duckdb::JoinRefType::CROSS);
  join->left = std::move(left);
  join->right = std::move(right);
  return join;
}

}  // namespace

Node with_ctes(Node node, duckdb::CommonTableExpressionMap&& ctes) {
  if (ctes.map.empty()) return node;
  for (auto& [name, cte] : ctes.map) node->cte_map.map[name] = std::move(cte);
  duckdb::QueryNode::ExtractCTENodes(node);
  return node;
}

void replace_default(Expression& expression, const model::TableDefinition& table, const std::string& column_name) {
  if (expression->GetExpressionClass() != duckdb::ExpressionClass::DEFAULT) return;
  if (const auto* column = table.find_column(column_name)) expression = default_expression(*column);
}

Expression default_expression(const model::ColumnDefinition& column) {
  switch (column.default_value.kind) {
    case model::ColumnDefault::Kind::kLiteral:
      return make_uniq<duckdb::ConstantExpression>(
          to_duck_value(model::view(*column.default_value.literal), column.type));
    case model::ColumnDefault::Kind::kFunction:
      return make_uniq<duckdb::FunctionExpression>(duckdb::StringUtil::Lower(column.default_value.function),
                                                   duckdb::vector<Expression>());
    case model::ColumnDefault::Kind::kNone:
      break;
  }
  return make_uniq<duckdb::ConstantExpression>(duckdb::Value());
}

ChangeQuery change_query(const duckdb::SQLStatement& change, const model::TableDefinition& table) {
  ChangeQuery result;
  auto select = make_uniq<duckdb::SelectNode>();
  duckdb::CommonTableExpressionMap ctes;
  std::vector<Expression> set_expressions;
  duckdb::unique_ptr<duckdb::TableRef> target;
  duckdb::vector<duckdb::unique_ptr<duckdb::TableRef>> others;
  auto copy = change.Copy();
  if (change.type == duckdb::StatementType::UPDATE_STATEMENT) {
    auto& update = copy->Cast<duckdb::UpdateStatement>();
    target = std::move(update.table);
    if (update.from_table) others.push_back(std::move(update.from_table));
    ctes = std::move(update.cte_map);
    select->where_clause = std::move(update.set_info->condition);
    for (size_t i = 0; i < update.set_info->columns.size(); ++i) {
      set_expressions.push_back(std::move(update.set_info->expressions[i]));
      replace_default(set_expressions.back(), table, update.set_info->columns[i]);
    }
  } else {
    auto& removal = copy->Cast<duckdb::DeleteStatement>();
    target = std::move(removal.table);
    others = std::move(removal.using_clauses);
    ctes = std::move(removal.cte_map);
    select->where_clause = std::move(removal.condition);
  }
  result.target = target.get();
  result.may_repeat_rows = !others.empty();
  const std::string alias = target->alias.empty() ? target->Cast<duckdb::BaseTableRef>().table_name : target->alias;
  const auto add = [&](const std::string& name) {
    select->select_list.push_back(make_uniq<duckdb::ColumnRefExpression>(name, alias));
  };
  for (const auto& column : table.columns) add(column.name);
  add(kSegmentIdColumn);
  add(kPositionColumn);
  for (auto& expression : set_expressions) select->select_list.push_back(std::move(expression));
  select->from_table = std::move(target);
  for (auto& other : others) select->from_table = cross_join(std::move(select->from_table), std::move(other));
  result.query = with_ctes(std::move(select), std::move(ctes));
  return result;
}

Node insert_query(const duckdb::SQLStatement& insert, const std::vector<std::string>& columns,
                  const model::TableDefinition& table) {
  auto copy = insert.Copy();
  auto& statement = copy->Cast<duckdb::InsertStatement>();
  if (statement.GetValuesList()) {
    auto& values =
        statement.select_statement->node->Cast<duckdb::SelectNode>().from_table->Cast<duckdb::ExpressionListRef>();
    for (auto& row : values.values) {
      for (size_t i = 0; i < row.size() && i < columns.size(); ++i) replace_default(row[i], table, columns[i]);
    }
  }
  return with_ctes(std::move(statement.select_statement->node), std::move(statement.cte_map));
}

}  // namespace kalamdb::duck
