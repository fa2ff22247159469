// Background work on tables: what the jobs do, and how statements and the schedule start them.
#pragma once

#include <optional>
#include <string>

#include "query/command.h"

namespace kalamdb::query {

// What jobs that a statement starts come before those of the schedule.
inline constexpr int32_t kStatementPriority = 10;

// Queue a job for whoever asks for it and return its id. kIdempotentConflict while one of the kind is live for the
// table (and the user); cleanups don't meet. `user`: only the segments of one user, else of all.
Result<std::string> start_flush(const Services& services, const model::TableDefinition& table, const UserId& by);
bool is_flush_live(const Services& services, const model::TableDefinition& table);
Result<std::string> start_compaction(const Services& services, const model::TablePtr& table,
                                     const std::optional<UserId>& user, const UserId& by);
// `table` nullptr: every table that has segments.
Result<std::string> start_vacuum(const Services& services, const model::TablePtr& table,
                                 const std::optional<UserId>& user, const UserId& by);
Result<std::string> start_analysis(const Services& services, const model::TablePtr& table,
                                   const std::optional<UserId>& user, const UserId& by);
Result<std::string> start_cleanup(const Services& services, const model::TableDefinition& dropped, const UserId& by);

// Tells the job manager who does these jobs. Before JobManager::start(); `services` must outlive it.
void register_executors(const Services& services, jobs::JobManager& jobs);

// Whether rows of such tables can lie in segments.
inline bool has_segments(model::TableType type) {
  return type == model::TableType::kUser || type == model::TableType::kShared;
}

}  // namespace kalamdb::query
