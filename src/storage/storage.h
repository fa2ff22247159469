// Hot and cold rows as one table: reads at a snapshot, writes through the committer, flush, recovery.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <stop_token>
#include <string>
#include <vector>

#include "duck/engine.h"
#include "hot/store.h"
#include "platform/clock.h"
#include "platform/file_system.h"
#include "platform/random.h"
#include "storage/backup.h"
#include "storage/committer.h"
#include "storage/remote_reader.h"
#include "storage/storage_registry.h"
#include "storage/write_watches.h"

namespace kalamdb::storage {

struct StorageOptions {
  std::string data_directory;  // absolute; rocksdb/ and storage/ lie in it
  Durability durability = Durability::kFsync;
  uint16_t node_number = 1;             // for `_seq`, 0 to 1023
  uint64_t max_segment_rows = 200'000;  // at least 1
  uint64_t max_small_segments = 8;      // that could be merged; more make a scope fragmented
  hot::StoreOptions hot;
  StorageRegistryOptions storages;  // without `data_directory`, which is the one above
  RemoteReaderOptions remote_reads;
};

// A row as a reader finds it, hot or cold.
struct FoundRow {
  Seq seq = 0;
  std::string row;  // model::RowView reads it
  std::optional<ColdPosition> cold;
};

struct FlushResult {
  uint64_t rows = 0;
  uint64_t segments = 0;
  uint64_t bytes = 0;
  uint64_t fragmented = 0;  // scopes that a compaction would do good
};

enum class CompactKind : uint8_t {
  kOptimize,  // merges small segments, and rewrites those of which many rows are deleted
  kVacuum,    // rewrites all of which any row is deleted
};

// Of the segments that a compaction replaced, and of those in their place.
struct CompactResult {
  uint64_t segments_before = 0;
  uint64_t segments_after = 0;
  uint64_t bytes_before = 0;
  uint64_t bytes_after = 0;
};

struct VacuumResult {
  uint64_t tombstones_removed = 0;
  CompactResult compacted;
  uint64_t orphans_removed = 0;  // files
};

// How far a removal of tombstones has come: behind this row of this user.
struct TombstonePosition {
  UserId user;
  Seq after = 0;
};
struct TombstoneBatch {
  uint64_t removed = 0;
  std::optional<TombstonePosition> next;  // nullopt: nothing is left to remove
};

// What a user had in a table.
struct UserRemoval {
  uint64_t rows = 0;
  uint64_t segments = 0;  // with rows of the user's, deleted ones too
  uint64_t bytes = 0;     // that its files have become less
};

struct AnalyzeResult {
  uint64_t segments = 0;  // that there are
  uint64_t analyzed = 0;  // of which something was missing
};

// The manifest of one scope as it is told of.
struct ManifestInfo {
  UserId user;  // empty for SHARED tables
  uint64_t version = 0;
  int64_t updated_at_us = 0;
  std::string json;  // what manifest.json holds when it is written now; of USER tables, without values of columns
  enum class Exported : uint8_t { kSame, kOlder, kUnreadable } exported = Exported::kSame;
};

struct TableStats {
  uint64_t hot_rows = 0;  // estimated, tombstones included
  uint64_t cold_rows = 0;
  uint64_t segments = 0;
  uint64_t segment_bytes = 0;
};

// kUnavailable when it is requested.
Result<> check_stop(const std::stop_token& stop);

// Thread-safe. Owns the hot store and the committer. What takes a stop token ends soon after it is requested, with the
// error of check_stop(); what it has done by then stays, and running it again goes on with the rest.
class Storage {
 public:
  // Opens or creates the database in options.data_directory: locks it, opens the hot store, collects segment files that
  // no manifest names, starts the committer. The others must outlive it. Errors: kIo with a one-line reason (in use by
  // another process, not writable, disk full), kCorruption.
  static Result<std::unique_ptr<Storage>> open(StorageOptions options, platform::FileSystem& files,
                                               platform::Clock& clock, platform::Random& random, duck::Engine& engine);
  virtual ~Storage() = default;

  virtual hot::Store& hot() = 0;
  virtual Committer& committer() = 0;
  // The storages that segments lie in; the catalog changes them.
  virtual StorageRegistry& storages() = 0;
  // Before the first flush: which storage a user's rows go to, of tables with USE_USER_STORAGE; empty: the table's own.
  virtual void set_user_storage(std::function<std::string(const UserId&)> user_storage) = 0;
  // How many scopes have segments in a storage.
  virtual Result<uint64_t> scopes_in(std::string_view storage_id) = 0;
  // Before the first commit: who is told of changes, in this order.
  virtual void add_listener(ChangeListener listener) = 0;

