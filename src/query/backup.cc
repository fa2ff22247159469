#include "query/backup.h"

#include <cstdio>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "base/log.h"
#include "platform/utc_text.h"
#include "query/backup_job.h"
#include "query/maintenance.h"
#include "query/system_tables.h"

namespace kalamdb::query {
namespace {

using hot::RecordSpace;

// Which job writes here; goes when manifest.json has come.
constexpr std::string_view kUnfinished = "unfinished.txt";

bool is_unfinished_mark(const cold::BackupPlace& place, std::string_view name) {
  return name.starts_with(place.object(kUnfinished) + ".") && name.ends_with(".tmp");
}

// The job whose unfinished backup lies here; "" where there is none.
Result<std::string> unfinished_of(const cold::BackupPlace& place) {
  auto owner = place.objects->get(place.object(kUnfinished));
  if (!owner && owner.error().code == ErrorCode::kNotFound) return "";
  return owner;
}

// Whether a job has ended without having been able to clear up.
bool has_given_up(const Services& services, const std::string& job_id) {
  const auto job = services.jobs.find(job_id);
  return job && !job->live();
}

Result<> remove_all(const cold::BackupPlace& place, std::string_view but) {
  KALAM_TRY(const auto objects, list_backup(place));
  for (const auto& object : objects) {
    if (object.name != place.object(but)) KALAM_CHECK(place.objects->remove(object.name));
  }
  return {};
}

// Takes the place for this job: it must be empty, or have what the job itself left when the server stopped, or what one
// that failed could not remove. nullopt; or the manifest, if the job had come that far.
Result<std::optional<cold::BackupManifest>> take_place(const Services& services, const cold::BackupPlace& place,
                                                       const BackupTarget& target, const std::string& job_id) {
  KALAM_TRY(const bool is_complete, has_manifest(place));
  if (is_complete) {
    KALAM_TRY(auto manifest, read_manifest(place));
    if (manifest.job_id == job_id) return manifest;
    return fail(ErrorCode::kAlreadyExists, "'" + target.display() + "' already holds a backup (job " + manifest.job_id +
                                               "); choose another place");
  }
  KALAM_TRY(auto objects, list_backup(place));
  // A crash may have come while the file was written that tells whose the place is.
  for (const auto& object : objects) {
    if (is_unfinished_mark(place, object.name)) KALAM_CHECK(place.objects->remove(object.name));
  }
  std::erase_if(objects, [&](const auto& object) { return is_unfinished_mark(place, object.name); });
  if (!objects.empty()) {
    KALAM_TRY(const std::string owner, unfinished_of(place));
    if (owner.empty())
      return fail(ErrorCode::kInvalidOperation, "'" + target.display() + "' is not empty; choose another place");
    if (owner != job_id && !has_given_up(services, owner)) {
      return fail(ErrorCode::kInvalidOperation, "'" + target.display() + "' has the unfinished backup of job " + owner +
                                                    "; remove it or choose another place");
    }
    KALAM_CHECK(remove_all(place, kUnfinished));
  }
  KALAM_CHECK(place.objects->put(place.object(kUnfinished), job_id));
  return std::nullopt;
}

Result<cold::BackupManifest> write_backup(const Services& services, const cold::BackupPlace& place,
                                          const BackupJob& backup, const std::string& job_id,
                                          const std::stop_token& stop) {
  const hot::SnapshotPtr snapshot = services.storage.hot().snapshot();
  cold::BackupManifest manifest{.seq = snapshot->seq(),
                                .created_at_us = services.clock.now_us(),
                                .job_id = job_id,
                                .namespaces = {},
                                .tables = {}};
  const std::string only = backup.namespace_id.value_or("");
  KALAM_CHECK(services.storage.hot().scan_records(RecordSpace::kNamespace, only, snapshot,
                                                  [&](std::string_view name, std::string_view record) {
                                                    if (only.empty() || name == only) {
                                                      manifest.namespaces.emplace_back(record);
                                                    }
                                                    return true;
                                                  }));
  if (manifest.namespaces.empty()) return fail(ErrorCode::kNamespaceNotFound, "Namespace '" + only + "' not found");
  std::vector<std::string> records;
  KALAM_CHECK(services.storage.hot().scan_records(RecordSpace::kTable, only.empty() ? "" : only + ".", snapshot,
                                                  [&](std::string_view, std::string_view record) {
                                                    records.emplace_back(record);
                                                    return true;
                                                  }));
  for (const std::string& record : records) {
    KALAM_TRY(auto definition, model::decode_table(record));
    const auto table = std::make_shared<const model::TableDefinition>(std::move(definition));
    KALAM_TRY(auto written, services.storage.back_up(table, record, snapshot, place, stop));
    manifest.tables.push_back(std::move(written));
  }
  KALAM_CHECK(cold::put_checked(*place.objects, place.object(cold::kBackupManifestFile), encode(manifest),
                                std::string(cold::kBackupManifestFile)));
  return manifest;
}

std::string completed(const BackupTarget& target, const cold::BackupManifest& manifest) {
  uint64_t rows = 0;
  for (const auto& table : manifest.tables) rows += table.rows;
  char megabytes[32];
  std::snprintf(megabytes, sizeof megabytes, "%.2f", static_cast<double>(manifest.size_bytes()) / (1 << 20));
  return nlohmann::json{{"message", "Backup completed: '" + target.display() + "' (" + megabytes + " MB)"},
                        {"tables", manifest.tables.size()},
                        {"rows", rows},
                        {"bytes", manifest.size_bytes()},
                        {"seq", std::to_string(manifest.seq)}}
      .dump();
}

Result<std::string> start(const Services& services, jobs::JobType type, const BackupTarget& target,
                          const std::optional<std::string>& namespace_id, const UserId& by) {
  nlohmann::json parameters{{"backup_path", target.path}};
  if (!target.storage_id.empty()) parameters["storage_id"] = target.storage_id;
  if (namespace_id) parameters["namespace"] = *namespace_id;
  const std::string key = std::string(name(type)) + ":" + target.display() + ":" +
                          platform::utc_text(services.clock.now_us(), "%Y%m%d-%H%M%S");
  KALAM_TRY(const jobs::Job job, services.jobs.create({.type = type,
                                                       .parameters = parameters.dump(),
                                                       .idempotency_key = key,
                                                       .started_by = by,
                                                       .priority = kStatementPriority}));
  return job.id;
}

}  // namespace

Result<std::vector<cold::ObjectInfo>> list_backup(const cold::BackupPlace& place) {
  std::string directory = place.directory;
  if (directory.ends_with('/')) directory.pop_back();
  return place.objects->list(directory);
}

Result<bool> has_manifest(const cold::BackupPlace& place) {
  KALAM_TRY(const auto size, place.objects->size(place.object(cold::kBackupManifestFile)));
  return size.has_value();
}

Result<cold::BackupManifest> read_manifest(const cold::BackupPlace& place) {
  KALAM_TRY(const std::string json, cold::read_object(*place.objects, place.object(cold::kBackupManifestFile)));
  return cold::decode_backup_manifest(json);
}

BackupJob backup_job(const jobs::Job& job) {
  const auto parameters = nlohmann::json::parse(job.parameters, nullptr, false);
  BackupJob backup{.target = {parameters.value("storage_id", ""), parameters.value("backup_path", "")},
                   .namespace_id = std::nullopt};
  if (const auto name = parameters.find("namespace"); name != parameters.end()) backup.namespace_id = *name;
  return backup;
}

Result<BackupTarget> read_backup_target(TokenReader& reader) {
  BackupTarget target;
  if (reader.accept("storage")) {
    KALAM_TRY(target.storage_id, reader.string_or_word("a storage id"));
  }
  KALAM_TRY(target.path, reader.string("a path in quotes"));
  return target;
}

Result<cold::BackupManifest> read_backup(const Services& services, const BackupTarget& target) {
  KALAM_TRY(const auto place, services.storage.backup_place(target.storage_id, target.path));
  const std::string shown = target.display();
  // A directory's own path is that of no object.
  if (const auto root = place.directory.empty() ? place.objects->local_path("x") : std::nullopt; root) {
    const std::filesystem::path directory = std::filesystem::path(*root).parent_path();
    std::error_code error;
    const auto status = std::filesystem::status(directory, error);
    if (!std::filesystem::exists(status)) {
      return fail(ErrorCode::kNotFound, "Backup directory '" + shown + "' not found");
    }
    if (!std::filesystem::is_directory(status)) {
      return fail(ErrorCode::kInvalidOperation, "'" + shown +
                                                    "' is not a directory. RESTORE DATABASE expects a backup "
                                                    "directory, not a file.");
    }
  }
  KALAM_TRY(const bool is_complete, has_manifest(place));
  if (!is_complete) {
    return fail(ErrorCode::kInvalidOperation,
                "'" + shown + "' holds no complete backup: there is no manifest.json, which is written last");
  }
  return read_manifest(place);
}

Result<std::string> start_backup(const Services& services, const BackupTarget& target,
                                 const std::optional<std::string>& namespace_id, const UserId& by) {
  if (namespace_id && !services.catalog.has_namespace(*namespace_id)) {
    return fail(ErrorCode::kNamespaceNotFound, "Namespace '" + *namespace_id + "' not found");
  }
  KALAM_TRY(const auto place, services.storage.backup_place(target.storage_id, target.path));
  KALAM_TRY(const auto objects, list_backup(place));
  if (!objects.empty()) {
    KALAM_TRY(const bool is_complete, has_manifest(place));
    KALAM_TRY(const std::string owner, unfinished_of(place));
    if (is_complete || owner.empty() || !has_given_up(services, owner))
      return fail(ErrorCode::kAlreadyExists, "'" + target.display() + "' " +
                                                 (is_complete ? "already holds a backup" : "is not empty") +
                                                 "; choose another place");
  }
  return start(services, jobs::JobType::kBackup, target, namespace_id, by);
}

Result<std::string> start_restore(const Services& services, const BackupTarget& target,
                                  const std::optional<std::string>& namespace_id, const UserId& by) {
  KALAM_TRY(const auto manifest, read_backup(services, target));
  KALAM_TRY(const auto namespaces, target_namespaces(manifest, namespace_id));
  KALAM_CHECK(services.catalog.check_restorable(definitions_of(namespaces)));
  return start(services, jobs::JobType::kRestore, target, namespace_id, by);
}

Result<std::string> run_backup(const Services& services, const jobs::Job& job, const std::stop_token& stop) {
  const BackupJob backup = backup_job(job);
  KALAM_TRY(const auto place, services.storage.backup_place(backup.target.storage_id, backup.target.path));
  KALAM_TRY(auto manifest, take_place(services, place, backup.target, job.id));
  if (!manifest) {
    auto written = write_backup(services, place, backup, job.id, stop);
    if (!written) {
      if (auto removed = remove_all(place, ""); !removed) log::warn("[{}] {}", job.id, removed.error().message);
      return fail(std::move(written).error());
    }
    manifest = *std::move(written);
  }
  // It is complete all the same.
  if (auto removed = place.objects->remove(place.object(kUnfinished)); !removed)
    log::warn("[{}] {}", job.id, removed.error().message);
  return completed(backup.target, *manifest);
}

}  // namespace kalamdb::query
