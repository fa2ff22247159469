// UNREGISTER TABLE and the folders that REGISTER TABLE reads, as Storage offers them.
#include "cold/directory_store.h"
#include "hot/keys.h"
#include "storage/flush.h"
#include "storage/folder_owner.h"
#include "storage/manifest_rebuild.h"
#include "storage/storage_impl.h"

namespace kalamdb::storage {

using hot::RecordSpace;

namespace {

// What lies in the folder already: the listing of an earlier run, or another server's table by now. Either way nothing
// is to be written there; of the latter there is no telling what it has.
struct Left {
  bool is_left = false;
  std::optional<cold::BackupTable> table;
};
Result<Left> left_before(const cold::BackupPlace& place, const hot::Store& store) {
  KALAM_TRY(const FolderOwner owner, folder_owner(place, store));
  if (owner == FolderOwner::kAnother) return Left{.is_left = true, .table = std::nullopt};
  const std::string name = place.object(cold::kUnregisteredFile);
  KALAM_TRY(const auto size, place.objects->size(name));
  if (!size) return Left{};
  // From before this server took the folder in: the table may have changed since.
  if (owner == FolderOwner::kThisServer) {
    KALAM_CHECK(place.objects->remove(name));
    return Left{};
  }
  KALAM_TRY(const std::string json, cold::read_object(*place.objects, name));
  KALAM_TRY(auto manifest, cold::decode_backup_manifest(json));
  if (manifest.tables.size() != 1) return Left{.is_left = true, .table = std::nullopt};
  return Left{.is_left = true, .table = std::move(manifest.tables.front())};
}

}  // namespace

Result<TableFolder> StorageImpl::unregistered_folder(const model::TablePtr& table) {
  if (table->is_view() || table->type == model::TableType::kStream) {
    return fail(ErrorCode::kInvalidOperation,
                table->qualified_name() + " is a " + (table->is_view() ? "view" : "STREAM table") +
                    ", which has no files; UNREGISTER TABLE is for USER and SHARED tables");
  }
  if (!segments_->damaged(hot::table_prefix(table->id)).empty()) {
    return fail(ErrorCode::kCorruption, "A manifest of " + table->qualified_name() + " is damaged; VACUUM " +
                                            table->qualified_name() + " rebuilds it");
  }
  KALAM_TRY(Location home, segment_files_.home(*table));
  return TableFolder{std::move(home.storage_id), std::move(home.directory)};
}

Result<std::optional<cold::BackupTable>> StorageImpl::unregister(TableId id, const std::string& job_id,
                                                                 const std::stop_token& stop) {
  KALAM_TRY(const auto record, unregistered_definition(*store_, id));
  if (!record) return std::nullopt;
  KALAM_TRY(auto definition, model::decode_table(*record));
  const auto table = std::make_shared<const model::TableDefinition>(std::move(definition));
  const auto mutexes = table_mutexes(id);
  const std::scoped_lock lock(mutexes->maintenance, mutexes->segments);
  KALAM_TRY(const Location home, segment_files_.home(*table));
  // First, so that this is the directory after a crash too.
  KALAM_CHECK(record_directory(segments_context(stop), home));
  const cold::BackupPlace place{home.objects, home.directory + "/"};
  KALAM_TRY(Left left, left_before(place, *store_));
  if (!left.is_left) {
    // Nothing can change any more, since the definition is gone.
    const hot::SnapshotPtr snapshot = store_->snapshot();
    KALAM_TRY(const auto users, backed_up_users(table, snapshot));
    KALAM_TRY(left.table, back_up_table(segments_context(stop), table, *record, users, snapshot, place, &home));
    const cold::BackupManifest manifest{.seq = snapshot->seq(),
                                        .created_at_us = clock_.now_us(),
                                        .job_id = job_id,
                                        .namespaces = {},
                                        .tables = {*left.table}};
    KALAM_CHECK(remove_folder_owner(place));
    KALAM_CHECK(cold::put_checked(*place.objects, place.object(cold::kUnregisteredFile), encode(manifest),
                                  std::string(cold::kUnregisteredFile)));
  }
  CommitRequest forget;
  KALAM_TRY(forget.records, segment_records(id));
  forget.records.push_back({.space = RecordSpace::kDirectory, .key = home.record_key});
  RecordWrite done = unregistered_record(id, "");
  done.value.reset();
  forget.records.push_back(std::move(done));
  forget.erase_tables.push_back(id);
  forget.always_sync = true;
  KALAM_TRY(const ChangeSetPtr forgotten, committer_->commit(std::move(forget)));
  segment_files_.release(home.storage_id, home.directory, id);
  // Where else there were files of it, which have been copied.
  collector_->add(forgotten->commit_seq, [this, id] { return remove_directories(id); });
  return std::move(left.table);
}

std::unexpected<Error> StorageImpl::owned_folder(const std::string& directory, TableId owner) const {
  std::string name = "a table that is being removed";
  if (const auto tables = stored_tables(*store_); tables) {
    if (const auto found = tables->find(owner); found != tables->end()) name = found->second->qualified_name();
  }
  return fail(ErrorCode::kInvalidOperation,
              "'" + directory + "' cannot be registered: files of " + name + " lie there; UNREGISTER TABLE it first");
}

Result<Storage::RegisteredFolder> StorageImpl::register_folder(const std::string& storage_id, const std::string& path) {
  if (storage_id.empty() && path.starts_with('/')) {
    KALAM_TRY(std::string directory, backup_directory(path, options_.data_directory, storages_, "a table to register"));
    return RegisteredFolder{{std::make_shared<cold::DirectoryStore>(files_, std::move(directory)), ""}, std::nullopt};
  }
  const std::string storage = storage_id.empty() ? std::string(cold::kLocalStorage) : storage_id;
  if (storages_.find(storage) == nullptr) return fail(ErrorCode::kNotFound, "Storage '" + storage + "' not found");
  std::string directory = path;
  while (directory.ends_with('/')) directory.pop_back();
  KALAM_CHECK(cold::check_object_name(directory));
  KALAM_TRY(auto objects, storages_.objects(storage));
  if (const auto owner = segment_files_.neighbour(storage, directory)) return owned_folder(directory, *owner);
  return RegisteredFolder{{std::move(objects), directory + "/"}, TableFolder{storage, directory}};
}

}  // namespace kalamdb::storage
