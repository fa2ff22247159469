// What keeps a table's segments in shape: compaction, VACUUM, ANALYZE.
#include <algorithm>
#include <mutex>

#include "base/log.h"
#include "hot/keys.h"
#include "storage/analyze.h"
#include "storage/compact.h"
#include "storage/manifest_export.h"
#include "storage/manifest_rebuild.h"
#include "storage/retention.h"
#include "storage/storage_impl.h"
#include "storage/ttl.h"
#include "storage/user_removal.h"

namespace kalamdb::storage {

using hot::RecordSpace;

namespace {

bool is_stale(const cold::Manifest& manifest, int64_t before_us) {
  return manifest.segments.empty() && manifest.updated_at_us < before_us;
}

}  // namespace

Result<std::vector<SegmentScope>> StorageImpl::segment_scopes(TableId table, const hot::SnapshotPtr& snapshot) const {
  std::vector<SegmentScope> scopes;
  KALAM_CHECK(store_->scan_records(RecordSpace::kManifest, hot::table_prefix(table), snapshot,
                                   [&](std::string_view key, std::string_view) {
                                     if (auto scope = scope_of_key(key)) scopes.push_back(*std::move(scope));
                                     return true;
                                   }));
  return scopes;
}

Result<std::vector<UserId>> StorageImpl::segment_users(TableId table, const hot::SnapshotPtr& snapshot) {
  std::vector<UserId> users;
  KALAM_TRY(const auto scopes, segment_scopes(table, snapshot));
  for (const SegmentScope& scope : scopes) {
    if (!scope.shard) {
      users.push_back(scope.user);
      continue;
    }
    KALAM_TRY(const auto manifest, segments_->manifest(scope.key, snapshot));
    for (const cold::SegmentEntry& segment : manifest->segments) {
      KALAM_TRY(const auto all, segments_->users(scope.key, segment.id, snapshot));
      for (size_t i = 0; i < all->user_count(); ++i) users.push_back(all->user(i));
    }
  }
  std::ranges::sort(users, {}, &UserId::value);
  users.erase(std::unique(users.begin(), users.end()), users.end());
  return users;
}

Result<std::vector<SegmentScope>> StorageImpl::maintained_scopes(const model::TablePtr& table,
                                                                 const std::optional<UserId>& user) const {
  if (user) return std::vector{segment_scope(*table, *user)};
  return segment_scopes(table->id, nullptr);
}

Result<CompactResult> StorageImpl::compact(const model::TablePtr& table, const std::optional<UserId>& user,
                                           CompactKind kind, const std::stop_token& stop) {
  const auto mutexes = table_mutexes(table->id);
  const std::lock_guard lock(mutexes->maintenance);
  const SegmentsContext context = segments_context(stop);
  CompactResult result;
  KALAM_TRY(const auto scopes, maintained_scopes(table, user));
  for (const auto& scope : scopes) KALAM_CHECK(compact_scope(context, *mutexes, table, scope, kind, result));
  return result;
}

Result<VacuumResult> StorageImpl::vacuum(const model::TablePtr& table, const std::optional<UserId>& user,
                                         uint64_t retention_hours, const std::stop_token& stop) {
  VacuumResult result;
  const auto mutexes = table_mutexes(table->id);
  {
    const std::lock_guard lock(mutexes->maintenance);
    {
      const std::lock_guard nobody_writes(mutexes->segments);
      KALAM_CHECK(rebuild_damaged(table));
    }
    const SegmentsContext context = segments_context(stop);
    const Seq up_to = retained_from(retention_hours);
    std::vector<UserId> users;
    if (user) users.push_back(*user);
    if (!user) {
      KALAM_TRY(users, store_->users(table->id, nullptr));
    }
    for (const UserId& one : users) {
      std::optional<Seq> after = 0;
      KALAM_TRY(const uint64_t removed,
                storage::remove_tombstones(context, *mutexes, table, one, after, up_to, UINT64_MAX));
      result.tombstones_removed += removed;
    }
  }
  KALAM_TRY(result.compacted, compact(table, user, CompactKind::kVacuum, stop));
  if (!user) {
    KALAM_TRY(result.orphans_removed, remove_orphans(table));
  }
  return result;
}

Seq StorageImpl::retained_from(uint64_t retention_hours) const {
  return last_seq_at(clock_.now_us() / 1000 - static_cast<int64_t>(retention_hours) * 3'600'000);
}

Result<TombstoneBatch> StorageImpl::remove_tombstones(const model::TablePtr& table, const TombstonePosition& from,
                                                      uint64_t retention_hours, uint64_t max_rows,
                                                      const std::stop_token& stop) {
  const auto mutexes = table_mutexes(table->id);
  const std::lock_guard lock(mutexes->maintenance);
  const SegmentsContext context = segments_context(stop);
  const Seq up_to = retained_from(retention_hours);
  TombstoneBatch batch;
  const auto remove_from = [&](const UserId& user, Seq begin) -> Result<> {
    std::optional<Seq> after = begin;
    KALAM_TRY(const uint64_t removed,
              storage::remove_tombstones(context, *mutexes, table, user, after, up_to, max_rows - batch.removed));
    batch.removed += removed;
    if (batch.removed == max_rows) batch.next = TombstonePosition{user, after.value_or(up_to)};
    return {};
  };
  // First where the last batch was: looking for users steps over all that batches have erased.
  const bool goes_on = from.after > 0;
  if (goes_on) KALAM_CHECK(remove_from(from.user, from.after));
  if (batch.next) return batch;
  KALAM_TRY(auto users, store_->users(table->id, nullptr));
  std::ranges::sort(users, {}, &UserId::value);
  for (const UserId& user : users) {
    if (goes_on && user.value <= from.user.value) continue;
    KALAM_CHECK(remove_from(user, 0));
    if (batch.next) break;
  }
  return batch;
}

Result<bool> StorageImpl::has_old_tombstones(const model::TablePtr& table, uint64_t retention_hours) {
  const Seq up_to = retained_from(retention_hours);
  Seq after = 0;
  {
    const std::lock_guard lock(mutex_);
    if (const auto known = no_tombstones_up_to_.find(table->id); known != no_tombstones_up_to_.end()) {
      after = known->second;
    }
  }
  if (after >= up_to) return false;
  // What is being committed may be older than this moment, and is not seen yet.
  const Seq visible = store_->snapshot()->seq();
  KALAM_TRY(const auto users, store_->users(table->id, nullptr));
  for (const UserId& user : users) {
    KALAM_TRY(const bool has, has_tombstones(*store_, table, user, after, up_to));
    if (has) return true;
  }
  const std::lock_guard lock(mutex_);
  no_tombstones_up_to_[table->id] = std::min(up_to, visible);
  return false;
}

Result<UserRemoval> StorageImpl::remove_user(const model::TablePtr& table, const UserId& user,
                                             const std::stop_token& stop) {
  UserRemoval removal;
  {
    const auto mutexes = table_mutexes(table->id);
    const std::scoped_lock lock(mutexes->maintenance, mutexes->segments);
    KALAM_TRY(removal, remove_user_rows(segments_context(stop), table, user));
  }
  // Files of other users' rows have this one's until they are written anew.
  if (table->options.shares_segments && removal.segments > 0) {
    KALAM_TRY(const auto compacted, compact(table, user, CompactKind::kVacuum, stop));
    if (compacted.bytes_before > compacted.bytes_after) removal.bytes = compacted.bytes_before - compacted.bytes_after;
  }
  return removal;
}

Result<std::vector<SegmentScope>> StorageImpl::stale_manifests(TableId table, int64_t before_us) const {
  std::vector<SegmentScope> stale;
  KALAM_CHECK(store_->scan_records(RecordSpace::kManifest, hot::table_prefix(table), nullptr,
                                   [&](std::string_view key, std::string_view record) {
                                     const auto manifest = cold::decode_manifest(record);
                                     auto scope = scope_of_key(key);
                                     if (manifest && scope && is_stale(*manifest, before_us))
                                       stale.push_back(*std::move(scope));
                                     return true;
                                   }));
  return stale;
}

Result<bool> StorageImpl::has_stale_manifests(int64_t before_us) {
  KALAM_TRY(const auto tables, stored_tables(*store_));
  for (const auto& [id, table] : tables) {
    KALAM_TRY(const auto stale, stale_manifests(id, before_us));
    if (!stale.empty()) return true;
  }
  return false;
}

Result<uint64_t> StorageImpl::evict_manifests(int64_t before_us, const std::stop_token& stop) {
  uint64_t evicted = 0;
  KALAM_TRY(const auto tables, stored_tables(*store_));
  for (const auto& [id, table] : tables) {
    KALAM_TRY(const auto stale, stale_manifests(id, before_us));
    for (const SegmentScope& scope : stale) {
      KALAM_CHECK(check_stop(stop));
      KALAM_TRY(const bool done, evict_manifest(table, scope, before_us));
      evicted += done ? 1 : 0;
    }
  }
  return evicted;
}

Result<bool> StorageImpl::evict_manifest(const model::TablePtr& table, const SegmentScope& scope, int64_t before_us) {
  const auto mutexes = table_mutexes(table->id);
  const std::scoped_lock lock(mutexes->maintenance, mutexes->segments);
  KALAM_TRY(auto record, store_->get_record(RecordSpace::kManifest, scope.key, nullptr));
  if (!record) return false;
  KALAM_TRY(const cold::Manifest manifest, cold::decode_manifest(*record));
  if (!is_stale(manifest, before_us)) return false;
  // First, so that nobody takes it for the manifest of a scope whose record was lost.
  KALAM_CHECK(segment_files_.remove_exported(manifest));
  CommitRequest request;
  request.records.push_back(
      {.space = RecordSpace::kManifest, .key = scope.key, .value = std::nullopt, .expected = *std::move(record)});
  segments_->note_removed(scope.key, manifest);
  KALAM_CHECK(committer_->commit(std::move(request)));
  return true;
}

Result<uint64_t> StorageImpl::remove_orphans(const model::TablePtr& table) {
  const auto mutexes = table_mutexes(table->id);
  const std::scoped_lock lock(mutexes->maintenance, mutexes->segments);
  // Where the log has failed, it may have the commit of a file that no manifest names yet: only a commit, of nothing
  // here, tells that it has not.
  CommitRequest probe;
  probe.records.push_back({.space = RecordSpace::kRetention, .key = hot::table_prefix(table->id)});
  KALAM_CHECK(committer_->commit(std::move(probe)));
  KALAM_TRY(auto orphans, segment_files_.remove_orphans(*store_, table->id));
  if (orphans.lost_scopes.empty()) return orphans.removed;
  const uint64_t removed = orphans.removed;
  for (const std::string& scope : orphans.lost_scopes) KALAM_CHECK(rebuild(table, scope));
  KALAM_TRY(orphans, segment_files_.remove_orphans(*store_, table->id));
  return removed + orphans.removed;
}

Result<AnalyzeResult> StorageImpl::analyze(const model::TablePtr& table, const std::optional<UserId>& user,
                                           const std::stop_token& stop) {
  const auto mutexes = table_mutexes(table->id);
  const std::lock_guard lock(mutexes->maintenance);
  const SegmentsContext context = segments_context(stop);
  AnalyzeResult result;
  KALAM_TRY(const auto scopes, maintained_scopes(table, user));
  for (const auto& scope : scopes) KALAM_CHECK(analyze_scope(context, *mutexes, table, scope, result));
  return result;
}

Result<std::vector<ManifestInfo>> StorageImpl::manifests(const model::TablePtr& table) {
  std::vector<ManifestInfo> manifests;
  const auto snapshot = store_->snapshot();
  KALAM_TRY(const auto scopes, segment_scopes(table->id, snapshot));
  for (const SegmentScope& scope : scopes) {
    if (!segments_->damaged(scope.key).empty()) {
      manifests.push_back({.user = scope.user, .json = "{}", .exported = ManifestInfo::Exported::kUnreadable});
      continue;
    }
    KALAM_TRY(const auto manifest, segments_->manifest(scope.key, snapshot));
    KALAM_TRY(const auto deletions, segments_->all_deletions(scope.key, *manifest, snapshot));
    ManifestInfo info{.user = scope.user, .version = manifest->version, .updated_at_us = manifest->updated_at_us};
    info.json = cold::to_json(*manifest, *table, scope.user, scope.shard, deletions);
    const auto exported = segment_files_.exported_manifest(*manifest);
    if (!exported) {
      info.exported = ManifestInfo::Exported::kUnreadable;
    } else if (*exported != info.json) {
      info.exported = ManifestInfo::Exported::kOlder;
    }
    // Who may look at manifests must not see users' rows by it.
    if (table->is_per_user())
      info.json = cold::to_json(*manifest, *table, scope.user, scope.shard, deletions, /*with_values=*/false);
    manifests.push_back(std::move(info));
  }
  return manifests;
}

void StorageImpl::export_manifests(const model::TablePtr& table) {
  if (!segments_->has_changed(hot::table_prefix(table->id))) return;
  // On a thread of the collector's: a bucket may be slow or away.
  collector_->add_later([this, table]() -> Result<> {
    const auto mutexes = table_mutexes(table->id);
    const std::unique_lock lock(mutexes->segments, std::try_to_lock);
    if (lock) (void)export_changed_manifests(segments_context(), table);  // else a flush does it
    return {};
  });
}

void StorageImpl::export_all_manifests() {
  if (!segments_->has_changed("")) return;
  const auto tables = stored_tables(*store_);
  if (!tables) return log::warn("storage: {}", tables.error().message);
  for (const auto& [id, table] : *tables) {
    // A bucket that is away must not hold up the end for each of its manifests.
    if (!export_changed_manifests(segments_context(), table)) return;
  }
}

Result<Seq> StorageImpl::removed_tombstones_up_to(const model::TablePtr& table, const UserId& user,
                                                  const hot::SnapshotPtr& snapshot) {
  return storage::removed_tombstones_up_to(*store_, hot::scope_prefix(table->id, user), snapshot);
}

}  // namespace kalamdb::storage
