// INSERT: rows of values, of operands or of a SELECT, as writes.
#pragma once

#include "query/dml.h"
#include "query/sources.h"

namespace kalamdb::query {

// INSERT … VALUES of operands, into columns that are already resolved.
Result<PreparedWrites> prepare_insert_values(const Services& services, const StatementContext& context,
                                             const duck::Statement& statement, const model::TablePtr& table,
                                             const std::vector<const model::ColumnDefinition*>& columns,
                                             StatementSources& sources);

// Any INSERT. Blocks while its source is computed.
Result<PreparedWrites> prepare_insert(const Services& services, const StatementContext& context,
                                      const duck::Statement& statement, StatementSources& sources);

}  // namespace kalamdb::query
