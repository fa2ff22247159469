// What may be subscribed to, and subscriptions as the queries that give their rows. For the other files of this folder
// only.
#pragma once

#include <duckdb.hpp>

#include "duck/statement_impl.h"
#include "duckdb/parser/query_node.hpp"
#include "duckdb/parser/statement/select_statement.hpp"
#include "model/table.h"

namespace kalamdb::duck {

// Without `uses_current_user`. Errors: kInvalidSql, as the protocol words them.
Result<LiveShape> live_shape(const duckdb::SelectStatement& select);

// LiveKind::kRows: the rows with after < _seq, ascending, with `newest` > 0 only the last ones.
duckdb::unique_ptr<duckdb::QueryNode> live_query(const Statement& select, bool star_has_seq, Seq after,
                                                 uint64_t newest);
// The rows that its WHERE does not take.
duckdb::unique_ptr<duckdb::QueryNode> other_rows_query(const Statement& select, Seq after);

// SELECT of what a result is made from, see Engine::bind_result(): kTop, kRows: the key of the order; kAggregate: the
// argument of each item, then the key of each MIN and MAX. Of what the statement says only FROM and WHERE are left.
duckdb::unique_ptr<duckdb::QueryNode> result_expressions(const Statement& select, const LiveShape& shape);
// What Engine::result_rows() runs.
duckdb::unique_ptr<duckdb::QueryNode> result_query(const Statement& select, const LiveShape& shape,
                                                   const model::TableDefinition& table, uint64_t limit);

}  // namespace kalamdb::duck
