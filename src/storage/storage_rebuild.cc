// What Storage does about manifests that are damaged or lost.
#include "base/bytes.h"
#include "base/log.h"
#include "hot/keys.h"
#include "storage/manifest_rebuild.h"
#include "storage/storage_impl.h"

namespace kalamdb::storage {
namespace {

Error being_rebuilt() {
  return {ErrorCode::kUnavailable, "The table's manifest is damaged and is being rebuilt; try again shortly"};
}

}  // namespace

Result<> StorageImpl::load_segment_files(const StoredTables& tables) {
  KALAM_TRY(auto damaged, damaged_scopes(*store_));
  KALAM_TRY(const auto orphans, segment_files_.load(*store_, damaged, tables));
  if (orphans.removed > 0) log::info("storage: removed {} segment files of unfinished flushes", orphans.removed);
  damaged.insert(orphans.lost_scopes.begin(), orphans.lost_scopes.end());
  for (const std::string& scope : damaged) {
    segments_->set_damaged(scope, being_rebuilt());
  }
  return {};
}

void StorageImpl::begin_rebuilds() {
  for (const std::string& scope : segments_->damaged("")) {
    collector_->add_later([this, scope]() -> Result<> {
      const TableId id(read_big_endian<uint32_t>(scope.data()));
      KALAM_TRY(const auto tables, stored_tables(*store_));
      const auto table = tables.find(id);
      if (table == tables.end()) return {};  // it was dropped
      const auto mutexes = table_mutexes(id);
      const std::scoped_lock lock(mutexes->maintenance, mutexes->segments);
      if (segments_->damaged(scope).empty()) return {};  // VACUUM has come first
      return rebuild(table->second, scope);
    });
  }
}

Result<> StorageImpl::rebuild_damaged(const model::TablePtr& table) {
  for (const std::string& scope : segments_->damaged(hot::table_prefix(table->id))) KALAM_CHECK(rebuild(table, scope));
  return {};
}

Result<> StorageImpl::rebuild(const model::TablePtr& table, const std::string& scope) {
  const auto parsed = scope_of_key(scope);
  if (!parsed) return fail(ErrorCode::kInternal, "The key of a manifest is damaged");
  segments_->set_damaged(scope, being_rebuilt());
  auto rebuilt = rebuild_scope(segments_context(), table, *parsed, [this] { return is_stopping_.load(); });
  if (!rebuilt) {
    Error why = rebuilt.error();
    why.message += "; VACUUM " + table->qualified_name() + " and a restart of the server try it again";
    segments_->set_damaged(scope, std::move(why));
  }
  return rebuilt;
}

}  // namespace kalamdb::storage
