#include "duck/shapes.h"

#include <algorithm>

#include "duckdb/parser/expression/list.hpp"
#include "duckdb/parser/parsed_data/sample_options.hpp"
#include "duckdb/parser/query_node/list.hpp"
#include "duckdb/parser/tableref/list.hpp"

namespace kalamdb::duck {
namespace {

using Expression = duckdb::ParsedExpression;
using ExpressionPtr = duckdb::unique_ptr<Expression>;

std::string lower(const std::string& name) { return duckdb::StringUtil::Lower(name); }

}  // namespace

TableName name_of(const duckdb::BaseTableRef& table) { return {lower(table.schema_name), lower(table.table_name)}; }

const duckdb::BaseTableRef* plain_table(const duckdb::TableRef* ref) {
  if (ref == nullptr || ref->type != duckdb::TableReferenceType::BASE_TABLE || ref->sample) return nullptr;
  if (!ref->column_name_alias.empty()) return nullptr;
  return &ref->Cast<duckdb::BaseTableRef>();
}

bool has_groups(const duckdb::SelectNode& node) {
  return !node.groups.group_expressions.empty() || !node.groups.grouping_sets.empty() ||
         node.aggregate_handling != duckdb::AggregateHandling::STANDARD_HANDLING;
}

std::optional<int64_t> plain_limit(const duckdb::ResultModifier& modifier) {
  if (modifier.type != duckdb::ResultModifierType::LIMIT_MODIFIER) return std::nullopt;
  const auto& limit = modifier.Cast<duckdb::LimitModifier>();
  if (limit.offset || !limit.limit) return std::nullopt;
  const auto value = operand(*limit.limit);
  if (!value || value->kind != Operand::Kind::kLiteral) return std::nullopt;
  const auto* rows = std::get_if<int64_t>(&value->literal);
  return rows != nullptr ? std::optional(*rows) : std::nullopt;
}

const std::string* column_of(const Expression& expression, const duckdb::BaseTableRef& table) {
  if (expression.GetExpressionClass() != duckdb::ExpressionClass::COLUMN_REF || operand(expression)) return nullptr;
  const auto& names = expression.Cast<duckdb::ColumnRefExpression>().column_names;
  const std::string& visible = table.alias.empty() ? table.table_name : table.alias;
  auto same = [](const std::string& a, const std::string& b) { return duckdb::StringUtil::CIEquals(a, b); };
  if (names.size() == 1) return &names[0];
  if (names.size() == 2 && same(names[0], visible)) return &names[1];
  if (names.size() == 3 && table.alias.empty() && same(names[0], table.schema_name) && same(names[1], visible)) {
    return &names[2];
  }
  return nullptr;
}

bool is_plain_star(const Expression& expression, const duckdb::BaseTableRef& table) {
  if (expression.GetExpressionClass() != duckdb::ExpressionClass::STAR) return false;
  const auto& star = expression.Cast<duckdb::StarExpression>();
  const std::string& visible = table.alias.empty() ? table.table_name : table.alias;
  return (star.relation_name.empty() || duckdb::StringUtil::CIEquals(star.relation_name, visible)) &&
         star.exclude_list.empty() && star.replace_list.empty() && star.rename_list.empty() && !star.expr &&
         !star.columns;
}

namespace {

// An operand that a column can be compared with: no NULL, which equals nothing, and no DEFAULT.
std::optional<Operand> compared(const Expression& expression) {
  auto value = operand(expression);
  if (!value || value->kind == Operand::Kind::kDefault) return std::nullopt;
  if (value->kind == Operand::Kind::kLiteral && model::is_null(value->literal)) return std::nullopt;
  return value;
}

bool add_equality(const Expression& expression, const duckdb::BaseTableRef& table, std::vector<Equality>& out) {
  if (expression.GetExpressionType() == duckdb::ExpressionType::CONJUNCTION_AND) {
    const auto& conditions = expression.Cast<duckdb::ConjunctionExpression>().children;
    return std::ranges::all_of(conditions, [&](const auto& child) { return add_equality(*child, table, out); });
  }
  if (expression.GetExpressionType() != duckdb::ExpressionType::COMPARE_EQUAL) return false;
  const auto& comparison = expression.Cast<duckdb::ComparisonExpression>();
  const Expression* value = comparison.right.get();
  const std::string* column = column_of(*comparison.left, table);
  if (column == nullptr) {
    column = column_of(*comparison.right, table);
    value = comparison.left.get();
  }
  if (column == nullptr) return false;
  auto constant = compared(*value);
  if (!constant) return false;
  out.push_back({*column, std::move(*constant)});
  return true;
}

std::optional<std::vector<Equality>> equalities(const ExpressionPtr& where, const duckdb::BaseTableRef& table) {
  std::vector<Equality> out;
  if (!where || !add_equality(*where, table, out)) return std::nullopt;
  return out;
}

// No modifier but a LIMIT of at least 1.
bool keeps_first_row(const duckdb::QueryNode& node) {
  return std::ranges::all_of(node.modifiers,
                             [](const auto& modifier) { return plain_limit(*modifier).value_or(0) >= 1; });
}

std::vector<Assignment> assignments(const duckdb::UpdateSetInfo& info, bool with_excluded) {
  std::vector<Assignment> out;
  out.reserve(info.columns.size());
  for (size_t i = 0; i < info.columns.size(); ++i) {
    const Expression& expression = *info.expressions[i];
    Assignment assignment{info.columns[i], operand(expression)};
    if (with_excluded && expression.GetExpressionClass() == duckdb::ExpressionClass::COLUMN_REF) {
      const auto& names = expression.Cast<duckdb::ColumnRefExpression>().column_names;
      if (names.size() == 2 && lower(names[0]) == "excluded") {
        assignment.value.emplace();
        assignment.value->kind = Operand::Kind::kExcluded;
        assignment.value->name = names[1];
      }
    }
    out.push_back(std::move(assignment));
  }
  return out;
}

}  // namespace

std::optional<PointSelect> point_select_shape(const duckdb::SelectStatement& select) {
  if (select.node->type != duckdb::QueryNodeType::SELECT_NODE) return std::nullopt;
  const auto& node = select.node->Cast<duckdb::SelectNode>();
  const duckdb::BaseTableRef* table = plain_table(node.from_table.get());
  if (table == nullptr || !node.where_clause || node.having || node.qualify || node.sample || has_groups(node) ||
      !node.cte_map.map.empty() || !keeps_first_row(node)) {
    return std::nullopt;
  }
  PointSelect shape;
  shape.table = name_of(*table);
  if (node.select_list.size() == 1 && is_plain_star(*node.select_list.front(), *table)) {
    shape.star = true;
  } else {
    for (const auto& item : node.select_list) {
      const std::string* column = column_of(*item, *table);
      if (column == nullptr) return std::nullopt;
      shape.columns.push_back({*column, item->HasAlias() ? item->GetAlias() : *column});
    }
  }
  auto where = equalities(node.where_clause, *table);
  if (!where) return std::nullopt;
  shape.where = std::move(*where);
  return shape;
}

InsertShape insert_shape(const duckdb::InsertStatement& insert) {
  InsertShape shape;
  shape.table = {lower(insert.schema), lower(insert.table)};
  shape.columns.assign(insert.columns.begin(), insert.columns.end());
  shape.default_values = insert.default_values;
  const auto values = insert.GetValuesList();
  if (values && insert.select_statement->node->modifiers.empty()) {
    shape.rows.reserve(values->values.size());
    for (const auto& row : values->values) {
      auto& operands = shape.rows.emplace_back();
      operands.reserve(row.size());
      for (const auto& cell : row) {
        auto value = operand(*cell);
        if (!value) {
          shape.rows.clear();
          break;
        }
        operands.push_back(std::move(*value));
      }
      if (shape.rows.empty()) break;
    }
  }
  if (const auto& conflict = insert.on_conflict_info) {
    shape.conflict_target.assign(conflict->indexed_columns.begin(), conflict->indexed_columns.end());
    if (conflict->action_type == duckdb::OnConflictAction::NOTHING) {
      shape.on_conflict = InsertShape::OnConflict::kNothing;
    } else if (conflict->set_info) {
      shape.on_conflict = InsertShape::OnConflict::kUpdate;
      shape.conflict_set = assignments(*conflict->set_info, true);
      shape.conflict_has_where = conflict->set_info->condition != nullptr;
    }
  }
  return shape;
}

ChangeShape update_shape(const duckdb::UpdateStatement& update) {
  ChangeShape shape;
  const auto& table = update.table->Cast<duckdb::BaseTableRef>();
  shape.table = name_of(table);
  shape.set = assignments(*update.set_info, false);
  shape.has_where = update.set_info->condition != nullptr;
  if (!update.from_table && update.cte_map.map.empty() && plain_table(&table) != nullptr) {
    shape.where = equalities(update.set_info->condition, table);
  }
  return shape;
}

ChangeShape delete_shape(const duckdb::DeleteStatement& remove) {
  ChangeShape shape;
  const auto& table = remove.table->Cast<duckdb::BaseTableRef>();
  shape.table = name_of(table);
  shape.has_where = remove.condition != nullptr;
  if (remove.using_clauses.empty() && remove.cte_map.map.empty() && plain_table(&table) != nullptr) {
    shape.where = equalities(remove.condition, table);
  }
  return shape;
}

}  // namespace kalamdb::duck
