// Backups and restores as Storage offers them.
#include <algorithm>

#include "cold/directory_store.h"
#include "hot/keys.h"
#include "storage/manifest_export.h"
#include "storage/storage_impl.h"

namespace kalamdb::storage {

Result<cold::BackupPlace> StorageImpl::backup_place(const std::string& storage_id, const std::string& path) {
  if (storage_id.empty()) {
    KALAM_TRY(std::string directory, backup_directory(path, options_.data_directory, storages_));
    return cold::BackupPlace{std::make_shared<cold::DirectoryStore>(files_, std::move(directory)), ""};
  }
  if (storages_.find(storage_id) == nullptr) {
    return fail(ErrorCode::kNotFound, "Storage '" + storage_id + "' not found");
  }
  KALAM_CHECK(cold::check_object_name(path));
  KALAM_TRY(auto objects, storages_.objects(storage_id));
  // No part of a table's directory begins with a dot.
  return cold::BackupPlace{std::move(objects), ".backups/" + path + "/"};
}

Result<std::vector<UserId>> StorageImpl::backed_up_users(const model::TablePtr& table,
                                                         const hot::SnapshotPtr& snapshot) {
  if (table->type != model::TableType::kUser && table->type != model::TableType::kShared) return std::vector<UserId>{};
  KALAM_TRY(auto users, this->users(table, snapshot));
  // Of some nothing is left but that there were deletions.
  KALAM_CHECK(store_->scan_records(hot::RecordSpace::kRetention, hot::table_prefix(table->id), snapshot,
                                   [&](std::string_view scope, std::string_view) {
                                     auto user = hot::scope_user(scope);
                                     if (user && std::ranges::find(users, *user) == users.end())
                                       users.push_back(*std::move(user));
                                     return true;
                                   }));
  return users;
}

Result<cold::BackupTable> StorageImpl::back_up(const model::TablePtr& table, const std::string& record,
                                               const hot::SnapshotPtr& snapshot, const cold::BackupPlace& place,
                                               const std::stop_token& stop) {
  KALAM_TRY(const auto users, backed_up_users(table, snapshot));
  return back_up_table(segments_context(stop), table, record, users, snapshot, place);
}

Result<CommitRequest> StorageImpl::prepare_restore(const cold::BackupPlace& place,
                                                   std::span<const TableToRestore> tables, Seq seq,
                                                   const std::string& job_id, const std::string& done,
                                                   const std::stop_token& stop, const TableFolder* adopted) {
  if (adopted != nullptr) {
    const TableToRestore& table = tables.front();
    const auto owner = segment_files_.reserve(adopted->storage_id, adopted->directory, table.table->id);
    if (owner) return owned_folder(adopted->directory, *owner);
    adoption_ = {*adopted, table.details.path_template, table.table->id};
    // Another server may have put other objects under names that this one knows.
    storages_.forget_cached(adopted->storage_id);
  }
  return storage::prepare_restore(segments_context(stop), place, tables, seq, job_id, done, adopted);
}

Result<CommitRequest> StorageImpl::prepare_import(const model::TablePtr& table, model::RowCursor& rows,
                                                  const std::string& job_id,
                                                  const std::function<std::string(uint64_t rows)>& done,
                                                  const std::stop_token& stop) {
  return storage::prepare_import(segments_context(stop), table, rows, job_id, done);
}

void StorageImpl::restored(std::span<const TableToRestore> tables) {
  if (adoption_) {
    const auto& [folder, path_template, table] = *adoption_;
    segment_files_.adopt(folder.storage_id, folder.directory, table, path_template);
    adoption_.reset();
  }
  const SegmentsContext context = segments_context();
  for (const TableToRestore& table : tables) {
    for (const cold::BackupScope& scope : table.details.scopes) {
      export_manifest(context, table.table, restored_scope(*table.table, scope));
    }
  }
}

Result<> StorageImpl::abandon_restore() {
  if (adoption_) {
    segment_files_.release(adoption_->folder.storage_id, adoption_->folder.directory, adoption_->table);
    adoption_.reset();
  }
  KALAM_TRY(const auto tables, abandon_restored_rows(*store_, *committer_));
  for (const TableId table : tables) KALAM_CHECK(remove_directories(table));
  return {};
}

}  // namespace kalamdb::storage
