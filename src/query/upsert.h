// INSERT … ON CONFLICT (key) DO UPDATE.
#pragma once

#include "query/dml.h"
#include "query/row_values.h"
#include "query/sources.h"

namespace kalamdb::query {

// What must hold of an ON CONFLICT clause, whatever the rows are. Errors: kInvalidOperation.
Result<> check_conflict_clause(const model::TableDefinition& table, const duck::InsertShape& insert);

// Among the rows that `writes` inserts, turns those whose key is taken into updates, or drops them where the WHERE is
// not true or nothing changes. Keys that are free are committed as such: whoever takes one meanwhile causes a conflict,
// and the statement is run again.
Result<> resolve_conflicts(const Services& services, const StatementContext& context, const duck::Statement& statement,
                           const model::TablePtr& table, StatementSources& sources, RowValues& values,
                           PreparedWrites& writes);

}  // namespace kalamdb::query
