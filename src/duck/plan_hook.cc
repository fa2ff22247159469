#include "duck/plan_hook.h"

#include <algorithm>
#include <unordered_map>

#include "duck/pushed_filters.h"
#include "duck/query_state.h"
#include "duck/table_scan.h"
#include "duckdb/main/config.hpp"
#include "duckdb/optimizer/optimizer_extension.hpp"
#include "duckdb/planner/expression/bound_cast_expression.hpp"
#include "duckdb/planner/expression/bound_columnref_expression.hpp"
#include "duckdb/planner/expression/bound_comparison_expression.hpp"
#include "duckdb/planner/expression/bound_function_expression.hpp"
#include "duckdb/planner/expression/bound_operator_expression.hpp"
#include "duckdb/planner/expression_iterator.hpp"
#include "duckdb/planner/logical_operator_visitor.hpp"
#include "duckdb/planner/operator/logical_aggregate.hpp"
#include "duckdb/planner/operator/logical_cteref.hpp"
#include "duckdb/planner/operator/logical_get.hpp"
#include "duckdb/planner/operator/logical_materialized_cte.hpp"
#include "duckdb/planner/operator/logical_order.hpp"
#include "duckdb/planner/operator/logical_projection.hpp"
#include "duckdb/planner/operator/logical_set_operation.hpp"

namespace kalamdb::duck {

using duckdb::ColumnBinding;
using duckdb::LogicalOperator;
using duckdb::LogicalOperatorType;

namespace {

// Follows column bindings down to the scans that they come from.
class ColumnTracer {
 public:
  explicit ColumnTracer(LogicalOperator& root) { collect(root); }

  const model::ColumnDefinition* trace(ColumnBinding binding) const {
    for (int steps = 0; steps < 1000; ++steps) {
      const auto found = by_table_index_.find(binding.table_index);
      if (found == by_table_index_.end()) return nullptr;
      LogicalOperator& op = *found->second;
      switch (op.type) {
        case LogicalOperatorType::LOGICAL_GET:
          return scan_column_of(op.Cast<duckdb::LogicalGet>(), binding);
        case LogicalOperatorType::LOGICAL_PROJECTION:
          if (!follow(op.expressions, binding)) return nullptr;
          break;
        case LogicalOperatorType::LOGICAL_AGGREGATE_AND_GROUP_BY:
          if (binding.table_index != op.Cast<duckdb::LogicalAggregate>().group_index) return nullptr;
          if (!follow(op.Cast<duckdb::LogicalAggregate>().groups, binding)) return nullptr;
          break;
        case LogicalOperatorType::LOGICAL_CTE_REF: {
          const auto cte = ctes_.find(op.Cast<duckdb::LogicalCTERef>().cte_index);
          if (cte == ctes_.end() || !enter(*cte->second, binding)) return nullptr;
          break;
        }
        default:  // a set operation
          if (!enter(*op.children[0], binding)) return nullptr;
      }
    }
    return nullptr;
  }

 private:
  void collect(LogicalOperator& op) {
    switch (op.type) {
      case LogicalOperatorType::LOGICAL_GET:
      case LogicalOperatorType::LOGICAL_PROJECTION:
      case LogicalOperatorType::LOGICAL_AGGREGATE_AND_GROUP_BY:
      case LogicalOperatorType::LOGICAL_CTE_REF:
      case LogicalOperatorType::LOGICAL_UNION:
      case LogicalOperatorType::LOGICAL_EXCEPT:
      case LogicalOperatorType::LOGICAL_INTERSECT:
        for (const auto index : op.GetTableIndex()) by_table_index_[index] = &op;
        break;
      case LogicalOperatorType::LOGICAL_MATERIALIZED_CTE:
        ctes_[op.Cast<duckdb::LogicalMaterializedCTE>().table_index] = op.children[0].get();
        break;
      default:
        break;
    }
    for (auto& child : op.children) collect(*child);
  }

