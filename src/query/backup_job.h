// What the jobs of backups and restores share. For backup.cc, restore.cc and register.cc only.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "query/backup.h"

namespace kalamdb::query {

struct BackupJob {
  BackupTarget target;
  std::optional<std::string> namespace_id;  // nullopt: all
};
BackupJob backup_job(const jobs::Job& job);

Result<std::vector<cold::ObjectInfo>> list_backup(const cold::BackupPlace& place);
Result<bool> has_manifest(const cold::BackupPlace& place);
Result<cold::BackupManifest> read_manifest(const cold::BackupPlace& place);

// A table of a backup.
struct TableInBackup {
  model::TableDefinition definition;
  std::vector<model::SchemaVersion> history;
  cold::BackupTable listed;
  cold::BackupDetails details;
};
// Errors: kCorruption unless all of its files are what is listed.
Result<TableInBackup> read_table(const cold::BackupPlace& place, const cold::BackupTable& listed,
                                 const std::stop_token& stop);
// Fails unless rows with a `_seq` up to that may be here. `what` has it.
Result<> check_seq(const Services& services, Seq seq, const std::string& what);

// A namespace of a backup and the one that it becomes.
struct TargetNamespace {
  std::string source;
  model::NamespaceDefinition definition;
};
// `name` nullopt: all of the backup's, as they were called. Else one: the only one there is, under that name, or of
// several the one of that name. Errors: kNamespaceNotFound, kCorruption.
Result<std::vector<TargetNamespace>> target_namespaces(const cold::BackupManifest& manifest,
                                                       const std::optional<std::string>& name);
std::vector<model::NamespaceDefinition> definitions_of(const std::vector<TargetNamespace>& namespaces);

}  // namespace kalamdb::query
