// What the jobs of backups and restores share. For backup.cc and restore.cc only.
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
