// Replaces what stands in a parsed tree for things outside it by what DuckDB can bind: tables by scans of their source,
// parameters by constants. After it no table name but those of CTEs is left, so DuckDB's own catalogs are out of reach.
// For the other files of this folder only.
#pragma once

#include <duckdb.hpp>
#include <map>
#include <set>

#include "duck/query_state.h"
#include "duckdb/parser/parsed_expression.hpp"
#include "duckdb/parser/query_node.hpp"
#include "duckdb/parser/tableref.hpp"

namespace duckdb {
class SelectNode;
class StarExpression;
class ColumnRefExpression;
}  // namespace duckdb

namespace kalamdb::duck {

// A FROM item that reads the table in a slot of the QueryState.
duckdb::unique_ptr<duckdb::TableRef> scan_ref(size_t slot);

// SELECT * FROM (query)
duckdb::unique_ptr<duckdb::QueryNode> select_all_from(duckdb::unique_ptr<duckdb::QueryNode> query);

struct RewriteOptions {
  bool hide_system_columns = false;  // see ScanTarget
  // The FROM item that is to offer its rows' positions (ScanTarget::with_position).
  const duckdb::TableRef* positioned = nullptr;
  // The FROM item that reads these rows, whatever its name says.
  const duckdb::TableRef* given = nullptr;
  std::optional<ComputedRows> given_rows;
};

// One tree, one use.
class Rewriter {
 public:
  Rewriter(QueryState& state, SourceResolver& tables, std::span<const model::Value> parameters,
           RewriteOptions options = {})
      : state_(state), resolver_(tables), parameters_(parameters), options_(options) {}

  // Rewrites a whole query. Errors: the resolver's, kParamCountMismatch.
  Result<> run(duckdb::QueryNode& node);

 private:
  using ExpressionSlot = duckdb::unique_ptr<duckdb::ParsedExpression>;
  // The tables that stand directly in the FROM of one SELECT and the stars in its list.
  struct Select {
    std::vector<duckdb::unique_ptr<duckdb::TableRef>*> tables;
    std::vector<duckdb::StarExpression*> stars;
  };

  void query(duckdb::QueryNode& node);
  void select(duckdb::SelectNode& node);
  void ctes(duckdb::CommonTableExpressionMap& map);
  void modifiers(duckdb::QueryNode& node);
  void from(duckdb::unique_ptr<duckdb::TableRef>& ref);
  void expression(ExpressionSlot& slot);
  void expressions(duckdb::vector<ExpressionSlot>& slots);
  void parameter(ExpressionSlot& slot);

  Result<> replace_tables(Select& select);
  Result<> replace_table(duckdb::unique_ptr<duckdb::TableRef>& ref, std::set<std::string>& hidden);
  Result<duckdb::unique_ptr<duckdb::TableRef>> expand_view(const ViewSource& source);
  void shorten_columns();

  QueryState& state_;
  SourceResolver& resolver_;
  std::span<const model::Value> parameters_;
  RewriteOptions options_;
  int depth_ = 0;  // of views in views

  std::vector<std::string> scope_;  // names of the visible CTEs, in lower case
  std::vector<std::unique_ptr<Select>> selects_;
  Select* current_ = nullptr;
  std::vector<duckdb::ColumnRefExpression*> qualified_columns_;  // ns.table.column
  std::map<std::pair<std::string, std::string>, TableSource> opened_;
  std::set<std::pair<std::string, std::string>> readable_as_;  // (namespace, name) of tables without an alias
  bool mentions_updated_ = false;
  std::optional<Error> error_;
};

}  // namespace kalamdb::duck