  // The row with this key, live and at the snapshot (nullptr: now). The usual case is one hot get.
  virtual Result<std::optional<FoundRow>> find(const model::TablePtr& table, const UserId& user, std::string_view key,
                                               const hot::SnapshotPtr& snapshot) = 0;
  // The same for many keys: `result[i]` belongs to `keys[i]`. `snapshot` must be one.
  virtual Result<std::vector<std::optional<FoundRow>>> find_all(const model::TablePtr& table, const UserId& user,
                                                                std::span<const std::string> keys,
                                                                const hot::SnapshotPtr& snapshot) = 0;
  // Which of `keys` are taken by live cold rows at the snapshot (nullptr: now), and the segments version that this was
  // read at, for CommitRequest::segments_read. Hot rows are the committer's to check. Cheap when there are no segments
  // or their key ranges and Bloom filters rule the keys out.
  struct ColdKeys {
    struct Taken {
      std::string key;
      std::string path;  // of the segment, relative to the storage's base directory
    };
    std::vector<Taken> taken;
    uint64_t segments_version = 0;
  };
  virtual Result<ColdKeys> cold_keys(const model::TablePtr& table, const UserId& user,
                                     std::span<const std::string> keys, const hot::SnapshotPtr& snapshot) = 0;
  // Whether find_all() and cold_keys() would have to read a segment for one of `keys`, none of which is hot now. False
  // as long as key ranges and Bloom filters rule them out of all segments.
  virtual Result<bool> must_read_segments(const model::TablePtr& table, const UserId& user,
                                          std::span<const std::string> keys) = 0;
  // What duck::Engine scans, bound to scope and snapshot.
  virtual Result<std::shared_ptr<const duck::TableScan>> scan(const model::TablePtr& table, const UserId& user,
                                                              const hot::SnapshotPtr& snapshot) = 0;
  // The segments version of a scope at a snapshot, for CommitRequest::segments_read.
  virtual Result<uint64_t> segments_version(const model::TablePtr& table, const UserId& user,
                                            const hot::SnapshotPtr& snapshot) = 0;

  // Whose rows the table has, hot or cold, at a snapshot; the one empty id for SHARED tables.
  virtual Result<std::vector<UserId>> users(const model::TablePtr& table, const hot::SnapshotPtr& snapshot) = 0;

  // What a later snapshot does not have reaches the watch, before it is answered.
  virtual std::shared_ptr<WriteWatch> watch_writes(TableId table) = 0;

  // Moves the hot live rows of the table, of every user, into segments. Tombstones stay until retention. Safe beside
  // readers, writers and a crash at any point. One flush of a table runs at a time; a second one waits.
  virtual Result<FlushResult> flush(const model::TablePtr& table, const std::stop_token& stop = {}) = 0;
  // Of a STREAM table: the greatest `_seq` of a row that is to go, being past its time to live or among the oldest of a
  // table larger than max_stream_size_bytes; 0 if there is none. Reads the table if its size is bounded.
  virtual Result<Seq> evictable_up_to(const model::TablePtr& table) = 0;
  // How many rows up to that `_seq` there are, counted as far as `max_rows`.
  virtual Result<uint64_t> count_rows_up_to(const model::TablePtr& table, Seq up_to, uint64_t max_rows) = 0;
  // Removes up to `max_rows` rows with such a `_seq`, in one commit that nobody is told of. Returns how many; fewer
  // than `max_rows` when no more were there. Errors: kConflict when the table was altered or dropped meanwhile.
  virtual Result<uint64_t> evict(const model::TablePtr& table, Seq up_to, uint64_t max_rows) = 0;
  // Rewrites segments of the table, of all users or of one, as `kind` says. Rows stay what they are for every reader;
  // it is safe beside readers, writers, flushes and a crash at any point. One at a time for a table; a second one
  // waits.
  virtual Result<CompactResult> compact(const model::TablePtr& table, const std::optional<UserId>& user,
                                        CompactKind kind, const std::stop_token& stop = {}) = 0;
  // Removes what no snapshot needs: tombstones older than `retention_hours`, deleted rows from segments and, unless it
  // is about one user only, files that no manifest names. Safe as compact() is.
  virtual Result<VacuumResult> vacuum(const model::TablePtr& table, const std::optional<UserId>& user,
                                      uint64_t retention_hours, const std::stop_token& stop = {}) = 0;
  // Removes about `max_rows` tombstones older than `retention_hours`, from a position on; those of vacuum(). Safe as
  // compact() is.
  virtual Result<TombstoneBatch> remove_tombstones(const model::TablePtr& table, const TombstonePosition& from,
                                                   uint64_t retention_hours, uint64_t max_rows,
                                                   const std::stop_token& stop = {}) = 0;
  // Whether it would remove any. Each row is looked at once only as long as the server runs, but for tombstones.
  virtual Result<bool> has_old_tombstones(const model::TablePtr& table, uint64_t retention_hours) = 0;
  // Removes all rows that a user has in a USER or STREAM table, hot and cold, in one commit that nobody is told of.
  // Files that have other users' rows too are written anew. Running it again is harmless. Safe as compact() is.
  virtual Result<UserRemoval> remove_user(const model::TablePtr& table, const UserId& user,
                                          const std::stop_token& stop = {}) = 0;
  // Whether there are manifests that have had no segments since before that time; removes them, and returns how many.
  virtual Result<bool> has_stale_manifests(int64_t before_us) = 0;
  virtual Result<uint64_t> evict_manifests(int64_t before_us, const std::stop_token& stop = {}) = 0;
  // Makes statistics of columns and Bloom filters for segments whose manifest lacks them. Safe as compact() is.
  virtual Result<AnalyzeResult> analyze(const model::TablePtr& table, const std::optional<UserId>& user,
                                        const std::stop_token& stop = {}) = 0;
  // The manifests of the table's scopes. Reads each manifest.json, to tell whether it is what it would be now.
  virtual Result<std::vector<ManifestInfo>> manifests(const model::TablePtr& table) = 0;
  // Begins to write what manifest.json lacks of deletions; flushes do it too, and stop() for all tables.
  virtual void export_manifests(const model::TablePtr& table) = 0;
  // Deletions up to this `_seq` may be forgotten; 0 if none is.
  virtual Result<Seq> removed_tombstones_up_to(const model::TablePtr& table, const UserId& user,
                                               const hot::SnapshotPtr& snapshot) = 0;
  // Hot rows written since the last flush (exact but for rows rewritten since the server started), for the row policy.
  virtual uint64_t pending_rows(TableId table) const = 0;
  virtual Result<TableStats> stats(const model::TablePtr& table) = 0;
  // After DROP TABLE has committed: removes manifests and segment files, the files as soon as no reader can need them
  // any more. Running it again is harmless. Returns the bytes that are freed by it.
  virtual Result<uint64_t> remove_segments(const model::TablePtr& table) = 0;

