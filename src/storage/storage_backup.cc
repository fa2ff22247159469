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

Result<cold::BackupTable> StorageImpl::back_up(const model::TablePtr& table, const std::string& record,
                                               const hot::SnapshotPtr& snapshot, const cold::BackupPlace& place,
                                               const std::stop_token& stop) {
  std::vector<UserId> users;
  if (table->type == model::TableType::kUser || table->type == model::TableType::kShared) {
    KALAM_TRY(users, this->users(table, snapshot));
    // Of some nothing is left but that there were deletions.
    KALAM_CHECK(store_->scan_records(hot::RecordSpace::kRetention, hot::table_prefix(table->id), snapshot,
                                     [&](std::string_view scope, std::string_view) {
                                       auto user = hot::scope_user(scope);
                                       if (user && std::ranges::find(users, *user) == users.end())
                                         users.push_back(*std::move(user));
                                       return true;
                                     }));
  }
  return back_up_table(segments_context(stop), table, record, users, snapshot, place);
}

Result<CommitRequest> StorageImpl::prepare_restore(const cold::BackupPlace& place,
                                                   std::span<const TableToRestore> tables, Seq seq,
                                                   const std::string& job_id, const std::string& done,
                                                   const std::stop_token& stop) {
  return storage::prepare_restore(segments_context(stop), place, tables, seq, job_id, done);
}

void StorageImpl::restored(std::span<const TableToRestore> tables) {
  const SegmentsContext context = segments_context();
  for (const TableToRestore& table : tables) {
    for (const cold::BackupScope& scope : table.details.scopes) {
      export_manifest(context, table.table, restored_scope(*table.table, scope));
    }
  }
}

Result<> StorageImpl::abandon_restore() {
  KALAM_TRY(const auto tables, abandon_restored_rows(*store_, *committer_));
  for (const TableId table : tables) KALAM_CHECK(remove_directories(table));
  return {};
}

}  // namespace kalamdb::storage
