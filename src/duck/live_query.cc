#include "duck/live_query.h"

#include <fmt/format.h>

#include <algorithm>

#include "duck/allow_list.h"
#include "duck/shapes.h"
#include "duckdb/parser/expression/list.hpp"
#include "duckdb/parser/parsed_expression_iterator.hpp"
#include "duckdb/parser/query_node/list.hpp"
#include "duckdb/parser/tableref/list.hpp"

namespace kalamdb::duck {

using duckdb::make_uniq;

namespace {

using Expression = duckdb::ParsedExpression;
using ExpressionPtr = duckdb::unique_ptr<Expression>;
using Node = duckdb::unique_ptr<duckdb::QueryNode>;

std::string lower(const std::string& name) { return duckdb::StringUtil::Lower(name); }

std::unexpected<Error> invalid(std::string message) { return fail(ErrorCode::kInvalidSql, std::move(message)); }

std::unexpected<Error> unsupported(std::string_view clause) {
  return invalid(fmt::format(
      "Subscription query does not support {}. Only SELECT ... FROM ... [WHERE ...] is supported.", clause));
}

std::unexpected<Error> only_select() {
  return invalid("Subscription query supports only SELECT ... FROM ... [WHERE ...].");
}

bool has_subquery(const Expression& expression) {
  if (expression.GetExpressionClass() == duckdb::ExpressionClass::SUBQUERY) return true;
  bool found = false;
  duckdb::ParsedExpressionIterator::EnumerateChildren(
      expression, [&](const Expression& child) { found = found || has_subquery(child); });
  return found;
}

std::string_view set_operation_name(duckdb::SetOperationType type) {
  switch (type) {
    case duckdb::SetOperationType::EXCEPT:
      return "EXCEPT";
    case duckdb::SetOperationType::INTERSECT:
      return "INTERSECT";
    default:
      return "UNION";
  }
}

Result<> check_clauses(const duckdb::SelectNode& node) {
  if (!node.cte_map.map.empty()) return unsupported("WITH");
  if (node.from_table && node.from_table->type == duckdb::TableReferenceType::JOIN) return unsupported("JOIN");
  if (node.having) return unsupported("HAVING");
  if (node.qualify) return unsupported("QUALIFY");
  for (const auto& modifier : node.modifiers) {
    if (modifier->type == duckdb::ResultModifierType::DISTINCT_MODIFIER) return unsupported("DISTINCT");
  }
  if (node.from_table && node.from_table->type == duckdb::TableReferenceType::SUBQUERY)
    return unsupported("subqueries");
  if (node.sample || plain_table(node.from_table.get()) == nullptr) return only_select();
  if (node.where_clause && has_subquery(*node.where_clause)) return unsupported("subqueries");
  return {};
}

Result<std::vector<std::string>> live_columns(const duckdb::SelectNode& node, const duckdb::BaseTableRef& table) {
  std::vector<std::string> columns;
  if (node.select_list.size() == 1 && is_plain_star(*node.select_list.front(), table)) return columns;
  for (const auto& item : node.select_list) {
    const std::string* column = column_of(*item, table);
    if (column == nullptr || item->HasAlias()) {
      return invalid("Subscription query supports only * or plain columns in its SELECT list.");
    }
    const std::string name = lower(*column);
    if (name == "_seq" || name == "_deleted") {
      return invalid(
          fmt::format("Subscription query may not select system column '{}': every change carries it.", name));
    }
    columns.push_back(*column);
  }
  return columns;
}

const duckdb::OrderModifier* order_of(const duckdb::SelectNode& node) {
  for (const auto& modifier : node.modifiers) {
    if (modifier->type == duckdb::ResultModifierType::ORDER_MODIFIER) return &modifier->Cast<duckdb::OrderModifier>();
  }
  return nullptr;
}

// The number that an expression is, as GROUP BY 1 has it.
std::optional<int64_t> ordinal(const Expression& expression) {
  const auto value = operand(expression);
  const auto* number =
      value && value->kind == Operand::Kind::kLiteral ? std::get_if<int64_t>(&value->literal) : nullptr;
  return number != nullptr ? std::optional(*number) : std::nullopt;
}

// ORDER BY … LIMIT n.
Result<uint64_t> top_limit(const duckdb::SelectNode& node) {
  const duckdb::OrderModifier* const order = order_of(node);
  if (order == nullptr) return only_select();  // LIMIT, OFFSET
  if (node.modifiers.size() != 2) return invalid("Subscription query with ORDER BY needs a LIMIT.");
  std::optional<int64_t> limit;
  for (const auto& modifier : node.modifiers) {
    if (const auto found = plain_limit(*modifier)) limit = found;
  }
  if (!limit || *limit < 1) {
    return invalid("Subscription query needs a LIMIT that is a number from 1, without OFFSET.");
  }
  for (const auto& one : order->orders) {
    if (has_subquery(*one.expression)) return unsupported("subqueries");
    if (ordinal(*one.expression) || one.expression->GetExpressionClass() == duckdb::ExpressionClass::STAR) {
      return invalid("Subscription query names columns or expressions in its ORDER BY, not their numbers.");
    }
  }
  return static_cast<uint64_t>(*limit);
}

const duckdb::FunctionExpression* aggregate_of(const Expression& expression) {
  if (expression.GetExpressionClass() != duckdb::ExpressionClass::FUNCTION) return nullptr;
  const auto& function = expression.Cast<duckdb::FunctionExpression>();
  return is_aggregate_function(lower(function.function_name)) ? &function : nullptr;
}

bool mentions_aggregate(const Expression& expression) {
  bool found = aggregate_of(expression) != nullptr;
  duckdb::ParsedExpressionIterator::EnumerateChildren(
      expression, [&](const Expression& child) { found = found || mentions_aggregate(child); });
  return found;
}

ExpressionPtr without_alias(const Expression& expression) {
  auto copy = expression.Copy();
  copy->ClearAlias();
  return copy;
}

// Which item of the SELECT list a GROUP BY expression is.
std::optional<size_t> grouped_item(const Expression& group, const duckdb::SelectNode& node) {
  if (const auto number = ordinal(group)) {
    if (*number < 1 || *number > static_cast<int64_t>(node.select_list.size())) return std::nullopt;
    return static_cast<size_t>(*number - 1);
  }
  for (size_t i = 0; i < node.select_list.size(); ++i) {
    if (without_alias(*node.select_list[i])->Equals(*without_alias(group))) return i;
  }
  if (group.GetExpressionClass() != duckdb::ExpressionClass::COLUMN_REF) return std::nullopt;
  const auto& names = group.Cast<duckdb::ColumnRefExpression>().column_names;
  for (size_t i = 0; i < node.select_list.size(); ++i) {
    const auto& item = *node.select_list[i];
    if (names.size() == 1 && item.HasAlias() && duckdb::StringUtil::CIEquals(item.GetAlias(), names[0])) return i;
  }
  return std::nullopt;
}

Result<LiveItem::Kind> aggregate_kind(const duckdb::FunctionExpression& call) {
  const std::string name = lower(call.function_name);
  if (call.distinct || (call.order_bys && !call.order_bys->orders.empty())) {
    return unsupported(fmt::format("DISTINCT or ORDER BY within {}()", name));
  }
  for (const auto& argument : call.children) {
    if (has_subquery(*argument)) return unsupported("subqueries");
  }
  if (call.filter && has_subquery(*call.filter)) return unsupported("subqueries");
  if (name == "count_star" || name == "count") return LiveItem::Kind::kCount;
  if (call.children.size() == 1) {
    if (name == "sum") return LiveItem::Kind::kSum;
    if (name == "avg" || name == "mean") return LiveItem::Kind::kAvg;
    if (name == "min") return LiveItem::Kind::kMin;
    if (name == "max") return LiveItem::Kind::kMax;
  }
  return invalid(
      fmt::format("Subscription query does not support {}(): count, sum, avg, min and max are kept up to date.", name));
}

Result<std::vector<LiveItem>> aggregate_items(const duckdb::SelectNode& node) {
  if (node.aggregate_handling != duckdb::AggregateHandling::STANDARD_HANDLING || node.groups.grouping_sets.size() > 1)
    return unsupported("GROUP BY ALL, ROLLUP, CUBE or GROUPING SETS");
  if (!node.modifiers.empty()) return unsupported("ORDER BY or LIMIT with aggregates");
  std::vector<LiveItem> items(node.select_list.size());
  std::vector<bool> is_key(items.size());
  for (const auto& group : node.groups.group_expressions) {
    if (has_subquery(*group)) return unsupported("subqueries");
    const auto item = grouped_item(*group, node);
    if (!item || aggregate_of(*node.select_list[*item]) != nullptr) {
      return invalid(
          "Subscription query needs every GROUP BY expression in its SELECT list: they tell its rows apart.");
    }
    is_key[*item] = true;
  }
  for (size_t i = 0; i < items.size(); ++i) {
    const Expression& item = *node.select_list[i];
    items[i].name = item.HasAlias() ? item.GetAlias() : item.GetName();
    const auto same_name = [&](const LiveItem& other) {
      return duckdb::StringUtil::CIEquals(other.name, items[i].name);
    };
    if (items[i].name.starts_with("_") ||
        std::any_of(items.begin(), items.begin() + static_cast<ptrdiff_t>(i), same_name)) {
      return invalid(
          fmt::format("Subscription query needs a name of its own for each column, not beginning with _: '{}'; use AS",
                      items[i].name));
    }
    if (is_key[i]) continue;
    const auto* const call = aggregate_of(item);
    if (call == nullptr) {
      return invalid(
          fmt::format("Subscription query supports only GROUP BY expressions and plain calls of count, sum, "
                      "avg, min and max in its SELECT list; '{}' is neither.",
                      item.ToString()));
    }
    KALAM_TRY(items[i].kind, aggregate_kind(*call));
  }
  return items;
}

}  // namespace

Result<LiveShape> live_shape(const duckdb::SelectStatement& select) {
  const duckdb::QueryNode& root = *select.node;
  if (root.type == duckdb::QueryNodeType::CTE_NODE || !root.cte_map.map.empty()) return unsupported("WITH");
  if (root.type == duckdb::QueryNodeType::SET_OPERATION_NODE) {
    return unsupported(set_operation_name(root.Cast<duckdb::SetOperationNode>().setop_type));
  }
  if (root.type != duckdb::QueryNodeType::SELECT_NODE) return only_select();
  const auto& node = root.Cast<duckdb::SelectNode>();
  KALAM_CHECK(check_clauses(node));
  const auto& table = node.from_table->Cast<duckdb::BaseTableRef>();
  LiveShape shape;
  shape.table = name_of(table);
  if (shape.table.schema.empty()) return invalid("Query must use namespace.table format");
  const bool has_aggregates =
      std::ranges::any_of(node.select_list, [](const auto& item) { return mentions_aggregate(*item); });
  if (has_aggregates || has_groups(node)) {
    shape.kind = LiveKind::kAggregate;
    KALAM_TRY(shape.items, aggregate_items(node));
  } else {
    KALAM_TRY(shape.columns, live_columns(node, table));
    if (!node.modifiers.empty()) {
      shape.kind = LiveKind::kTop;
      KALAM_TRY(shape.limit, top_limit(node));
    }
  }
  shape.has_where = node.where_clause != nullptr;
  shape.normalized = select.ToString();
  return shape;
}

namespace {

ExpressionPtr column_ref(std::string_view name) { return make_uniq<duckdb::ColumnRefExpression>(std::string(name)); }

void add_order(duckdb::QueryNode& node, std::string_view column, duckdb::OrderType direction) {
  auto order = make_uniq<duckdb::OrderModifier>();
  order->orders.emplace_back(direction, duckdb::OrderByNullType::NULLS_LAST, column_ref(column));
  node.modifiers.push_back(std::move(order));
}

void add_limit(duckdb::QueryNode& node, uint64_t rows) {
  auto limit = make_uniq<duckdb::LimitModifier>();
  limit->limit = make_uniq<duckdb::ConstantExpression>(duckdb::Value::BIGINT(static_cast<int64_t>(rows)));
  node.modifiers.push_back(std::move(limit));
}

void add_later_than(duckdb::SelectNode& node, Seq after) {
  ExpressionPtr later = make_uniq<duckdb::ComparisonExpression>(
      duckdb::ExpressionType::COMPARE_GREATERTHAN, column_ref(model::kSeqColumn),
      make_uniq<duckdb::ConstantExpression>(duckdb::Value::BIGINT(after)));
  if (node.where_clause) {
    later = make_uniq<duckdb::ConjunctionExpression>(duckdb::ExpressionType::CONJUNCTION_AND,
                                                     std::move(node.where_clause), std::move(later));
  }
  node.where_clause = std::move(later);
}

Node copy_of(const Statement& select) {
  return std::move(select.impl().tree->Copy()->Cast<duckdb::SelectStatement>().node);
}

// Bytes that compare as the values do in an ORDER BY.
class SortKey {
 public:
  SortKey& add(ExpressionPtr value, bool descending, bool nulls_first) {
    arguments_.push_back(std::move(value));
    arguments_.push_back(
        constant(std::string(descending ? "DESC" : "ASC") + (nulls_first ? " NULLS FIRST" : " NULLS LAST")));
    return *this;
  }
  // With a text among the values they are always bytes; without, DuckDB makes numbers of short ones.
  ExpressionPtr build() && {
    add(constant(""), false, false);
    return make_uniq<duckdb::FunctionExpression>("create_sort_key", std::move(arguments_));
  }

