// Storage as one process has it: RocksDB and segment files in one data directory.
#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

#include "storage/committer_thread.h"
#include "storage/file_collector.h"
#include "storage/manifest_rebuild.h"
#include "storage/pending_rows.h"
#include "storage/segment_cache.h"
#include "storage/segment_files.h"
#include "storage/segments_context.h"
#include "storage/storage.h"
#include "storage/write_watches.h"

namespace kalamdb::storage {

class StorageImpl final : public Storage {
 public:
  StorageImpl(platform::FileSystem& files, platform::Clock& clock, platform::Random& random, duck::Engine& engine,
              const StorageOptions& options);
  ~StorageImpl() override {
    stop();
    engine_.set_remote_files(nullptr);
  }

  Result<> open();

  hot::Store& hot() override { return *store_; }
  Committer& committer() override { return *committer_; }
  StorageRegistry& storages() override { return storages_; }
  void set_user_storage(std::function<std::string(const UserId&)> user_storage) override {
    segment_files_.set_user_storage(std::move(user_storage));
  }
  Result<uint64_t> scopes_in(std::string_view storage_id) override;
  void add_listener(ChangeListener listener) override { committer_->add_listener(std::move(listener)); }

  Result<std::optional<FoundRow>> find(const model::TablePtr& table, const UserId& user, std::string_view key,
                                       const hot::SnapshotPtr& snapshot) override;
  Result<std::vector<std::optional<FoundRow>>> find_all(const model::TablePtr& table, const UserId& user,
                                                        std::span<const std::string> keys,
                                                        const hot::SnapshotPtr& snapshot) override;
  Result<bool> must_read_segments(const model::TablePtr& table, const UserId& user,
                                  std::span<const std::string> keys) override;
  Result<ColdKeys> cold_keys(const model::TablePtr& table, const UserId& user, std::span<const std::string> keys,
                             const hot::SnapshotPtr& snapshot) override;
  Result<std::shared_ptr<const duck::TableScan>> scan(const model::TablePtr& table, const UserId& user,
                                                      const hot::SnapshotPtr& snapshot) override;
  Result<uint64_t> segments_version(const model::TablePtr& table, const UserId& user,
                                    const hot::SnapshotPtr& snapshot) override;

  Result<std::vector<UserId>> users(const model::TablePtr& table, const hot::SnapshotPtr& snapshot) override;
  std::shared_ptr<WriteWatch> watch_writes(TableId table) override { return watches_.watch(table); }
  Result<FlushResult> flush(const model::TablePtr& table, const std::stop_token& stop) override;
  Result<Seq> evictable_up_to(const model::TablePtr& table) override;
  Result<uint64_t> count_rows_up_to(const model::TablePtr& table, Seq up_to, uint64_t max_rows) override;
  Result<uint64_t> evict(const model::TablePtr& table, Seq up_to, uint64_t max_rows) override;
  Result<CompactResult> compact(const model::TablePtr& table, const std::optional<UserId>& user, CompactKind kind,
                                const std::stop_token& stop) override;
  Result<VacuumResult> vacuum(const model::TablePtr& table, const std::optional<UserId>& user, uint64_t retention_hours,
                              const std::stop_token& stop) override;
  Result<TombstoneBatch> remove_tombstones(const model::TablePtr& table, const TombstonePosition& from,
                                           uint64_t retention_hours, uint64_t max_rows,
                                           const std::stop_token& stop) override;
  Result<bool> has_old_tombstones(const model::TablePtr& table, uint64_t retention_hours) override;
  Result<UserRemoval> remove_user(const model::TablePtr& table, const UserId& user,
                                  const std::stop_token& stop) override;
  Result<bool> has_stale_manifests(int64_t before_us) override;
  Result<uint64_t> evict_manifests(int64_t before_us, const std::stop_token& stop) override;
  Result<AnalyzeResult> analyze(const model::TablePtr& table, const std::optional<UserId>& user,
                                const std::stop_token& stop) override;
  Result<std::vector<ManifestInfo>> manifests(const model::TablePtr& table) override;
  void export_manifests(const model::TablePtr& table) override;
  Result<Seq> removed_tombstones_up_to(const model::TablePtr& table, const UserId& user,
                                       const hot::SnapshotPtr& snapshot) override;
  uint64_t pending_rows(TableId table) const override { return pending_->count(table); }
  Result<TableStats> stats(const model::TablePtr& table) override;
  Result<uint64_t> remove_segments(const model::TablePtr& table) override;

  void stop_remote_reads() override {
    is_stopping_ = true;
    remote_reader_.stop();
  }
  Result<TableFolder> unregistered_folder(const model::TablePtr& table) override;
  Result<std::optional<cold::BackupTable>> unregister(TableId table, const std::string& job_id,
                                                      const std::stop_token& stop) override;
  Result<RegisteredFolder> register_folder(const std::string& storage_id, const std::string& path) override;
  Result<cold::BackupPlace> backup_place(const std::string& storage_id, const std::string& path) override;
  Result<cold::BackupTable> back_up(const model::TablePtr& table, const std::string& record,
                                    const hot::SnapshotPtr& snapshot, const cold::BackupPlace& place,
                                    const std::stop_token& stop) override;
  Result<CommitRequest> prepare_restore(const cold::BackupPlace& place, std::span<const TableToRestore> tables, Seq seq,
                                        const std::string& job_id, const std::string& done, const std::stop_token& stop,
                                        const TableFolder* adopted) override;
  Result<CommitRequest> prepare_import(const model::TablePtr& table, model::RowCursor& rows, const std::string& job_id,
                                       const std::function<std::string(uint64_t rows)>& done,
                                       const std::stop_token& stop) override;
  void restored(std::span<const TableToRestore> tables) override;
  Result<> abandon_restore() override;
  std::mutex& restore_mutex() override { return restore_mutex_; }

