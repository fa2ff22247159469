#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "base/log.h"
#include "model/names.h"
#include "query/backup_job.h"
#include "query/views.h"
#include "storage/storage.h"

namespace kalamdb::query {
namespace {

// A clock may be off by so much; rows from later times would keep every later `_seq` ahead of the clock.
constexpr int64_t kMaxAheadUs = int64_t{24} * 3600 * 1'000'000;

class Restore {
 public:
  Restore(const Services& services, const BackupJob& backup, const std::string& job_id, const std::stop_token& stop)
      : services_(services), backup_(backup), job_id_(job_id), stop_(stop) {}

  Result<std::string> run() {
    KALAM_TRY(const auto manifest, read_backup(services_, backup_.target));
    KALAM_TRY(place_, services_.storage.backup_place(backup_.target.storage_id, backup_.target.path));
    KALAM_TRY(namespaces_, target_namespaces(manifest, backup_.namespace_id));
    KALAM_CHECK(services_.catalog.check_restorable(definitions_of(namespaces_)));
    KALAM_CHECK(check_seq(services_, manifest.seq, "The backup"));
    // Nothing is changed before all of it has been looked at.
    for (const auto& listed : manifest.tables) {
      if (find_namespace(listed.namespace_id) == nullptr) continue;
      KALAM_TRY(auto table, read_table(place_, listed, stop_));
      fit_storage(table.definition);
      tables_.push_back(std::move(table));
    }
    KALAM_CHECK(give_ids());
    std::vector<storage::TableToRestore> tables;
    std::vector<catalog::RestoredTable> definitions;
    for (TableInBackup& table : tables_) {
      auto definition = std::make_shared<const model::TableDefinition>(std::move(table.definition));
      definitions.push_back({definition, std::move(table.history)});
      if (!definition->is_view()) tables.push_back({definition, std::move(table.listed), std::move(table.details)});
    }
    std::string done = completed(tables);
    KALAM_TRY(auto commit, services_.storage.prepare_restore(place_, tables, manifest.seq, job_id_, done, stop_));
    KALAM_CHECK(services_.catalog.add_restored(definitions_of(namespaces_), definitions, std::move(commit)));
    services_.storage.restored(tables);
    rebind_views(services_);
    return done;
  }

 private:
  const TargetNamespace* find_namespace(const std::string& source) const {
    const auto found = std::ranges::find(namespaces_, source, &TargetNamespace::source);
    return found == namespaces_.end() ? nullptr : &*found;
  }

  // Storages belong to a server, not to a backup.
  void fit_storage(model::TableDefinition& table) {
    auto& storage = table.options.storage_id;
    if (storage.empty() || services_.storage.storages().find(storage) != nullptr) return;
    missing_storages_.insert(storage);
    storage = cold::kLocalStorage;
  }

  Result<> give_ids() {
    KALAM_TRY(const TableId first, services_.catalog.reserve_table_ids(static_cast<uint32_t>(tables_.size())));
    std::map<uint32_t, uint32_t> ids;
    uint32_t next = first.value;
    for (const TableInBackup& table : tables_) ids[table.definition.id.value] = next++;
    const auto renamed = [&](std::string& name) {
      if (const auto* target = find_namespace(name)) name = target->definition.name;
    };
    for (TableInBackup& table : tables_) {
      table.definition.id = TableId(ids.at(table.definition.id.value));
      renamed(table.definition.namespace_id);
      if (!table.definition.is_view()) continue;
      auto& view = table.definition.view.edit();
      renamed(view.namespace_id);
      // What the names mean here is found out when the view is bound again.
      for (auto& beneath : view.tables) {
        renamed(beneath.namespace_id);
        beneath.schema_version = 0;
      }
    }
    return {};
  }

