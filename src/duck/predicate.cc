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
#include "duckdb/planner/expression/bound_comparison_expression.hpp"
#include "duckdb/planner/expression/bound_conjunction_expression.hpp"
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

// Expressions over one table's stored rows, which are put into a chunk with the columns that they need.
class RowExpressionBinding {
 public:
  RowExpressionBinding(std::unique_ptr<Session> session, model::TablePtr table)
      : session_(std::move(session)), table_(std::move(table)) {}

  // The SELECT list of `query`, which has nothing else but FROM.
  Result<> bind(duckdb::unique_ptr<duckdb::QueryNode> query, const QueryContext& context) {
    OneTable tables(table_, *query->Cast<duckdb::SelectNode>().from_table);
    KALAM_CHECK(Rewriter(session_->state(), tables, context.parameters).run(*query));
    std::optional<Error> error;
    session_->context().RunFunctionInTransaction([&] {
      duckdb::Planner planner(session_->context());
      planner.CreatePlan(select_statement(std::move(query)));
      if (auto taken = take_expressions(*planner.plan); !taken) error = std::move(taken).error();
    });
    if (error) return fail(*std::move(error));
    return {};
  }

  // Casts the expression `i` to a type; before start().
  void cast(size_t i, const duckdb::LogicalType& type) {
    expressions_[i] = duckdb::BoundCastExpression::AddCastToType(session_->context(), std::move(expressions_[i]), type);
  }

  void start() {
    duckdb::vector<duckdb::LogicalType> types;
    for (auto& expression : expressions_) {
      fold_constants(session_->context(), expression);
      bind_columns(expression, types);
    }
    // Expressions without columns still need rows to be counted.
    if (types.empty()) types.push_back(duckdb::LogicalType::BOOLEAN);
    chunk_.Initialize(duckdb::Allocator::DefaultAllocator(), types);
    executor_ = std::make_unique<duckdb::ExpressionExecutor>(session_->context(), expressions_);
  }

  // `visit(begin, count, executor, chunk)` for parts of `rows` that fit a chunk, which has them.
  template <typename Visit>
  Result<> for_each_chunk(std::span<const model::RowRecord> rows, const Visit& visit) {
    return guarded([&] {
      Result<> outcome;
      // age() and its like ask their transaction for the time.
      session_->context().RunFunctionInTransaction([&] {
        for (size_t begin = 0; outcome && begin < rows.size(); begin += STANDARD_VECTOR_SIZE) {
          const size_t count = std::min<size_t>(STANDARD_VECTOR_SIZE, rows.size() - begin);
          outcome = load(rows.subspan(begin, count));
          if (outcome) visit(begin, count, *executor_, chunk_);
        }
      });
      return outcome;
    });
  }

  const duckdb::vector<BoundExpression>& expressions() const { return expressions_; }
  const std::vector<const model::ColumnDefinition*>& columns() const { return columns_; }
  bool is_deterministic() const { return is_consistent_ && !session_->state().mentions_request; }
  bool depends_on_time() const { return !is_consistent_ || session_->state().mentions_time; }

