// UPDATE and DELETE: the rows that they touch, as writes.
#pragma once

#include "query/dml.h"

namespace kalamdb::query {

// Any UPDATE or DELETE. Blocks while its rows are looked for.
Result<PreparedWrites> prepare_change(const Services& services, const StatementContext& context,
                                      const duck::Statement& statement);

// One by full primary key. nullopt when its values need the planner after all.
Result<std::optional<PreparedWrites>> prepare_point_change(const Services& services, const StatementContext& context,
                                                           const duck::Statement& statement, const PointPlan& plan);

}  // namespace kalamdb::query
