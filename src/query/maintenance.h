// Background work on tables: what the jobs do, and how statements and the schedule start them.
#pragma once

#include <optional>
#include <string>
#include <unordered_map>

#include "query/command.h"

namespace kalamdb::query {

// Queue a job and return its id. kIdempotentConflict while one of the kind is queued or running for the table (and the
// user); cleanups don't meet. `user`: only the segments of one user, else of all.
Result<std::string> start_flush(const Services& services, const model::TableDefinition& table);
bool is_flush_live(const Services& services, const model::TableDefinition& table);
Result<std::string> start_compaction(const Services& services, const model::TablePtr& table,
                                     const std::optional<UserId>& user);
// `table` nullptr: every table that has segments.
Result<std::string> start_vacuum(const Services& services, const model::TablePtr& table,
                                 const std::optional<UserId>& user);
Result<std::string> start_analysis(const Services& services, const model::TablePtr& table,
                                   const std::optional<UserId>& user);
Result<std::string> start_cleanup(const Services& services, const model::TableDefinition& dropped);

// Tells the job manager who does these jobs. Before JobManager::start(); `services` must outlive it.
void register_executors(const Services& services, jobs::JobManager& jobs);

// Whether rows of such tables can lie in segments.
inline bool has_segments(model::TableType type) {
  return type == model::TableType::kUser || type == model::TableType::kShared;
}

// Starts the flushes that tables' policies ask for, and removes the rows of STREAM tables that are to go. Not
// thread-safe: one thread ticks it.
class MaintenanceSchedule {
 public:
  // `services` must outlive it.
  explicit MaintenanceSchedule(const Services& services) : services_(services) {}
  // Looks at every table once. Call it from time to time; intervals are kept to that precision.
  void tick();

 private:
  void flush_if_due(const model::TableDefinition& table);

  const Services& services_;
  std::unordered_map<TableId, int64_t> pending_since_us_;  // since when a table was seen to have pending rows
};

}  // namespace kalamdb::query
