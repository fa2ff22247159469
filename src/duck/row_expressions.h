// Expressions over rows in memory: RETURNING, and the SET and WHERE of ON CONFLICT DO UPDATE. For the other files of
// this folder only.
#pragma once

#include <duckdb.hpp>
#include <vector>

#include "duck/engine.h"
#include "duck/source.h"
#include "duckdb/parser/query_node.hpp"
#include "duckdb/parser/statement/update_statement.hpp"
#include "duckdb/parser/tableref.hpp"

namespace kalamdb::duck {

// The RETURNING list of an INSERT, UPDATE or DELETE; empty for other statements. Errors: kInvalidSql for what cannot
// be evaluated row by row (aggregates, windows, unnest), for other tables' columns, and for `_seq` and `_updated`
// within expressions: these are known only at the commit, when no expression may fail any more.
Result<std::vector<ReturningItem>> returning_items(const duckdb::SQLStatement& change);

// The SET (and WHERE) of an UPDATE or ON CONFLICT DO UPDATE must be computable row by row too. `clause` is its name for
// messages.
Result<> check_set(const duckdb::UpdateSetInfo& set, const char* clause);

// SELECT the number of the row, then each expression, FROM the given rows.
struct RowQuery {
  duckdb::unique_ptr<duckdb::QueryNode> query;
  const duckdb::TableRef* given = nullptr;  // within `query`: what stands for `rows`
  ComputedRows rows;
};

// The expressions of a RETURNING over rows of `table`.
RowQuery returning_query(const duckdb::SQLStatement& change, const model::TableDefinition& table,
                         std::vector<model::Row> rows);

// The SET expressions of ON CONFLICT DO UPDATE, then its WHERE if it has one.
RowQuery conflict_query(const duckdb::SQLStatement& insert, const model::TableDefinition& table,
                        std::vector<ConflictRow> rows);

}  // namespace kalamdb::duck
