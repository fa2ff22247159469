#include "duck/predicate.h"

#include "duck/duck_error.h"
#include "duck/rewrite.h"
#include "duck/statement_impl.h"
#include "duck/table_scan.h"
#include "duck/types.h"
#include "duckdb/execution/expression_executor.hpp"
#include "duckdb/parser/query_node/select_node.hpp"
#include "duckdb/parser/statement/select_statement.hpp"
#include "duckdb/parser/tableref/basetableref.hpp"
#include "duckdb/planner/expression/bound_cast_expression.hpp"
#include "duckdb/planner/expression/bound_columnref_expression.hpp"
#include "duckdb/planner/expression/bound_constant_expression.hpp"
#include "duckdb/planner/expression/bound_reference_expression.hpp"
#include "duckdb/planner/expression_iterator.hpp"
#include "duckdb/planner/operator/logical_get.hpp"
#include "duckdb/planner/planner.hpp"

namespace kalamdb::duck {

namespace {

using BoundExpression = duckdb::unique_ptr<duckdb::Expression>;

// The subscription's own table, by the name that it was written with, and no other; binding needs its columns only.
class OneTable : public SourceResolver {
 public:
  OneTable(const model::TablePtr& table, const duckdb::TableRef& from)
      : table_(table), name_(duckdb::StringUtil::Lower(from.Cast<duckdb::BaseTableRef>().table_name)) {}
  Result<TableSource> open(const TableName& name) override {
    if (name.name != name_) return fail(ErrorCode::kInvalidSql, "A subscription reads one table only");
    return TableSource{.computed = ComputedRows{table_, std::make_shared<const std::vector<model::Row>>()}};
  }

 private:
  model::TablePtr table_;
  std::string name_;
};

void fold_constants(duckdb::ClientContext& context, BoundExpression& expression) {
  if (expression->IsFoldable()) {
    duckdb::Value value;
    if (duckdb::ExpressionExecutor::TryEvaluateScalar(context, *expression, value))
      expression = duckdb::make_uniq<duckdb::BoundConstantExpression>(std::move(value));
    return;
  }
  duckdb::ExpressionIterator::EnumerateChildren(*expression,
                                                [&](BoundExpression& child) { fold_constants(context, child); });
}

class BoundPredicate : public Predicate {
 public:
  BoundPredicate(std::unique_ptr<Session> session, model::TablePtr table)
      : session_(std::move(session)), table_(std::move(table)) {}

  Result<> bind(const Statement& select, const QueryContext& context) {
    auto tree = select.impl().tree->Copy();
    auto query = std::move(tree->Cast<duckdb::SelectStatement>().node);
    auto& node = query->Cast<duckdb::SelectNode>();
    node.select_list.clear();
    node.select_list.push_back(std::move(node.where_clause));
    OneTable tables(table_, *node.from_table);
    KALAM_CHECK(Rewriter(session_->state(), tables, context.parameters).run(*query));
    std::optional<Error> error;
    session_->context().RunFunctionInTransaction([&] {
      duckdb::Planner planner(session_->context());
      planner.CreatePlan(select_statement(std::move(query)));
      if (auto taken = take_expression(*planner.plan); !taken) error = std::move(taken).error();
    });
    if (error) return fail(*std::move(error));
    return {};
  }

  Result<> evaluate(std::span<const model::RowRecord> rows, std::vector<char>& matches) override {
    matches.assign(rows.size(), 0);
    return guarded([&] {
      Result<> outcome;
      // age() and its like ask their transaction for the time.
      session_->context().RunFunctionInTransaction([&] { outcome = evaluate_all(rows, matches); });
      return outcome;
    });
  }

  const std::vector<const model::ColumnDefinition*>& columns() const override { return columns_; }
  bool is_deterministic() const override { return consistent_ && !session_->state().mentions_request; }

 private:
  Result<> evaluate_all(std::span<const model::RowRecord> rows, std::vector<char>& matches) {
    for (size_t begin = 0; begin < rows.size(); begin += STANDARD_VECTOR_SIZE) {
      const size_t count = std::min<size_t>(STANDARD_VECTOR_SIZE, rows.size() - begin);
      KALAM_CHECK(load(rows.subspan(begin, count)));
      duckdb::SelectionVector selected(count);
      const auto found = executor_->SelectExpression(chunk_, selected);
      for (duckdb::idx_t i = 0; i < found; ++i) matches[begin + selected.get_index(i)] = 1;
    }
    return {};
  }

