// The jobs that the schedule starts by itself: retention, eviction of STREAM rows, what is left of dropped users, old
// records of jobs.
#pragma once

#include "query/command.h"

namespace kalamdb::query {

// Queue a job for the period (an hour, UTC) that it is. kIdempotentConflict while one is live.
Result<std::string> start_scheduled_flush(const Services& services, const model::TableDefinition& table);
Result<std::string> start_retention(const Services& services, const model::TableDefinition& table);
Result<std::string> start_eviction(const Services& services, const model::TableDefinition& table);
Result<std::string> start_user_cleanup(const Services& services, const catalog::User& user);
Result<std::string> start_job_cleanup(const Services& services);
// Of manifests without segments, which users who have gone leave.
Result<std::string> start_manifest_eviction(const Services& services);

// "{type}:{subject}:{YYYY-MM-DD-HH}", which a scheduled job has in the hour of `now_us`.
std::string scheduled_key(jobs::JobType type, const std::string& subject, int64_t now_us);

int64_t days_ago_us(const Services& services, uint64_t days);

// Whether a dropped user can still come back.
bool is_in_grace(const Services& services, const catalog::User& user);

// See register_executors().
void register_housekeeping(const Services& services, jobs::JobManager& jobs);

}  // namespace kalamdb::query
