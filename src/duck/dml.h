// UPDATE, DELETE and INSERT … SELECT as the queries that give their rows. For the other files of this folder only.
#pragma once

#include <duckdb.hpp>

#include "duck/statement_impl.h"
#include "duckdb/parser/query_node.hpp"
#include "duckdb/parser/tableref.hpp"
#include "model/table.h"

namespace kalamdb::duck {

struct ChangeQuery {
  duckdb::unique_ptr<duckdb::QueryNode> query;
  const duckdb::TableRef* target = nullptr;  // within `query`
  bool may_repeat_rows = false;              // it joins other tables
};

// For an UPDATE or DELETE: SELECT the columns of the table, `_segment_id`, `_position`, then the SET expressions.
ChangeQuery change_query(const duckdb::SQLStatement& change, const model::TableDefinition& table);

// The rows that an INSERT gives for `columns`, with DEFAULT replaced by the columns' defaults.
duckdb::unique_ptr<duckdb::QueryNode> insert_query(const duckdb::SQLStatement& insert,
                                                   const std::vector<std::string>& columns,
                                                   const model::TableDefinition& table);

// `node` with the WITH of the statement that it is made from.
duckdb::unique_ptr<duckdb::QueryNode> with_ctes(duckdb::unique_ptr<duckdb::QueryNode> node,
                                                duckdb::CommonTableExpressionMap&& ctes);

// Puts the column's default in place of a DEFAULT; nothing else is touched.
void replace_default(duckdb::unique_ptr<duckdb::ParsedExpression>& expression, const model::TableDefinition& table,
                     const std::string& column_name);

// The DEFAULT of a column as an expression.
duckdb::unique_ptr<duckdb::ParsedExpression> default_expression(const model::ColumnDefinition& column);

}  // namespace kalamdb::duck
