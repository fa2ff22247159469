// Backups and restores: where they lie, and the jobs that make them.
#pragma once

#include <optional>
#include <string>

#include "cold/backup.h"
#include "query/command.h"

namespace kalamdb::query {

// As written: a directory, or a name in a storage.
struct BackupTarget {
  std::string storage_id;  // empty: a directory
  std::string path;

  std::string display() const { return storage_id.empty() ? path : storage_id + ":" + path; }
};

// `[STORAGE id] 'path'`.
Result<BackupTarget> read_backup_target(TokenReader& reader);

// Errors: kNotFound, kInvalidOperation when no complete backup lies there, kCorruption.
Result<cold::BackupManifest> read_backup(const Services& services, const BackupTarget& target);

// Queue a job and return its id. `namespace_id` nullopt: all of them. Errors: those that can be told at once; the rest
// is in the job's message.
Result<std::string> start_backup(const Services& services, const BackupTarget& target,
                                 const std::optional<std::string>& namespace_id, const UserId& by);
Result<std::string> start_restore(const Services& services, const BackupTarget& target,
                                  const std::optional<std::string>& namespace_id, const UserId& by);

// The jobs. They return their message.
Result<std::string> run_backup(const Services& services, const jobs::Job& job, const std::stop_token& stop);
Result<std::string> run_restore(const Services& services, const jobs::Job& job, const std::stop_token& stop);

}  // namespace kalamdb::query