  // The plan of SELECT predicate FROM table must be projections over the scan: the predicate is at their top.
  Result<> take_expression(duckdb::LogicalOperator& plan) {
    if (plan.type != duckdb::LogicalOperatorType::LOGICAL_PROJECTION || plan.expressions.size() != 1)
      return not_supported();
    expression_ = std::move(plan.expressions[0]);
    auto* below = plan.children[0].get();
    // `_updated` is a projection of its own between them.
    while (below->type == duckdb::LogicalOperatorType::LOGICAL_PROJECTION) {
      inline_projection(expression_, *below);
      below = below->children[0].get();
    }
    if (below->type != duckdb::LogicalOperatorType::LOGICAL_GET) return not_supported();
    auto& get = below->Cast<duckdb::LogicalGet>();
    if (expression_->IsVolatile() || expression_->HasSubquery() || expression_->IsAggregate() ||
        expression_->IsWindow()) {
      return not_supported();
    }
    consistent_ = expression_->IsConsistent();
    expression_ = duckdb::BoundCastExpression::AddCastToType(session_->context(), std::move(expression_),
                                                             duckdb::LogicalType::BOOLEAN);
    fold_constants(session_->context(), expression_);
    duckdb::vector<duckdb::LogicalType> types;
    bind_columns(expression_, get, types);
    // A predicate without columns still needs rows to be counted.
    if (types.empty()) types.push_back(duckdb::LogicalType::BOOLEAN);
    chunk_.Initialize(duckdb::Allocator::DefaultAllocator(), types);
    executor_ = std::make_unique<duckdb::ExpressionExecutor>(session_->context(), *expression_);
    return {};
  }

  static std::unexpected<Error> not_supported() {
    return fail(
        ErrorCode::kInvalidSql,
        "The condition is evaluated row by row: subqueries, aggregates and volatile functions are not supported");
  }

  static void inline_projection(BoundExpression& expression, duckdb::LogicalOperator& projection) {
    if (expression->GetExpressionClass() == duckdb::ExpressionClass::BOUND_COLUMN_REF) {
      const auto index = expression->Cast<duckdb::BoundColumnRefExpression>().binding.column_index;
      expression = projection.expressions[index]->Copy();
      return;
    }
    duckdb::ExpressionIterator::EnumerateChildren(
        *expression, [&](BoundExpression& child) { inline_projection(child, projection); });
  }

  void bind_columns(BoundExpression& expression, const duckdb::LogicalGet& get,
                    duckdb::vector<duckdb::LogicalType>& types) {
    if (expression->GetExpressionClass() == duckdb::ExpressionClass::BOUND_COLUMN_REF) {
      const auto& reference = expression->Cast<duckdb::BoundColumnRefExpression>();
      const auto id = get.GetColumnIds()[reference.binding.column_index].GetPrimaryIndex();
      const auto* column = scan_column_definition(*scan_target(get), id);
      size_t position = 0;
      while (position < columns_.size() && columns_[position] != column) ++position;
      if (position == columns_.size()) {
        columns_.push_back(column);
        types.push_back(reference.return_type);
      }
      expression = duckdb::make_uniq<duckdb::BoundReferenceExpression>(reference.return_type, position);
      return;
    }
    duckdb::ExpressionIterator::EnumerateChildren(*expression,
                                                  [&](BoundExpression& child) { bind_columns(child, get, types); });
  }

  Result<> load(std::span<const model::RowRecord> rows) {
    chunk_.Reset();
    for (size_t row = 0; row < rows.size(); ++row) {
      KALAM_TRY(const auto view, model::RowView::open(rows[row].row));
      for (size_t i = 0; i < columns_.size(); ++i) {
        const auto& column = *columns_[i];
        if (column.name == model::kSeqColumn) {
          write_cell(chunk_.data[i], row, rows[row].seq, column.type);
        } else if (column.name == model::kDeletedColumn) {
          write_cell(chunk_.data[i], row, rows[row].deleted, column.type);
        } else {
          KALAM_TRY(const auto value, view.get(column));
          write_cell(chunk_.data[i], row, value, column.type);
        }
      }
    }
    chunk_.SetCardinality(rows.size());
    return {};
  }

  std::unique_ptr<Session> session_;
  model::TablePtr table_;
  std::vector<const model::ColumnDefinition*> columns_;  // of the chunk
  duckdb::DataChunk chunk_;
  BoundExpression expression_;
  bool consistent_ = true;
  std::unique_ptr<duckdb::ExpressionExecutor> executor_;
};

}  // namespace

Result<std::unique_ptr<Predicate>> make_predicate(std::unique_ptr<Session> session, const Statement& select,
                                                  const model::TablePtr& table, const QueryContext& context) {
  return guarded([&]() -> Result<std::unique_ptr<Predicate>> {
    const auto& node = select.impl().tree->Cast<duckdb::SelectStatement>().node;
    if (node->type != duckdb::QueryNodeType::SELECT_NODE)
      return fail(ErrorCode::kInvalidSql, "A subscription is a plain SELECT of one table");
    if (!node->Cast<duckdb::SelectNode>().where_clause) return nullptr;
    auto predicate = std::make_unique<BoundPredicate>(std::move(session), table);
    KALAM_CHECK(predicate->bind(select, context));
    return predicate;
  });
}

}  // namespace kalamdb::duck