  // Statements that wait for a service fail, so that nobody waits for them, and no manifest is rebuilt any more.
  virtual void stop_remote_reads() = 0;
  // Where the files of a table will stay when it is unregistered. Errors: kInvalidOperation for STREAM tables and
  // views, kUnavailable, kCorruption when a manifest is damaged.
  virtual Result<TableFolder> unregistered_folder(const model::TablePtr& table) = 0;
  // Of a table that Catalog::unregister_table() has taken out: writes what is not in that folder yet, as cold/backup.h
  // tells, then forgets the table. nullopt when there is none such, or not any more.
  virtual Result<std::optional<cold::BackupTable>> unregister(TableId table, const std::string& job_id,
                                                              const std::stop_token& stop = {}) = 0;
  // A folder that REGISTER TABLE names: in a storage, `local` where none is given, or an absolute path, see
  // backup_directory(). `adoptable` is set for one in a storage. Errors: as backup_place(), and kInvalidOperation where
  // files of a table lie that is here.
  struct RegisteredFolder {
    cold::BackupPlace place;
    std::optional<TableFolder> adoptable;
  };
  virtual Result<RegisteredFolder> register_folder(const std::string& storage_id, const std::string& path) = 0;

  // Where backups lie or are to lie: a path, see backup_directory(), or, with a `storage_id`, a name in that storage.
  // Errors: kInvalidOperation, kInvalidInput, kNotFound, kUnavailable.
  virtual Result<cold::BackupPlace> backup_place(const std::string& storage_id, const std::string& path) = 0;
  // Writes what the snapshot has of a table or view; STREAM tables have only their definition there. `record` is the
  // definition as it is stored.
  virtual Result<cold::BackupTable> back_up(const model::TablePtr& table, const std::string& record,
                                            const hot::SnapshotPtr& snapshot, const cold::BackupPlace& place,
                                            const std::stop_token& stop = {}) = 0;
  // See storage/backup.h. One of both at a time.
  virtual Result<CommitRequest> prepare_restore(const cold::BackupPlace& place, std::span<const TableToRestore> tables,
                                                Seq seq, const std::string& job_id, const std::string& done,
                                                const std::stop_token& stop = {},
                                                const TableFolder* adopted = nullptr) = 0;
  virtual Result<CommitRequest> prepare_import(const model::TablePtr& table, model::RowCursor& rows,
                                               const std::string& job_id,
                                               const std::function<std::string(uint64_t rows)>& done,
                                               const std::stop_token& stop = {}) = 0;
  // After its commit.
  virtual void restored(std::span<const TableToRestore> tables) = 0;
  // Removes what a restore has left that was begun and not committed.
  virtual Result<> abandon_restore() = 0;
  // Whoever restores holds it from before abandon_restore() until after restored().
  virtual std::mutex& restore_mutex() = 0;

  // Writes what manifest.json lacks, and stops the committer after what has queued. Further commits fail with
  // kUnavailable.
  virtual void stop() = 0;
};

}  // namespace kalamdb::storage
