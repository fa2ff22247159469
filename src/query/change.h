// UPDATE and DELETE: the rows that they touch, as writes.
#pragma once

#include "query/dml.h"
#include "query/sources.h"

namespace kalamdb::query {

// Any UPDATE or DELETE. Blocks while its rows are looked for.
Result<PreparedWrites> prepare_change(const Services& services, const StatementContext& context,
                                      const duck::Statement& statement, StatementSources& sources);

// One by full primary key. nullopt when its values need the planner after all.
Result<std::optional<PreparedWrites>> prepare_point_change(const Services& services, const StatementContext& context,
                                                           const duck::Statement& statement, const PointPlan& plan,
                                                           StatementSources& sources);

// The columns of a SET: each must exist, be writable, and come once. Errors: kInvalidOperation.
Result<> check_assignments(const model::TableDefinition& table, const std::vector<duck::Assignment>& set);

// A row that storage found, whose values are `current`.
duck::TouchedRow touched_row(const storage::FoundRow& found, model::Row current);

// Turns the rows of one table that a statement touches into writes.
class ChangeBuilder {
 public:
  // `set` is what the statement assigns, checked by check_assignments(); empty for DELETE.
  ChangeBuilder(model::TablePtr table, UserId user, const std::vector<duck::Assignment>& set);

  // nullopt when the row stays as it is. `touched.assigned` is of the columns' types. Errors: kConstraintViolation.
  Result<std::optional<storage::RowWrite>> update(duck::TouchedRow touched) const;
  storage::RowWrite remove(const duck::TouchedRow& touched) const;

 private:
  storage::RowWrite write_of(const duck::TouchedRow& touched, storage::WriteKind kind) const;

  model::TablePtr table_;
  UserId user_;
  std::vector<size_t> assigned_;  // indexes into table_->columns
};

}  // namespace kalamdb::query