  static const model::ColumnDefinition* scan_column_of(duckdb::LogicalGet& get, ColumnBinding binding) {
    const ScanTarget* target = scan_target(get);
    const auto& ids = get.GetColumnIds();
    if (!target || binding.column_index >= ids.size()) return nullptr;
    return scan_column_definition(*target, ids[binding.column_index].GetPrimaryIndex());
  }

  static bool follow(const duckdb::vector<duckdb::unique_ptr<duckdb::Expression>>& expressions,
                     ColumnBinding& binding) {
    if (binding.column_index >= expressions.size()) return false;
    const auto& expression = *expressions[binding.column_index];
    if (expression.GetExpressionClass() != duckdb::ExpressionClass::BOUND_COLUMN_REF) return false;
    binding = expression.Cast<duckdb::BoundColumnRefExpression>().binding;
    return true;
  }

  static bool enter(LogicalOperator& op, ColumnBinding& binding) {
    const auto bindings = op.GetColumnBindings();
    if (binding.column_index >= bindings.size()) return false;
    binding = bindings[binding.column_index];
    return true;
  }

  std::unordered_map<duckdb::idx_t, LogicalOperator*> by_table_index_;
  std::unordered_map<duckdb::idx_t, LogicalOperator*> ctes_;
};

// The scan under a plain SELECT: [limit] projection [filter] get. nullptr for any other plan.
duckdb::unique_ptr<LogicalOperator>* below_plain_projection(duckdb::unique_ptr<LogicalOperator>& plan) {
  auto* op = &plan;
  if ((*op)->type == LogicalOperatorType::LOGICAL_LIMIT) op = &(*op)->children[0];
  if ((*op)->type != LogicalOperatorType::LOGICAL_PROJECTION) return nullptr;
  auto* below = &(*op)->children[0];
  auto* scan = below;
  if ((*scan)->type == LogicalOperatorType::LOGICAL_FILTER) scan = &(*scan)->children[0];
  return (*scan)->type == LogicalOperatorType::LOGICAL_GET ? below : nullptr;
}

void order_by_key(duckdb::unique_ptr<LogicalOperator>& plan, uint64_t max_rows) {
  auto* below = below_plain_projection(plan);
  if (!below) return;
  auto& scan_op = (*below)->type == LogicalOperatorType::LOGICAL_GET ? **below : *(*below)->children[0];
  auto& get = scan_op.Cast<duckdb::LogicalGet>();
  const ScanTarget* target = scan_target(get);
  // Hot rows alone come in key order as they are.
  if (!target || target->all_segments().empty() || target->row_estimate() > max_rows) return;
  duckdb::vector<duckdb::BoundOrderByNode> orders;
  for (const auto* column : target->table->primary_key()) {
    const auto id = scan_column_id(*target, *column);
    duckdb::idx_t position = 0;
    while (position < get.GetColumnIds().size() && get.GetColumnIds()[position].GetPrimaryIndex() != id) ++position;
    if (position == get.GetColumnIds().size()) get.AddColumnId(id);
    auto reference = duckdb::make_uniq<duckdb::BoundColumnRefExpression>(get.GetColumnType(duckdb::ColumnIndex(id)),
                                                                         ColumnBinding(get.table_index, position));
    orders.emplace_back(duckdb::OrderType::ASCENDING, duckdb::OrderByNullType::NULLS_LAST, std::move(reference));
  }
  if (orders.empty()) return;
  auto order = duckdb::make_uniq<duckdb::LogicalOrder>(std::move(orders));
  order->children.push_back(std::move(*below));
  *below = std::move(order);
}

using BoundExpression = duckdb::unique_ptr<duckdb::Expression>;

// The same value, of which the optimiser does not know what it is.
void make_opaque(BoundExpression& expression) {
  auto opaque = duckdb::make_uniq<duckdb::BoundOperatorExpression>(duckdb::ExpressionType::OPERATOR_COALESCE,
                                                                   expression->return_type);
  opaque->children.push_back(std::move(expression));
  expression = std::move(opaque);
}

bool is_date_trunc(const duckdb::Expression& expression) {
  return expression.GetExpressionClass() == duckdb::ExpressionClass::BOUND_FUNCTION &&
         expression.Cast<duckdb::BoundFunctionExpression>().function.name == "date_trunc";
}

// DuckDB 1.4 makes TRUE of comparisons that are NULL, in date_trunc_simplification.cpp of date_trunc(part, NULL) <>
// constant, and in comparison_simplification.cpp of TRY_CAST(value AS type) > constant where the value does not fit.
void guard_simplifications(BoundExpression& expression) {
  duckdb::ExpressionIterator::EnumerateChildren(*expression, guard_simplifications);
  if (expression->GetExpressionType() == duckdb::ExpressionType::COMPARE_NOTEQUAL) {
    auto& comparison = expression->Cast<duckdb::BoundComparisonExpression>();
    for (auto* side : {&comparison.left, &comparison.right}) {
      if (is_date_trunc(**side)) make_opaque(*side);
    }
  }
  if (expression->GetExpressionClass() == duckdb::ExpressionClass::BOUND_CAST &&
      expression->Cast<duckdb::BoundCastExpression>().try_cast) {
    make_opaque(expression);
  }
}

void guard_simplifications(LogicalOperator& op) {
  duckdb::LogicalOperatorVisitor::EnumerateExpressions(
      op, [](BoundExpression* expression) { guard_simplifications(*expression); });
  for (auto& child : op.children) guard_simplifications(*child);
}

// Where rows are ordered. A LIMIT without order ends early by itself, and reading twice would open every segment.
void materialize_late_where_ordered(LogicalOperator& op, bool is_ordered) {
  switch (op.type) {
    case LogicalOperatorType::LOGICAL_GET:
      if (is_ordered) allow_late_materialization(op.Cast<duckdb::LogicalGet>());
      break;
    case LogicalOperatorType::LOGICAL_ORDER_BY:
      is_ordered = true;
      break;
    case LogicalOperatorType::LOGICAL_PROJECTION:
    case LogicalOperatorType::LOGICAL_FILTER:
      break;
    default:
      is_ordered = false;
  }
  for (auto& child : op.children) materialize_late_where_ordered(*child, is_ordered);
}

void before_optimizing(duckdb::OptimizerExtensionInput& input, duckdb::unique_ptr<LogicalOperator>& plan) {
  guard_simplifications(*plan);
  materialize_late_where_ordered(*plan, false);
  auto state = input.context.registered_state->Get<QueryState>(QueryState::kKey);
  if (!state || state->planned || state->plain) return;
  state->planned = true;
  const ColumnTracer tracer(*plan);
  for (const auto& binding : plan->GetColumnBindings()) state->result_sources.push_back(tracer.trace(binding));
  order_by_key(plan, state->key_order_max_rows);
}

// Which segments a scan will leave out is decided as it starts, by the filters that it has now.
void note_kept_segments(LogicalOperator& op) {
  for (auto& child : op.children) note_kept_segments(*child);
  if (op.type != LogicalOperatorType::LOGICAL_GET) return;
  auto& get = op.Cast<duckdb::LogicalGet>();
  const ScanTarget* target = scan_target(get);
  if (!target) return;
  const ScanBounds bounds = scan_bounds(*target->table, [&](const model::ColumnDefinition& column) {
    for (const auto& [id, filter] : get.table_filters.filters)
      if (scan_column_definition(*target, id) == &column) return filter.get();
    return static_cast<duckdb::TableFilter*>(nullptr);
  });
  target->kept_segments =
      std::ranges::count_if(target->all_segments(), [&](const Segment& segment) { return may_match(segment, bounds); });
}

void after_optimizing(duckdb::OptimizerExtensionInput& input, duckdb::unique_ptr<LogicalOperator>& plan) {
  auto state = input.context.registered_state->Get<QueryState>(QueryState::kKey);
  if (state && state->plain) note_kept_segments(*plan);
}

}  // namespace

void register_plan_hook(duckdb::DBConfig& config) {
  duckdb::OptimizerExtension extension;
  extension.pre_optimize_function = before_optimizing;
  extension.optimize_function = after_optimizing;
  config.optimizer_extensions.push_back(std::move(extension));
}

}  // namespace kalamdb::duck
