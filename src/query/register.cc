#include "query/register.h"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

#include "base/log.h"
#include "model/names.h"
#include "query/backup_job.h"
#include "query/maintenance.h"
#include "query/system_tables.h"
#include "query/table_job.h"
#include "query/views.h"
#include "storage/folder_owner.h"

namespace kalamdb::query {
namespace {

using nlohmann::json;

Registration registration_of(const jobs::Job& job) {
  const auto parameters = json::parse(job.parameters, nullptr, false);
  Registration registration{.namespace_id = parameters.value("namespace", ""),
                            .table = parameters.value("table", ""),
                            .folder = {parameters.value("storage_id", ""), parameters.value("folder", "")},
                            .key = {}};
  for (const auto& column : parameters.value("primary_key", json::array())) registration.key.push_back(column);
  return registration;
}

Result<bool> has_unregistered(const cold::BackupPlace& place) {
  KALAM_TRY(const auto size, place.objects->size(place.object(cold::kUnregisteredFile)));
  return size.has_value();
}

Result<cold::BackupManifest> read_unregistered(const cold::BackupPlace& place, const std::string& shown) {
  KALAM_TRY(const std::string text, cold::read_object(*place.objects, place.object(cold::kUnregisteredFile)));
  auto manifest = cold::decode_backup_manifest(text);
  if (manifest && manifest->tables.size() == 1) return manifest;
  return fail(ErrorCode::kInvalidOperation, std::string(cold::kUnregisteredFile) + " in '" + shown +
                                                "' is damaged, or of another version of KalamDB");
}

// Takes in what UNREGISTER TABLE has left.
class Register {
 public:
  Register(const Services& services, const Registration& registration, const storage::Storage::RegisteredFolder& folder,
           const std::string& job_id, const std::stop_token& stop)
      : services_(services), registration_(registration), folder_(folder), job_id_(job_id), stop_(stop) {}

  Result<std::string> run() {
    const std::string shown = registration_.folder.display();
    if (!registration_.key.empty()) {
      return fail(ErrorCode::kInvalidOperation,
                  "The table in '" + shown + "' has its PRIMARY KEY; leave the clause out");
    }
    KALAM_TRY(auto manifest, read_unregistered(folder_.place, shown));
    KALAM_CHECK(check_seq(services_, manifest.seq, "The table in '" + shown + "'"));
    KALAM_TRY(TableInBackup found, read_table(folder_.place, manifest.tables.front(), stop_));
    if (found.definition.type != model::TableType::kUser && found.definition.type != model::TableType::kShared) {
      return fail(ErrorCode::kCorruption, "'" + shown + "' holds no USER or SHARED table");
    }
    KALAM_TRY(found.definition.id, services_.catalog.reserve_table_ids(1));
    found.definition.namespace_id = registration_.namespace_id;
    found.definition.name = registration_.table;
    const std::string note = fit_storage(found.definition);
    const auto definition = std::make_shared<const model::TableDefinition>(std::move(found.definition));
    const uint64_t rows = found.listed.rows;
    const json done{
        {"message", "Registered " + definition->qualified_name() + " from '" + shown + "' - " + std::to_string(rows) +
                        " rows, " + std::to_string(files_of(found)) + " files" + note},
        {"rows", rows},
        {"files", files_of(found)},
        {"unregistered_by", manifest.job_id}};
    const std::array tables{storage::TableToRestore{definition, std::move(found.listed), std::move(found.details)}};
    const storage::TableFolder* const adopted = folder_.adoptable ? &*folder_.adoptable : nullptr;
    KALAM_TRY(auto commit, services_.storage.prepare_restore(folder_.place, tables, manifest.seq, job_id_, done.dump(),
                                                             stop_, adopted));
    if (adopted != nullptr) KALAM_CHECK(take_folder());
    if (auto added = services_.catalog.add_restored({}, {{definition, std::move(found.history)}}, std::move(commit));
        !added) {
      if (adopted != nullptr) (void)storage::remove_folder_owner(folder_.place);
      return fail(std::move(added).error());
    }
    services_.storage.restored(tables);
    rebind_views(services_);
    return done.dump();
  }

