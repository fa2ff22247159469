// EXPORT USER DATA: all rows that a user has in USER tables, as Parquet files in a zip archive,
// <data directory>/exports/<job id>.zip, until the job's record goes.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "query/command.h"

namespace kalamdb::query {

struct UserExport {
  jobs::Job job;
  std::string id;  // "export-<user>-<time>"
};

// Queues a job and returns its id. kIdempotentConflict while one of the user's is live.
Result<std::string> start_user_export(const Services& services, const UserId& user);

// The user's exports, the newest first.
Result<std::vector<UserExport>> user_exports(const Services& services, const UserId& user);

// The archive's path. Errors: kNotFound where there is none, or it is not complete.
Result<std::string> export_archive(const Services& services, const UserId& user, const std::string& export_id);

// The job. All tables are read at one snapshot.
Result<jobs::Decision> run_user_export(const Services& services, const jobs::Job& job, const std::stop_token& stop);

// Removes the archives of jobs that there are no more, what those that failed have left, and all of `gone`.
Result<> remove_exports(const Services& services, const std::optional<UserId>& gone);

}  // namespace kalamdb::query
