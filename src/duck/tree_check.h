// Walks the whole of a tree that DuckDB parsed and refuses whatever is not on the allow-lists. For src/duck only.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "duck/statement.h"
#include "duckdb.hpp"
#include "duckdb/parser/query_node.hpp"
#include "duckdb/parser/result_modifier.hpp"
#include "duckdb/parser/tableref.hpp"

namespace duckdb {
class ExplainStatement;
class OnConflictInfo;
class UpdateSetInfo;
}  // namespace duckdb

namespace kalamdb::duck {

// One statement, one use. Recursion is bounded by the parser's expression depth.
class TreeCheck {
 public:
  // Errors: kInvalidSql, naming what is refused first.
  Result<> run(const duckdb::SQLStatement& statement);

  // After a run without error.
  std::vector<TableName> take_tables() { return std::move(tables_); }
  uint32_t parameter_count() const { return parameter_count_; }
  bool uses_current_user() const { return uses_current_user_; }

 private:
  using Expressions = duckdb::vector<duckdb::unique_ptr<duckdb::ParsedExpression>>;

  void refuse(std::string what);
  void statement(const duckdb::SQLStatement& statement);
  void insert(const duckdb::InsertStatement& insert);
  void update(const duckdb::UpdateStatement& update);
  void remove(const duckdb::DeleteStatement& remove);
  void on_conflict(const duckdb::OnConflictInfo& info);
  void set_info(const duckdb::UpdateSetInfo& info);

  void query(const duckdb::QueryNode& node);
  void select(const duckdb::SelectNode& node);
  void modifier(const duckdb::ResultModifier& modifier);
  // Checks the queries of a WITH and leaves their names in scope: the caller restores `scope_` to its size before.
  void ctes(const duckdb::CommonTableExpressionMap& map);

  void from(const duckdb::TableRef& ref);
  void join(const duckdb::JoinRef& join);
  void base_table(const std::string& catalog, const std::string& schema, const std::string& name, bool may_be_cte);
  void table_function(const duckdb::TableFunctionRef& ref);

  void optional(const duckdb::unique_ptr<duckdb::ParsedExpression>& expression);
  void all(const Expressions& expressions);
  void orders(const duckdb::vector<duckdb::OrderByNode>& orders);
  void expression(const duckdb::ParsedExpression& expression);
  void operation(const duckdb::OperatorExpression& expression);
  void function(const duckdb::FunctionExpression& function);
  void window(const duckdb::WindowExpression& window);
  void column(const duckdb::ColumnRefExpression& column);
  void star(const duckdb::StarExpression& star);
  void parameter(const duckdb::ParameterExpression& parameter);
  void function_name(const std::string& catalog, const std::string& schema, const std::string& name);
  void type(const duckdb::LogicalType& type, uint64_t array_elements);

  std::string refusal_;             // the first; once there is one, the walk goes no further
  std::vector<std::string> scope_;  // names of the CTEs that are visible, in lower case
  std::vector<TableName> tables_;
  uint32_t parameter_count_ = 0;
  bool uses_current_user_ = false;
};

}  // namespace kalamdb::duck
