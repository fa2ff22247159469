#include "duck/rewrite.h"

#include "duck/dialect.h"
#include "duck/statement_impl.h"
#include "duck/table_scan.h"
#include "duck/types.h"
#include "duckdb/parser/common_table_expression_info.hpp"
#include "duckdb/parser/expression/list.hpp"
#include "duckdb/parser/parsed_expression_iterator.hpp"
#include "duckdb/parser/query_node/list.hpp"
#include "duckdb/parser/result_modifier.hpp"
#include "duckdb/parser/statement/select_statement.hpp"
#include "duckdb/parser/tableref/list.hpp"

namespace kalamdb::duck {

using duckdb::make_uniq;

namespace {

constexpr int kMaxViewDepth = 16;
constexpr size_t kMaxViews = 256;  // in one statement, those within others counted too

std::string lower(const std::string& name) { return duckdb::StringUtil::Lower(name); }

duckdb::unique_ptr<duckdb::ParsedExpression> constant(duckdb::Value value) {
  return make_uniq<duckdb::ConstantExpression>(std::move(value));
}

duckdb::unique_ptr<duckdb::ParsedExpression> call(const char* function,
                                                  duckdb::unique_ptr<duckdb::ParsedExpression> left,
                                                  duckdb::unique_ptr<duckdb::ParsedExpression> right) {
  duckdb::vector<duckdb::unique_ptr<duckdb::ParsedExpression>> arguments;
  arguments.push_back(std::move(left));
  if (right) arguments.push_back(std::move(right));
  return make_uniq<duckdb::FunctionExpression>(function, std::move(arguments));
}

// `_updated`, the commit time within `_seq`, as seq_time_us() computes it.
duckdb::unique_ptr<duckdb::ParsedExpression> updated_column() {
  auto sequence = make_uniq<duckdb::ColumnRefExpression>(std::string(model::kSeqColumn));
  auto since_epoch = call("+", call(">>", std::move(sequence), constant(duckdb::Value::BIGINT(22))),
                          constant(duckdb::Value::BIGINT(kSeqEpochMs)));
  auto micros = call("*", std::move(since_epoch), constant(duckdb::Value::BIGINT(1000)));
  auto updated = call("make_timestamp", std::move(micros), nullptr);
  updated->SetAlias(std::string(model::kUpdatedColumn));
  return updated;
}

duckdb::unique_ptr<duckdb::TableRef> subquery_ref(duckdb::unique_ptr<duckdb::QueryNode> node) {
  auto select = make_uniq<duckdb::SelectStatement>();
  select->node = std::move(node);
  return make_uniq<duckdb::SubqueryRef>(std::move(select));
}

// (SELECT *, hidden columns, … AS _updated FROM scan)
duckdb::unique_ptr<duckdb::TableRef> with_hidden_columns(duckdb::unique_ptr<duckdb::TableRef> scan,
                                                         const std::vector<std::string>& hidden) {
  auto node = make_uniq<duckdb::SelectNode>();
  node->select_list.push_back(make_uniq<duckdb::StarExpression>());
  for (const auto& name : hidden) node->select_list.push_back(make_uniq<duckdb::ColumnRefExpression>(name));
  node->select_list.push_back(updated_column());
  node->from_table = std::move(scan);
  return subquery_ref(std::move(node));
}

}  // namespace

duckdb::unique_ptr<duckdb::TableRef> scan_ref(size_t slot) {
  auto ref = make_uniq<duckdb::TableFunctionRef>();
  ref->function = call(kScanFunction, constant(duckdb::Value::UBIGINT(slot)), nullptr);
  return ref;
}

duckdb::unique_ptr<duckdb::QueryNode> select_all_from(duckdb::unique_ptr<duckdb::QueryNode> query) {
  auto node = make_uniq<duckdb::SelectNode>();
  node->select_list.push_back(make_uniq<duckdb::StarExpression>());
  node->from_table = subquery_ref(std::move(query));
  return node;
}

Result<> Rewriter::run(duckdb::QueryNode& node) {
  query(node);
  if (error_) return fail(*std::move(error_));
  for (auto& select : selects_) KALAM_CHECK(replace_tables(*select));
  shorten_columns();
  return {};
}

// The walk: constants for parameters, and notes of what is replaced once all is known
// ----------------------------------

void Rewriter::ctes(duckdb::CommonTableExpressionMap& map) {
  for (auto& entry : map.map) {
    query(*entry.second->query->node);
    expressions(entry.second->key_targets);
    scope_.push_back(lower(entry.first));
  }
}

void Rewriter::query(duckdb::QueryNode& node) {
  const size_t outer_scope = scope_.size();
  Select* outer_select = current_;
  ctes(node.cte_map);
  switch (node.type) {
    case duckdb::QueryNodeType::SELECT_NODE:
      select(node.Cast<duckdb::SelectNode>());
      break;
    case duckdb::QueryNodeType::SET_OPERATION_NODE: {
      auto& operation = node.Cast<duckdb::SetOperationNode>();
      query(*operation.left);
      query(*operation.right);
      break;
    }
    case duckdb::QueryNodeType::RECURSIVE_CTE_NODE: {
      auto& recursive = node.Cast<duckdb::RecursiveCTENode>();
      query(*recursive.left);
      scope_.push_back(lower(recursive.ctename));
      query(*recursive.right);
      expressions(recursive.key_targets);
      break;
    }
    case duckdb::QueryNodeType::CTE_NODE: {
      auto& cte = node.Cast<duckdb::CTENode>();
      // The map of this node repeats the chain of CTE nodes, so the names count from here.
      scope_.resize(outer_scope);
      query(*cte.query);
      scope_.push_back(lower(cte.ctename));
      if (cte.child) query(*cte.child);
      break;
    }
    default:
      error_.emplace(ErrorCode::kInvalidSql, "This kind of query is not supported");
  }
  modifiers(node);
  scope_.resize(outer_scope);
  current_ = outer_select;
}

void Rewriter::select(duckdb::SelectNode& node) {
  selects_.push_back(std::make_unique<Select>());
  Select* const own = current_ = selects_.back().get();
  // A column that is a subquery is named by its text, which is about to change.
  for (auto& column : node.select_list) {
    if (column->GetAlias().empty() && column->HasSubquery()) column->SetAlias(column->ToString());
  }
  expressions(node.select_list);
  current_ = own;
  if (node.from_table) from(node.from_table);
  current_ = nullptr;  // stars elsewhere than in the list are arguments, such as those of COUNT
  expression(node.where_clause);
  expressions(node.groups.group_expressions);
  expression(node.having);
  expression(node.qualify);
}

void Rewriter::modifiers(duckdb::QueryNode& node) {
  current_ = nullptr;
  for (auto& modifier : node.modifiers) {
    switch (modifier->type) {
      case duckdb::ResultModifierType::LIMIT_MODIFIER:
        expression(modifier->Cast<duckdb::LimitModifier>().limit);
        expression(modifier->Cast<duckdb::LimitModifier>().offset);
        break;
      case duckdb::ResultModifierType::LIMIT_PERCENT_MODIFIER:
        expression(modifier->Cast<duckdb::LimitPercentModifier>().limit);
        expression(modifier->Cast<duckdb::LimitPercentModifier>().offset);
        break;
      case duckdb::ResultModifierType::ORDER_MODIFIER:
        for (auto& order : modifier->Cast<duckdb::OrderModifier>().orders) expression(order.expression);
        break;
      case duckdb::ResultModifierType::DISTINCT_MODIFIER:
        expressions(modifier->Cast<duckdb::DistinctModifier>().distinct_on_targets);
        break;
    }
  }
}

void Rewriter::from(duckdb::unique_ptr<duckdb::TableRef>& ref) {
  switch (ref->type) {
    case duckdb::TableReferenceType::BASE_TABLE: {
      const auto& table = ref->Cast<duckdb::BaseTableRef>();
      const bool is_cte = table.schema_name.empty() && table.catalog_name.empty() &&
                          std::find(scope_.begin(), scope_.end(), lower(table.table_name)) != scope_.end();
      if (!is_cte) current_->tables.push_back(&ref);
      return;
    }
    case duckdb::TableReferenceType::SUBQUERY:
      return query(*ref->Cast<duckdb::SubqueryRef>().subquery->node);
    case duckdb::TableReferenceType::JOIN: {
      auto& join = ref->Cast<duckdb::JoinRef>();
      from(join.left);
      from(join.right);
      return expression(join.condition);
    }
    case duckdb::TableReferenceType::TABLE_FUNCTION: {
      auto& function = ref->Cast<duckdb::TableFunctionRef>();
      Select* const own = current_;
      for (auto& argument : function.function->Cast<duckdb::FunctionExpression>().children) expression(argument);
      if (function.subquery) query(*function.subquery->node);
      current_ = own;
      return;
    }
    case duckdb::TableReferenceType::EXPRESSION_LIST:
      for (auto& row : ref->Cast<duckdb::ExpressionListRef>().values) expressions(row);
      return;
    case duckdb::TableReferenceType::EMPTY_FROM:
      return;
    default:
      error_.emplace(ErrorCode::kInvalidSql, "This kind of table reference is not supported");
  }
}

void Rewriter::expressions(duckdb::vector<ExpressionSlot>& slots) {
  for (auto& slot : slots) expression(slot);
}

void Rewriter::expression(ExpressionSlot& slot) {
  if (!slot) return;
  switch (slot->GetExpressionClass()) {
    case duckdb::ExpressionClass::PARAMETER:
      return parameter(slot);
    case duckdb::ExpressionClass::COLUMN_REF: {
      auto& column = slot->Cast<duckdb::ColumnRefExpression>();
      if (column.column_names.size() >= 3) qualified_columns_.push_back(&column);
      if (duckdb::StringUtil::CIEquals(column.column_names.back(), std::string(model::kUpdatedColumn)))
        mentions_updated_ = true;
      return;
    }
    case duckdb::ExpressionClass::STAR: {
      auto& star = slot->Cast<duckdb::StarExpression>();
      if (current_ && !star.expr) current_->stars.push_back(&star);
      break;
    }
    case duckdb::ExpressionClass::SUBQUERY: {
      query(*slot->Cast<duckdb::SubqueryExpression>().subquery->node);
      break;  // and its left side
    }
    case duckdb::ExpressionClass::FUNCTION: {
      // Result columns are named as the operators were written.
      auto& name = slot->Cast<duckdb::FunctionExpression>().function_name;
      if (name == kJsonArrow || name == kJsonTextArrow) name.erase(0, 1);
      break;
    }
    default:
      break;
  }
  duckdb::ParsedExpressionIterator::EnumerateChildren(*slot, [&](ExpressionSlot& child) { expression(child); });
}

void Rewriter::parameter(ExpressionSlot& slot) {
  const auto& identifier = slot->Cast<duckdb::ParameterExpression>().identifier;
  const size_t number = std::strtoul(identifier.c_str(), nullptr, 10);
  if (number == 0 || number > parameters_.size()) {
    error_.emplace(ErrorCode::kParamCountMismatch, "The statement uses $" + identifier + " but " +
                                                       std::to_string(parameters_.size()) + " parameter(s) were given");
    return;
  }
  auto value = constant(to_duck_literal(parameters_[number - 1]));
  value->SetAlias(slot->GetAlias());
  slot = std::move(value);
}

// The replacement
// ------------------------------------------------------------------------------------------------------

Result<> Rewriter::replace_tables(Select& select) {
  std::map<std::string, std::set<std::string>> hidden;  // of each table that got extra columns, by lower-case alias
  for (auto* ref : select.tables) {
    const auto& table = (*ref)->Cast<duckdb::BaseTableRef>();
    auto& names = hidden[lower(table.alias.empty() ? table.table_name : table.alias)];
    KALAM_CHECK(replace_table(*ref, names));
  }
  for (auto* star : select.stars) {
    for (const auto& [alias, names] : hidden) {
      if (!star->relation_name.empty() && lower(star->relation_name) != alias) continue;
      for (const auto& name : names) star->exclude_list.insert(duckdb::QualifiedColumnName(name));
    }
  }
  return {};
}

Result<> Rewriter::replace_table(duckdb::unique_ptr<duckdb::TableRef>& ref, std::set<std::string>& hidden) {
  const auto& table = ref->Cast<duckdb::BaseTableRef>();
  const TableName name{lower(table.schema_name), lower(table.table_name)};
  auto found = opened_.find({name.schema, name.name});
  if (options_.given == ref.get()) {
    found = opened_.emplace(std::pair<std::string, std::string>(), TableSource{.computed = options_.given_rows}).first;
  }
  if (found == opened_.end()) {
    KALAM_TRY(TableSource source, resolver_.open(name));
    found = opened_.emplace(std::pair{name.schema, name.name}, std::move(source)).first;
  }
  const TableSource& source = found->second;
  if (table.alias.empty()) readable_as_.emplace(name.schema, name.name);

  duckdb::unique_ptr<duckdb::TableRef> replacement;
  if (source.view) {
    const auto& view = *source.view->view;
    if (table.alias.empty()) readable_as_.emplace(view.namespace_id, view.name);
    KALAM_TRY(replacement, expand_view(*source.view));
    for (const auto name : {model::kSeqColumn, model::kDeletedColumn}) {
      if (options_.hide_system_columns && view.find_column(name)) hidden.emplace(name);
    }
  } else {
    ScanTarget target{.table = source.scan ? source.scan->table() : source.computed->table, .source = source};
    target.hide_system_columns = options_.hide_system_columns;
    target.with_position = options_.positioned == ref.get();
    if (table.alias.empty()) readable_as_.emplace(target.table->namespace_id, name.name);
    const bool has_seq = target.table->find_column(model::kSeqColumn) != nullptr;
    const auto names = hidden_columns(target);
    replacement = scan_ref(state_.add(std::move(target)));
    if (mentions_updated_ && has_seq) {
      replacement = with_hidden_columns(std::move(replacement), names);
      hidden.insert(names.begin(), names.end());
      hidden.insert(std::string(model::kUpdatedColumn));
    }
  }
  replacement->alias = table.alias.empty() ? table.table_name : table.alias;
  replacement->column_name_alias = table.column_name_alias;
  replacement->sample = std::move(ref->sample);
  ref = std::move(replacement);
  return {};
}

// Columns are taken by name: a `*` in the view stays what it was when tables beneath get columns.
Result<duckdb::unique_ptr<duckdb::TableRef>> Rewriter::expand_view(const ViewSource& source) {
  if (depth_ == kMaxViewDepth || ++state_.views > kMaxViews) {
    return fail(ErrorCode::kInvalidOperation, "Views are nested too deeply");
  }
  auto tree = source.select->impl().tree->Copy();
  auto& node = tree->Cast<duckdb::SelectStatement>().node;
  Rewriter inner(state_, *source.tables, {});
  inner.depth_ = depth_ + 1;
  KALAM_CHECK(inner.run(*node));
  auto named = make_uniq<duckdb::SelectNode>();
  for (size_t i = 0; i < source.view->columns.size(); ++i) {
    named->select_list.push_back(make_uniq<duckdb::ColumnRefExpression>(source.view->view->output[i]));
    named->select_list.back()->SetAlias(source.view->columns[i].name);
  }
  named->from_table = subquery_ref(std::move(node));
  return subquery_ref(std::move(named));
}

// A scan has no schema, so ns.table.column becomes table.column.
void Rewriter::shorten_columns() {
  for (auto* column : qualified_columns_) {
    auto& names = column->column_names;
    if (names.size() >= 4 && lower(names[0]) == "kalam" && readable_as_.contains({lower(names[1]), lower(names[2])}))
      names.erase(names.begin());
    if (names.size() >= 3 && readable_as_.contains({lower(names[0]), lower(names[1])})) names.erase(names.begin());
  }
}

}  // namespace kalamdb::duck