 private:
  // The plan of SELECT expressions FROM table must be projections over the scan: the expressions are at their top.
  Result<> take_expressions(duckdb::LogicalOperator& plan) {
    if (plan.type != duckdb::LogicalOperatorType::LOGICAL_PROJECTION) return not_supported();
    expressions_ = std::move(plan.expressions);
    auto* below = plan.children[0].get();
    // `_updated` is a projection of its own between them.
    while (below->type == duckdb::LogicalOperatorType::LOGICAL_PROJECTION) {
      for (auto& expression : expressions_) inline_projection(expression, *below);
      below = below->children[0].get();
    }
    if (below->type != duckdb::LogicalOperatorType::LOGICAL_GET) return not_supported();
    const auto& get = below->Cast<duckdb::LogicalGet>();
    const auto target = scan_target(get);
    for (const auto& id : get.GetColumnIds()) {
      scanned_.push_back(scan_column_definition(*target, id.GetPrimaryIndex()));
    }
    for (const auto& expression : expressions_) {
      if (expression->IsVolatile() || expression->HasSubquery() || expression->IsAggregate() ||
          expression->IsWindow()) {
        return not_supported();
      }
      is_consistent_ = is_consistent_ && expression->IsConsistent();
    }
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

  void bind_columns(BoundExpression& expression, duckdb::vector<duckdb::LogicalType>& types) {
    if (expression->GetExpressionClass() == duckdb::ExpressionClass::BOUND_COLUMN_REF) {
      const auto& reference = expression->Cast<duckdb::BoundColumnRefExpression>();
      const auto* column = scanned_[reference.binding.column_index];
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
                                                  [&](BoundExpression& child) { bind_columns(child, types); });
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
  std::vector<const model::ColumnDefinition*> scanned_;  // of the plan's scan
  std::vector<const model::ColumnDefinition*> columns_;  // of the chunk
  duckdb::DataChunk chunk_;
  duckdb::vector<BoundExpression> expressions_;
  bool is_consistent_ = true;
  std::unique_ptr<duckdb::ExpressionExecutor> executor_;
};

// column = constant, as many filters are: without DuckDB, of which it keeps nothing.
class EqualityPredicate : public Predicate {
 public:
  EqualityPredicate(model::TablePtr table, Equality equality, bool is_deterministic)
      : table_(std::move(table)),
        equality_(std::move(equality)),
        columns_{equality_->column},
        is_deterministic_(is_deterministic) {}

  Result<> evaluate(std::span<const model::RowRecord> rows, std::vector<char>& matches) override {
    matches.assign(rows.size(), 0);
    const model::ValueView wanted = model::view(equality_->value);
    for (size_t i = 0; i < rows.size(); ++i) {
      KALAM_TRY(const auto view, model::RowView::open(rows[i].row));
      KALAM_TRY(const auto value, view.get(*equality_->column));
      matches[i] = model::same(value, wanted) ? 1 : 0;
    }
    return {};
  }

  const std::vector<const model::ColumnDefinition*>& columns() const override { return columns_; }
  bool is_deterministic() const override { return is_deterministic_; }
  bool depends_on_time() const override { return false; }
  const std::optional<Equality>& equality() const override { return equality_; }

 private:
  const model::TablePtr table_;
  const std::optional<Equality> equality_;
  const std::vector<const model::ColumnDefinition*> columns_;
  const bool is_deterministic_;
};

class BoundPredicate : public Predicate {
 public:
  BoundPredicate(std::unique_ptr<Session> session, model::TablePtr table)
      : binding_(std::move(session), std::move(table)) {}

  Result<> bind(const Statement& select, const QueryContext& context) {
    auto tree = select.impl().tree->Copy();
    auto query = duckdb::make_uniq<duckdb::SelectNode>();
    auto& node = tree->Cast<duckdb::SelectStatement>().node->Cast<duckdb::SelectNode>();
    query->select_list.push_back(std::move(node.where_clause));
    query->from_table = std::move(node.from_table);
    KALAM_CHECK(binding_.bind(std::move(query), context));
    binding_.cast(0, duckdb::LogicalType::BOOLEAN);
    binding_.start();
    const duckdb::Expression& expression = *binding_.expressions()[0];
    equality_ = find_equality(expression);
    return {};
  }

  // It is nothing but the equality that it has, and the same at any time.
  bool is_equality() const {
    return equality_ && !depends_on_time() &&
           binding_.expressions()[0]->GetExpressionType() == duckdb::ExpressionType::COMPARE_EQUAL;
  }

  Result<> evaluate(std::span<const model::RowRecord> rows, std::vector<char>& matches) override {
    matches.assign(rows.size(), 0);
    return binding_.for_each_chunk(
        rows, [&](size_t begin, size_t count, duckdb::ExpressionExecutor& executor, duckdb::DataChunk& chunk) {
          duckdb::SelectionVector selected(count);
          const auto found = executor.SelectExpression(chunk, selected);
          for (duckdb::idx_t i = 0; i < found; ++i) matches[begin + selected.get_index(i)] = 1;
        });
  }

  const std::vector<const model::ColumnDefinition*>& columns() const override { return binding_.columns(); }
  bool is_deterministic() const override { return binding_.is_deterministic(); }
  bool depends_on_time() const override { return binding_.depends_on_time(); }
  const std::optional<Equality>& equality() const override { return equality_; }

 private:
  // column = constant, or one of those that are joined by AND, when neither side is cast.
  std::optional<Equality> find_equality(const duckdb::Expression& expression) const {
    if (expression.GetExpressionType() == duckdb::ExpressionType::CONJUNCTION_AND) {
      for (const auto& child : expression.Cast<duckdb::BoundConjunctionExpression>().children) {
        if (auto found = find_equality(*child)) return found;
      }
      return std::nullopt;
    }
    if (expression.GetExpressionType() != duckdb::ExpressionType::COMPARE_EQUAL) return std::nullopt;
    const auto& comparison = expression.Cast<duckdb::BoundComparisonExpression>();
    auto found = equality_of(*comparison.left, *comparison.right);
    return found ? found : equality_of(*comparison.right, *comparison.left);
  }

  std::optional<Equality> equality_of(const duckdb::Expression& column, const duckdb::Expression& constant) const {
    if (column.GetExpressionClass() != duckdb::ExpressionClass::BOUND_REF ||
        constant.GetExpressionClass() != duckdb::ExpressionClass::BOUND_CONSTANT) {
      return std::nullopt;
    }
    const auto* definition = binding_.columns()[column.Cast<duckdb::BoundReferenceExpression>().index];
    const model::TypeTag tag = definition->type.tag;
    // 0.0 = -0.0, and JSON texts that differ may be equal.
    const bool is_exact = tag == model::TypeTag::kBoolean || tag == model::TypeTag::kSmallInt ||
                          tag == model::TypeTag::kInt || tag == model::TypeTag::kBigInt ||
                          tag == model::TypeTag::kText || tag == model::TypeTag::kUuid ||
                          tag == model::TypeTag::kDate || tag == model::TypeTag::kTimestamp;
    if (!is_exact || definition->is_system()) return std::nullopt;
    auto value = to_model_value(constant.Cast<duckdb::BoundConstantExpression>().value, definition->type);
    if (!value) return std::nullopt;
    return Equality{definition, *std::move(value)};
  }

  RowExpressionBinding binding_;
  std::optional<Equality> equality_;
};

class BoundRowExpressions : public RowExpressions {
 public:
  BoundRowExpressions(std::unique_ptr<Session> session, model::TablePtr table)
      : binding_(std::move(session), std::move(table)) {}

  Result<> bind(duckdb::unique_ptr<duckdb::QueryNode> query, const QueryContext& context) {
    KALAM_CHECK(binding_.bind(std::move(query), context));
    if (binding_.depends_on_time()) {
      return fail(ErrorCode::kInvalidSql,
                  "A result that is kept up to date cannot depend on the time: use a column instead");
    }
    duckdb::vector<duckdb::LogicalType> stored;
    for (size_t i = 0; i < binding_.expressions().size(); ++i) {
      const ResultType type = to_result_type(binding_.expressions()[i]->return_type);
      binding_.cast(i, type.physical);
      types_.push_back(type.type);
      stored.push_back(type.physical);
    }
    binding_.start();
    values_.Initialize(duckdb::Allocator::DefaultAllocator(), stored);
    return {};
  }

  Result<> evaluate(std::span<const model::RowRecord> rows, std::vector<model::Row>& values) override {
    values.assign(rows.size(), {});
    return binding_.for_each_chunk(
        rows, [&](size_t begin, size_t count, duckdb::ExpressionExecutor& executor, duckdb::DataChunk& chunk) {
          values_.Reset();
          executor.Execute(chunk, values_);
          for (size_t i = 0; i < types_.size(); ++i) {
            const ColumnView view(values_.data[i], count, types_[i]);
            for (size_t row = 0; row < count; ++row) values[begin + row].push_back(model::to_value(view.cell(row)));
          }
        });
  }

  const std::vector<model::DataType>& types() const override { return types_; }

 private:
  RowExpressionBinding binding_;
  std::vector<model::DataType> types_;
  duckdb::DataChunk values_;
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
    if (predicate->is_equality()) {
      return std::make_unique<EqualityPredicate>(table, *predicate->equality(), predicate->is_deterministic());
    }
    return predicate;
  });
}

Result<std::unique_ptr<RowExpressions>> make_row_expressions(std::unique_ptr<Session> session,
                                                             duckdb::unique_ptr<duckdb::QueryNode> query,
                                                             const model::TablePtr& table,
                                                             const QueryContext& context) {
  return guarded([&]() -> Result<std::unique_ptr<RowExpressions>> {
    auto expressions = std::make_unique<BoundRowExpressions>(std::move(session), table);
    query->Cast<duckdb::SelectNode>().where_clause.reset();
    KALAM_CHECK(expressions->bind(std::move(query), context));
    return expressions;
  });
}

}  // namespace kalamdb::duck
