// RETURNING. All that can go wrong with it happens before the commit: its columns are looked up and its expressions
// evaluated over the rows that are about to be written. What only the commit knows, `_seq` and with it `_updated`, may
// stand in the list as it is, not within expressions, and is filled in afterwards, which cannot fail.
#pragma once

#include "query/sources.h"

namespace kalamdb::query {

// The result of a RETURNING, but for what the commit decides.
struct ReturnedRows {
  model::TablePtr table;
  std::vector<duck::ResultColumn> columns;
  std::vector<model::Row> rows;  // `rows[i]` belongs to CommitRequest::rows[i]
  std::vector<size_t> seq_columns, updated_columns;
};

// INSERT and UPDATE give the new rows, DELETE the ones that go. Blocks when the list has expressions.
// Errors: kInvalidOperation for columns that are not there, and what evaluating gives.
Result<ReturnedRows> returned_rows(const Services& services, const StatementContext& context,
                                   const duck::Statement& statement, const model::TablePtr& table,
                                   const storage::CommitRequest& request, StatementSources& sources);

// The rows that `changes` really wrote; nullptr where there was nothing to write. What a transaction has not committed
// yet has the `_seq` under which it reads its own writes.
std::unique_ptr<duck::QueryResult> returned_result(ReturnedRows returned, const storage::ChangeSet* changes);

}  // namespace kalamdb::query