 private:
  static ExpressionPtr constant(std::string text) {
    return make_uniq<duckdb::ConstantExpression>(duckdb::Value(std::move(text)));
  }
  duckdb::vector<ExpressionPtr> arguments_;
};

// The argument of an aggregate: NULL for what it leaves out.
ExpressionPtr argument_of(const duckdb::FunctionExpression& call) {
  ExpressionPtr argument = call.children.empty() ? make_uniq<duckdb::ConstantExpression>(duckdb::Value::BOOLEAN(true))
                                                 : call.children[0]->Copy();
  if (!call.filter) return argument;
  auto filtered = make_uniq<duckdb::CaseExpression>();
  duckdb::CaseCheck check;
  check.when_expr = call.filter->Copy();
  check.then_expr = std::move(argument);
  filtered->case_checks.push_back(std::move(check));
  filtered->else_expr = make_uniq<duckdb::ConstantExpression>(duckdb::Value());
  return filtered;
}

duckdb::vector<ExpressionPtr> expressions_of(const duckdb::SelectNode& node, const LiveShape& shape) {
  duckdb::vector<ExpressionPtr> expressions;
  if (shape.kind != LiveKind::kAggregate) {
    SortKey key;
    if (const auto* const order = order_of(node)) {
      for (const auto& one : order->orders) {
        key.add(one.expression->Copy(), one.type == duckdb::OrderType::DESCENDING,
                one.null_order == duckdb::OrderByNullType::NULLS_FIRST);
      }
    }
    expressions.push_back(std::move(key).build());
    return expressions;
  }
  for (const auto& item : node.select_list) {
    const auto* const call = aggregate_of(*item);
    expressions.push_back(call != nullptr ? argument_of(*call) : without_alias(*item));
  }
  for (size_t i = 0; i < shape.items.size(); ++i) {
    if (shape.items[i].kind != LiveItem::Kind::kMin && shape.items[i].kind != LiveItem::Kind::kMax) continue;
    expressions.push_back(std::move(SortKey().add(expressions[i]->Copy(), false, false)).build());
  }
  return expressions;
}

}  // namespace

Node live_query(const Statement& select, bool star_has_seq, Seq after, uint64_t newest) {
  auto node = copy_of(select);
  auto& inner = node->Cast<duckdb::SelectNode>();
  bool has_seq = false;
  for (const auto& item : inner.select_list) {
    if (item->GetExpressionClass() == duckdb::ExpressionClass::STAR) has_seq |= star_has_seq;
    if (item->GetExpressionClass() == duckdb::ExpressionClass::COLUMN_REF && item->GetName() == model::kSeqColumn)
      has_seq = true;
  }
  if (!has_seq) inner.select_list.push_back(column_ref(model::kSeqColumn));
  if (after > 0) add_later_than(inner, after);
  if (newest == 0) {
    add_order(*node, model::kSeqColumn, duckdb::OrderType::ASCENDING);
    return node;
  }
  add_order(*node, model::kSeqColumn, duckdb::OrderType::DESCENDING);
  add_limit(*node, newest);
  auto outer = make_uniq<duckdb::SelectNode>();
  outer->select_list.push_back(make_uniq<duckdb::StarExpression>());
  auto subquery = make_uniq<duckdb::SelectStatement>();
  subquery->node = std::move(node);
  outer->from_table = make_uniq<duckdb::SubqueryRef>(std::move(subquery));
  add_order(*outer, model::kSeqColumn, duckdb::OrderType::ASCENDING);
  return outer;
}

Node other_rows_query(const Statement& select, Seq after) {
  auto node = copy_of(select);
  auto& inner = node->Cast<duckdb::SelectNode>();
  inner.select_list.clear();
  inner.select_list.push_back(make_uniq<duckdb::StarExpression>());
  // Not taken: false or NULL.
  inner.where_clause = make_uniq<duckdb::ComparisonExpression>(
      duckdb::ExpressionType::COMPARE_DISTINCT_FROM,
      make_uniq<duckdb::CastExpression>(duckdb::LogicalType::BOOLEAN, std::move(inner.where_clause)),
      make_uniq<duckdb::ConstantExpression>(duckdb::Value::BOOLEAN(true)));
  add_later_than(inner, after);
  add_order(*node, model::kSeqColumn, duckdb::OrderType::ASCENDING);
  return node;
}

Node result_expressions(const Statement& select, const LiveShape& shape) {
  auto node = copy_of(select);
  auto& inner = node->Cast<duckdb::SelectNode>();
  inner.select_list = expressions_of(inner, shape);
  inner.groups = {};
  inner.modifiers.clear();
  return node;
}

Node result_query(const Statement& select, const LiveShape& shape, const model::TableDefinition& table,
                  uint64_t limit) {
  auto node = result_expressions(select, shape);
  if (shape.kind == LiveKind::kAggregate) return node;
  auto& inner = node->Cast<duckdb::SelectNode>();
  ExpressionPtr key = std::move(inner.select_list[0]);
  inner.select_list.clear();
  for (const auto& column : table.columns) inner.select_list.push_back(column_ref(column.name));
  inner.select_list.push_back(key->Copy());
  auto order = make_uniq<duckdb::OrderModifier>();
  const auto then_by = [&](ExpressionPtr expression) {
    order->orders.emplace_back(duckdb::OrderType::ASCENDING, duckdb::OrderByNullType::NULLS_LAST,
                               std::move(expression));
  };
  then_by(std::move(key));
  for (const auto* column : table.primary_key()) then_by(column_ref(column->name));
  node->modifiers.push_back(std::move(order));
  add_limit(*node, limit);
  return node;
}

}  // namespace kalamdb::duck