  void stop() override;

 private:
  // What find() makes of a hot row: the row, or that there is none.
  std::optional<FoundRow> live_row(const model::TableDefinition& table, hot::StoredRow&& stored) const;
  // Which of a manifest's segments may have one of a user's keys.
  struct Candidates {
    std::vector<size_t> segments;  // indexes
    std::vector<char> wanted;      // `wanted[i]`: one of them may have `keys[i]`
  };
  Result<Candidates> find_candidates(const model::TableDefinition& table, const UserId& user,
                                     const cold::Manifest& manifest, std::span<const std::string> keys);
  // A user's live cold rows with one of `keys`. `manifest` is what there was at `snapshot`.
  Result<std::vector<duck::SegmentRow>> find_cold(const model::TablePtr& table, const UserId& user,
                                                  const cold::ManifestPtr& manifest, std::span<const std::string> keys,
                                                  const hot::SnapshotPtr& snapshot);
  // The segments in which a user has rows, which are `visible` in them.
  Result<std::vector<duck::Segment>> segments_of(const SegmentScope& scope, const cold::ManifestPtr& manifest,
                                                 const UserId& user, const hot::SnapshotPtr& snapshot);
  SegmentsContext segments_context(const std::stop_token& stop = {});
  std::shared_ptr<TableMutexes> table_mutexes(TableId table);
  // Of which there are segments.
  Result<std::vector<SegmentScope>> segment_scopes(TableId table, const hot::SnapshotPtr& snapshot) const;
  // Whose rows are in them.
  Result<std::vector<UserId>> segment_users(TableId table, const hot::SnapshotPtr& snapshot);
  // The one user's, or all.
  Result<std::vector<SegmentScope>> maintained_scopes(const model::TablePtr& table,
                                                      const std::optional<UserId>& user) const;
  // Of all its users' scopes, and of those that are found to be lost, which are rebuilt first.
  Result<uint64_t> remove_orphans(const model::TablePtr& table);
  // At the start: what lies where, and what of it cannot be used.
  Result<> load_segment_files(const StoredTables& tables);
  // Rebuilds what is damaged, on the collector's thread, so that nobody waits for it who does not need it.
  void begin_rebuilds();
  // When nothing writes any more.
  void export_all_manifests();
  // What is damaged of a table. The caller holds both of its mutexes.
  Result<> rebuild_damaged(const model::TablePtr& table);
  Result<> rebuild(const model::TablePtr& table, const std::string& scope);
  // The last `_seq` that is older than that.
  Seq retained_from(uint64_t retention_hours) const;
  Result<std::vector<SegmentScope>> stale_manifests(TableId table, int64_t before_us) const;
  Result<bool> evict_manifest(const model::TablePtr& table, const SegmentScope& scope, int64_t before_us);
  // Whose rows or deletions a backup has.
  Result<std::vector<UserId>> backed_up_users(const model::TablePtr& table, const hot::SnapshotPtr& snapshot);
  std::unexpected<Error> owned_folder(const std::string& directory, TableId owner) const;
  // Those that a table has of its segments, to be erased.
  Result<std::vector<RecordWrite>> segment_records(TableId table) const;
  // Returns the commit.
  Result<Seq> erase_segment_records(TableId table);
  Result<> remove_directories(TableId table);
  // Of tables that were dropped, and whose segments nothing names any more, when the server stopped.
  void remove_leftover_directories(const StoredTables& tables);

  platform::FileSystem& files_;
  platform::Clock& clock_;
  duck::Engine& engine_;
  const StorageOptions options_;

  std::unique_ptr<platform::FileLock> lock_;
  std::unique_ptr<hot::Store> store_;
  std::unique_ptr<SegmentCache> segments_;
  std::unique_ptr<PendingRows> pending_;
  StorageRegistry storages_;
  std::atomic<bool> is_stopping_ = false;  // no manifest is rebuilt any more
  std::atomic<bool> is_stopped_ = false;
  RemoteReader remote_reader_;
  SegmentFiles segment_files_;
  WriteWatches watches_;
  std::unique_ptr<HotRowCounts> hot_row_counts_;
  std::unique_ptr<CommitterThread> committer_;
  std::unique_ptr<FileCollector> collector_;

  std::mutex restore_mutex_;
  // Of the restore that is under way: what it adopts. Under `restore_mutex_`.
  struct Adoption {
    TableFolder folder;
    std::string path_template;
    TableId table;
  };
  std::optional<Adoption> adoption_;
  std::mutex mutex_;
  std::unordered_map<TableId, std::shared_ptr<TableMutexes>> table_mutexes_;
  std::unordered_map<TableId, Seq> no_tombstones_up_to_;  // what has_old_tombstones() knows of all users
};

}  // namespace kalamdb::storage
