// The WHERE of a subscription, and what its result is made from, as expressions over stored rows. For the other files
// of this folder only.
#pragma once

#include "duck/session.h"

namespace kalamdb::duck {

// See Engine::bind_predicate().
Result<std::unique_ptr<Predicate>> make_predicate(std::unique_ptr<Session> session, const Statement& select,
                                                  const model::TablePtr& table, const QueryContext& context);

// The SELECT list of `query`, which reads one table; its WHERE is left out. See Engine::bind_result().
Result<std::unique_ptr<RowExpressions>> make_row_expressions(std::unique_ptr<Session> session,
                                                             duckdb::unique_ptr<duckdb::QueryNode> query,
                                                             const model::TablePtr& table, const QueryContext& context);

}  // namespace kalamdb::duck
