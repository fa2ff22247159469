// INSERT, UPDATE and DELETE: from a statement to a CommitRequest, and from what was committed to an answer. Reading the
// rows as they are, computing the writes and committing them are three steps, so that each can be run again or put off.
#pragma once

#include <array>
#include <mutex>

#include "query/point_plan.h"
#include "query/returning.h"

namespace kalamdb::query {

// A statement's writes, ready to be committed.
struct PreparedWrites {
  model::TablePtr table;
  storage::CommitRequest request;        // may hold no rows: then nothing is to be done
  std::optional<ReturnedRows> returned;  // with RETURNING
};

// Computes the writes at the newest state. Reads hot rows, and cold ones where keys may lie there; blocks for these.
Result<PreparedWrites> prepare_writes(const Services& services, const StatementContext& context,
                                      const Prepared& prepared);
// The same for a statement of the fast lane; nullopt when this one's values need the planner after all.
Result<std::optional<PreparedWrites>> prepare_point_writes(const Services& services, const StatementContext& context,
                                                           const Prepared& prepared, const PointPlan& plan,
                                                           StatementSources& sources);

// Statements that have lost a race for a row wait here for their next attempt, one after another, so that each of many
// that change the same row gets its turn. Thread-safe.
class RetryQueue {
 public:
  // The queue for the rows around this key.
  std::mutex& of(std::string_view key) { return mutexes_[std::hash<std::string_view>()(key) % mutexes_.size()]; }

 private:
  std::array<std::mutex, 64> mutexes_;
};

// Prepares and commits, again while others win the race for the same rows, up to kMaxAttempts times. Blocks.
Result<StatementResult> run_writes(const Services& services, const StatementContext& context, const Prepared& prepared,
                                   RetryQueue& retries);
// Many, since statements of the fast lane, which do not wait for their turn, may each be faster once.
inline constexpr int kMaxAttempts = 1000;

// "Inserted 3 row(s)", or the rows of RETURNING. `rows` were handed to the committer, and `changes` came of it; nullptr
// where nothing was to be done.
StatementResult writes_result(const duck::Statement& statement, uint64_t rows, std::optional<ReturnedRows> returned,
                              const storage::ChangeSet* changes);

}  // namespace kalamdb::query