 private:
  Result<> take_folder() {
    const hot::Store& store = services_.storage.hot();
    KALAM_TRY(const auto id, storage::make_server_id(store, services_.storage.committer(), services_.random));
    auto taken = storage::take_folder(folder_.place, store, id);
    if (taken || taken.error().code != ErrorCode::kConflict) return taken;
    return fail(ErrorCode::kInvalidOperation,
                "Another server is registering '" + registration_.folder.display() +
                    "'; run its REGISTER TABLE again, or remove registered.json there if it has no such table");
  }

  static size_t files_of(const TableInBackup& table) {
    size_t files = 0;
    for (const auto& scope : table.details.scopes) files += scope.manifest.segments.size();
    return files;
  }

  // Storages belong to a server. Returns what to add to the message.
  std::string fit_storage(model::TableDefinition& table) const {
    auto& storage = table.options.storage_id;
    if (storage.empty() || services_.storage.storages().find(storage) != nullptr) return "";
    const std::string missing = storage;
    storage = folder_.adoptable ? folder_.adoptable->storage_id : std::string(cold::kLocalStorage);
    return "; storage '" + missing + "' does not exist here, new files go to '" + storage + "'";
  }

  const Services& services_;
  const Registration& registration_;
  const storage::Storage::RegisteredFolder& folder_;
  const std::string& job_id_;
  const std::stop_token& stop_;
};

// Removes what a folder that has become a table's holds besides segments, last what makes it one to register.
Result<> clear_adopted(const Services& services, const Registration& registration, const std::string& done) {
  const std::string by = json::parse(done, nullptr, false).value("unregistered_by", "");
  const std::string& path = registration.folder.path;
  if (by.empty() || (registration.folder.storage_id.empty() && path.starts_with('/'))) return {};
  const std::string storage =
      registration.folder.storage_id.empty() ? std::string(cold::kLocalStorage) : registration.folder.storage_id;
  cold::BackupPlace place{.objects = nullptr, .directory = path};
  KALAM_TRY(place.objects, services.storage.storages().objects(storage));
  while (place.directory.ends_with('/')) place.directory.pop_back();
  place.directory += '/';
  KALAM_TRY(const bool is_marked, has_unregistered(place));
  if (!is_marked) return {};
  KALAM_TRY(const auto manifest, read_unregistered(place, path));
  if (manifest.job_id != by) return {};  // it has been unregistered again
  KALAM_TRY(const auto objects, list_backup(place));
  const auto is_named = [](std::string_view name, std::string_view file) {
    const std::string_view last = name.substr(name.rfind('/') + 1);
    return last == file || last == std::string(file) + ".tmp";
  };
  for (const auto& object : objects) {
    if (is_named(object.name, cold::kTombstonesFile) || is_named(object.name, cold::kDetailsFile)) {
      KALAM_CHECK(place.objects->remove(object.name));
    }
  }
  return place.objects->remove(place.object(cold::kUnregisteredFile));
}

Result<std::string> register_now(const Services& services, const Registration& registration, const jobs::Job& job,
                                 const std::stop_token& stop) {
  KALAM_TRY(auto done, storage::finished_restore(services.storage.hot(), job.id));
  if (done) return *std::move(done);
  const std::lock_guard lock(services.storage.restore_mutex());
  KALAM_CHECK(services.storage.abandon_restore());
  const auto registered = [&]() -> Result<std::string> {
    const auto& [storage_id, path] = registration.folder;
    KALAM_CHECK(services.catalog.check_new_name(registration.namespace_id, registration.table));
    KALAM_TRY(const auto folder, services.storage.register_folder(storage_id, path));
    KALAM_TRY(const bool was_unregistered, has_unregistered(folder.place));
    if (was_unregistered) return Register(services, registration, folder, job.id, stop).run();
    return import_parquet(services, registration, folder.place, job, stop);
  }();
  if (registered) return registered;
  if (auto removed = services.storage.abandon_restore(); !removed)
    log::warn("[{}] {}", job.id, removed.error().message);
  return registered;
}

// A table of that name whose unregistering has not come to its end.
Result<model::TablePtr> find_unregistered(const Services& services, const std::string& namespace_id,
                                          const std::string& name) {
  KALAM_TRY(const auto tables, storage::unregistered_tables(services.storage.hot()));
  const auto found = std::ranges::find_if(
      tables, [&](const auto& table) { return table->namespace_id == namespace_id && table->name == name; });
  return found == tables.end() ? nullptr : *found;
}

// Once it has gone there is nothing to do.
Result<> take_out(const Services& services, const Subject& subject) {
  auto taken = on_current(services, subject,
                          [&](const model::TablePtr& table) { return services.catalog.unregister_table(table); });
  if (!taken && taken.error().code != ErrorCode::kNotFound) return taken;
  return {};
}

}  // namespace

Result<std::string> start_register(const Services& services, const Registration& registration, const UserId& by) {
  KALAM_CHECK(model::validate_table_name(registration.table));
  KALAM_CHECK(services.catalog.check_new_name(registration.namespace_id, registration.table));
  const auto& [storage_id, path] = registration.folder;
  KALAM_TRY(const auto folder, services.storage.register_folder(storage_id, path));
  KALAM_TRY(const bool was_unregistered, has_unregistered(folder.place));
  if (was_unregistered) {
    KALAM_CHECK(read_unregistered(folder.place, registration.folder.display()));
  } else {
    KALAM_CHECK(parquet_files(folder.place, registration.folder.display()));
  }
  json parameters{{"namespace", registration.namespace_id},
                  {"table", registration.table},
                  {"table_id", registration.namespace_id + "." + registration.table},
                  {"folder", path}};
  if (!storage_id.empty()) parameters["storage_id"] = storage_id;
  if (!registration.key.empty()) parameters["primary_key"] = registration.key;
  KALAM_TRY(const jobs::Job job,
            services.jobs.create({.type = jobs::JobType::kRegister,
                                  .parameters = parameters.dump(),
                                  .idempotency_key = "register-" + registration.namespace_id + "-" + registration.table,
                                  .started_by = by,
                                  .priority = kStatementPriority}));
  return job.id;
}

Result<Unregistering> start_unregister(const Services& services, const std::string& namespace_id,
                                       const std::string& name, const UserId& by) {
  KALAM_TRY(model::TablePtr table, services.catalog.find_table(namespace_id, name));
  if (table == nullptr) {
    KALAM_TRY(table, find_unregistered(services, namespace_id, name));
  }
  if (table == nullptr) {
    return fail(ErrorCode::kTableNotFound, "Table '" + name + "' not found in namespace '" + namespace_id + "'");
  }
  KALAM_TRY(auto folder, services.storage.unregistered_folder(table));
  json parameters = parameters_of(*table);
  parameters["operation"] = kUnregisterOperation;
  parameters["storage_id"] = folder.storage_id;
  parameters["folder"] = folder.directory;
  // First, so that there is never a table that was taken out and nobody to go on with it.
  KALAM_TRY(const jobs::Job job, services.jobs.create({.type = jobs::JobType::kCleanup,
                                                       .parameters = parameters.dump(),
                                                       .idempotency_key = "unregister-" + namespace_id + "-" + name +
                                                                          "-" + std::to_string(table->id.value),
                                                       .started_by = by,
                                                       .priority = kStatementPriority}));
  KALAM_CHECK(take_out(services, subject_of(job)));
  return Unregistering{std::move(folder), job.id};
}

Result<std::string> run_register(const Services& services, const jobs::Job& job, const std::stop_token& stop) {
  const Registration registration = registration_of(job);
  KALAM_TRY(std::string done, register_now(services, registration, job, stop));
  KALAM_CHECK(clear_adopted(services, registration, done));
  return done;
}

Result<std::string> run_unregister(const Services& services, const jobs::Job& job, const std::stop_token& stop) {
  const Subject subject = subject_of(job);
  KALAM_CHECK(take_out(services, subject));
  KALAM_TRY(const auto written, services.storage.unregister(subject.id, job.id, stop));
  const auto parameters = json::parse(job.parameters, nullptr, false);
  json message{{"message", "Unregistered " + subject.namespace_id + "." + subject.table +
                               "; its files are in storage '" + parameters.value("storage_id", "") + "', '" +
                               parameters.value("folder", "") + "'"}};
  // Otherwise it was done before the server stopped.
  if (written) {
    message["rows"] = written->rows;
    message["files"] = written->files.size();
    message["bytes"] = written->size_bytes();
  }
  return message.dump();
}

}  // namespace kalamdb::query
