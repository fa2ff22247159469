// REGISTER TABLE and UNREGISTER TABLE: the jobs that take a folder of files in as a table, and that leave one.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "query/backup.h"
#include "query/command.h"

namespace kalamdb::query {

// What REGISTER TABLE asks for.
struct Registration {
  std::string namespace_id;
  std::string table;
  BackupTarget folder;           // without a storage: a directory, or a name in `local`
  std::vector<std::string> key;  // of PRIMARY KEY, as written; empty: it was not given
};

// Queues the job and returns its id. Errors: those that can be told at once; the rest is in the job's message.
Result<std::string> start_register(const Services& services, const Registration& registration, const UserId& by);

// The table is gone once this returns. Errors: kNotFound, kInvalidOperation for STREAM tables and views, kUnavailable.
struct Unregistering {
  storage::TableFolder folder;  // where its files are to stay
  std::string job_id;
};
Result<Unregistering> start_unregister(const Services& services, const std::string& namespace_id,
                                       const std::string& table, const UserId& by);

// The jobs. They return their message. The second one is a cleanup job with this operation.
inline constexpr std::string_view kUnregisterOperation = "unregister";
Result<std::string> run_register(const Services& services, const jobs::Job& job, const std::stop_token& stop);
Result<std::string> run_unregister(const Services& services, const jobs::Job& job, const std::stop_token& stop);

// Makes a table of the folder's Parquet files, in a commit of its own, and returns the job's message. Errors:
// kInvalidInput, kInvalidOperation and kInvalidSql with what the files or the key lack, kAlreadyExists, kUnavailable.
Result<std::string> import_parquet(const Services& services, const Registration& registration,
                                   const cold::BackupPlace& place, const jobs::Job& job, const std::stop_token& stop);
// The folder's Parquet files, without their directory. Errors: kInvalidOperation when there are none, or when some
// have rows that only manifest.json knows to be deleted.
Result<std::vector<std::string>> parquet_files(const cold::BackupPlace& place, const std::string& shown);

}  // namespace kalamdb::query
