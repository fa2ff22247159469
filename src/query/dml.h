// INSERT, UPDATE and DELETE: from a statement to a CommitRequest, and from what was committed to an answer.
#pragma once

#include <functional>

#include "query/point_plan.h"

namespace kalamdb::query {

// A statement's writes, ready to be committed.
struct PreparedWrites {
  storage::CommitRequest request;  // may hold no rows: then nothing is to be done
  uint64_t ignored_rows = 0;       // ON CONFLICT DO NOTHING that already found its key taken
};

// Computes the writes at the newest state. Reads hot rows, and cold ones where keys may lie there; blocks for these.
Result<PreparedWrites> prepare_writes(const Services& services, const StatementContext& context,
                                      const Prepared& prepared);
// The same for a statement of the fast lane; nullopt when this one's values need the planner after all.
Result<std::optional<PreparedWrites>> prepare_point_writes(const Services& services, const StatementContext& context,
                                                           const Prepared& prepared, const PointPlan& plan);

// Prepares and commits, or hands the writes to the open transaction; again while others win the race for the same rows,
// up to kMaxAttempts times. Blocks.
Result<StatementResult> run_writes(const Services& services, const StatementContext& context, const Prepared& prepared);
inline constexpr int kMaxAttempts = 20;

// "Inserted 3 row(s)".
StatementResult writes_result(const duck::Statement& statement, uint64_t rows);

}  // namespace kalamdb::query