  std::string completed(const std::vector<storage::TableToRestore>& tables) const {
    uint64_t rows = 0;
    for (const auto& table : tables) rows += table.listed.rows;
    std::string message = "Restore completed from '" + backup_.target.display() + "' - " +
                          std::to_string(tables_.size()) + " tables, " + std::to_string(rows) + " rows";
    for (const std::string& storage : missing_storages_) {
      message += "; storage '" + storage + "' does not exist here, its tables are in 'local'";
    }
    return nlohmann::json{{"message", message}, {"tables", tables_.size()}, {"rows", rows}}.dump();
  }

  const Services& services_;
  const BackupJob& backup_;
  const std::string& job_id_;
  const std::stop_token& stop_;
  cold::BackupPlace place_;
  std::vector<TargetNamespace> namespaces_;
  std::vector<TableInBackup> tables_;
  std::set<std::string> missing_storages_;
};

}  // namespace

Result<TableInBackup> read_table(const cold::BackupPlace& place, const cold::BackupTable& listed,
                                 const std::stop_token& stop) {
  KALAM_CHECK(model::validate_table_name(listed.name));
  for (const cold::BackupFile& file : listed.files) {
    KALAM_CHECK(storage::check_stop(stop));
    KALAM_CHECK(cold::check_object(*place.objects, place.object(file.name), file));
  }
  TableInBackup table{.definition = {}, .history = {}, .listed = listed, .details = {}};
  KALAM_TRY(const auto cbor, cold::read_object(*place.objects, place.object(listed.files.front().name)));
  KALAM_TRY(table.details, cold::decode_backup_details(cbor));
  KALAM_TRY(table.definition, model::decode_table(table.details.definition));
  KALAM_TRY(table.history, model::decode_history(table.details.definition));
  if (table.definition.namespace_id == listed.namespace_id && table.definition.name == listed.name) return table;
  return fail(ErrorCode::kCorruption, "The backup has another table under the name of " + listed.namespace_id + "." +
                                          listed.name + "; restore another backup");
}

Result<> check_seq(const Services& services, Seq seq, const std::string& what) {
  if (seq >= 0 && seq_time_us(seq) <= services.clock.now_us() + kMaxAheadUs) return {};
  return fail(ErrorCode::kInvalidOperation, what + " is of a later time than it is here; set the clock");
}

Result<std::vector<TargetNamespace>> target_namespaces(const cold::BackupManifest& manifest,
                                                       const std::optional<std::string>& name) {
  std::vector<TargetNamespace> all;
  for (const std::string& record : manifest.namespaces) {
    KALAM_TRY(auto definition, model::decode_namespace(record));
    std::string source = definition.name;
    all.push_back({std::move(source), std::move(definition)});
  }
  if (!name) return all;
  if (all.size() == 1) {
    all.front().definition.name = *name;
    return all;
  }
  std::erase_if(all, [&](const TargetNamespace& one) { return one.source != *name; });
  if (!all.empty()) return all;
  return fail(ErrorCode::kNamespaceNotFound, "The backup has several namespaces, and none is called '" + *name + "'");
}

std::vector<model::NamespaceDefinition> definitions_of(const std::vector<TargetNamespace>& namespaces) {
  std::vector<model::NamespaceDefinition> definitions;
  for (const auto& one : namespaces) definitions.push_back(one.definition);
  return definitions;
}

Result<std::string> run_restore(const Services& services, const jobs::Job& job, const std::stop_token& stop) {
  KALAM_TRY(auto done, storage::finished_restore(services.storage.hot(), job.id));
  if (done) return *std::move(done);
  const std::lock_guard lock(services.storage.restore_mutex());
  KALAM_CHECK(services.storage.abandon_restore());
  const BackupJob backup = backup_job(job);
  auto restored = Restore(services, backup, job.id, stop).run();
  if (restored) return restored;
  if (auto removed = services.storage.abandon_restore(); !removed)
    log::warn("[{}] {}", job.id, removed.error().message);
  return restored;
}

}  // namespace kalamdb::query
