// The hot store: the only door to RocksDB. A handful of column families hold the rows of all tables, the change index,
// and the records of the catalog, the manifests, jobs and users.
//
//   rows     [table u32][user, escaped, 00 00][primary key]   → [_seq i64][flags u8][row]
//   changes  [table u32][user, escaped, 00 00][_seq u64]      → [primary key]
//   records  [space u8][key]                                  → bytes
//
// Numbers in keys are big-endian. A key has one version, the newest; a tombstone is a row with the deleted flag. The
// change index has exactly one entry for each row, tombstones included.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "model/row_codec.h"

namespace kalamdb::hot {

// What kind of record it is; the first byte of its key. Stable.
enum class RecordSpace : uint8_t {
  kMeta = 1,        // "last_seq", "next_table_id", "server_id"
  kNamespace = 2,   // name → NamespaceDefinition
  kTable = 3,       // "ns.table" → TableDefinition
  kManifest = 4,    // scope → manifest, see cold/manifest.h
  kDeletions = 5,   // scope, segment → deletion vector
  kUser = 6,        // user id → user record
  kJob = 7,         // job id → job record
  kSetting = 8,     // "jwt_secret" and the like
  kFilter = 9,      // scope, segment → Bloom filter of its keys
  kDirectory = 10,  // table, storage → where its segments lie, see storage/segment_files.h
  kStorage = 11,    // storage id → StorageDefinition
  kRetention = 12,  // scope → the greatest `_seq` of a tombstone that was removed, u64 big-endian
  kUsers = 13,      // shard, segment → whose rows lie where in it, see cold/segment_users.h
};

// Everything as it was at one commit. Holds back RocksDB's garbage collection while it lives. Thread-safe. Snapshots
// and cursors must not outlive their store.
class Snapshot {
 public:
  virtual ~Snapshot() = default;
  // The last commit that it sees.
  virtual Seq seq() const = 0;
};
using SnapshotPtr = std::shared_ptr<const Snapshot>;

struct StoredRow {
  Seq seq = 0;
  bool deleted = false;
  std::string row;
};

// Changes that are written together or not at all.
class Batch {
 public:
  virtual ~Batch() = default;
  // Writes the row's newest version. `replaced` is the version there was before (0: none), whose change-index entry
  // goes.
  virtual void put_row(TableId table, const UserId& user, std::string_view key, Seq seq, bool deleted,
                       std::string_view row, Seq replaced) = 0;
  virtual void erase_row(TableId table, const UserId& user, std::string_view key, Seq seq) = 0;
  // Every row of a table, of all its users.
  virtual void erase_table(TableId table) = 0;
  // Every row of one user in a table.
  virtual void erase_scope(TableId table, const UserId& user) = 0;
  // What a flush removes, rows apart from their change-index entries: the rows with begin ≤ key < end, and the entries
  // with first ≤ _seq ≤ last.
  virtual void erase_rows(TableId table, const UserId& user, std::string_view begin, std::string_view end) = 0;
  virtual void erase_changes(TableId table, const UserId& user, Seq first, Seq last) = 0;
  virtual void put_record(RecordSpace space, std::string_view key, std::string_view value) = 0;
  virtual void erase_record(RecordSpace space, std::string_view key) = 0;

  // Takes back everything since the last mark(), which it uses up; release() keeps it and uses the mark up.
  virtual void mark() = 0;
  virtual void roll_back() = 0;
  virtual void release() = 0;
  virtual size_t size_bytes() const = 0;
};

enum class Sync : uint8_t { kNo, kYes };

struct StoreOptions {
  uint64_t block_cache_bytes = 256 << 20;
  uint64_t write_buffer_bytes = 64 << 20;
};

// Thread-safe, but for write(), which one thread calls.
class Store {
 public:
  // Opens or creates. Errors: kIo (also when another process has it open), kCorruption.
  static Result<std::unique_ptr<Store>> open(const std::string& directory, const StoreOptions& options);
  virtual ~Store() = default;

  virtual SnapshotPtr snapshot() const = 0;
  // The least seq() of the snapshots that live; nullopt if none does. Every snapshot that is taken later sees at least
  // what has been written by now.
  virtual std::optional<Seq> oldest_snapshot() const = 0;
  // Before the first snapshot is taken: what is called when one has been released, on the thread that does it. Must be
  // quick and take no snapshot.
  virtual void set_snapshot_listener(std::function<void()> released) = 0;

  // `snapshot` nullptr reads the newest state. The row comes with tombstones.
  virtual Result<std::optional<StoredRow>> get(TableId table, const UserId& user, std::string_view key,
                                               const SnapshotPtr& snapshot) const = 0;
  // Rows in key order with begin ≤ key < end (empty `end`: no bound).
  virtual std::unique_ptr<model::RowCursor> scan(TableId table, const UserId& user, std::string_view begin,
                                                 std::string_view end, bool with_tombstones,
                                                 const SnapshotPtr& snapshot) const = 0;
  // Rows, tombstones included, with after < _seq, in `_seq` order.
  virtual std::unique_ptr<model::RowCursor> scan_changes(TableId table, const UserId& user, Seq after,
                                                         const SnapshotPtr& snapshot) const = 0;
  // The `_seq` of every row, tombstones included, ascending.
  virtual Result<std::vector<Seq>> change_seqs(TableId table, const UserId& user,
                                               const SnapshotPtr& snapshot) const = 0;
  // About how many rows of a table, or of one user in it, there are, tombstones included. Cheap.
  virtual uint64_t estimate_rows(TableId table, const UserId* user) const = 0;
  // The users that have rows in a table.
  virtual Result<std::vector<UserId>> users(TableId table, const SnapshotPtr& snapshot) const = 0;

  virtual Result<std::optional<std::string>> get_record(RecordSpace space, std::string_view key,
                                                        const SnapshotPtr& snapshot) const = 0;
  // Calls `visit` for each record whose key starts with `prefix`, in key order, until it returns false.
  virtual Result<> scan_records(
      RecordSpace space, std::string_view prefix, const SnapshotPtr& snapshot,
      const std::function<bool(std::string_view key, std::string_view value)>& visit) const = 0;

  // So many rows have been erased that no snapshot of the caller sees any more. While they are in memory, scans of what
  // was around them step over them one by one: after some thousands, what is in memory begins to be written to files,
  // without them.
  virtual void note_erased(uint64_t rows) = 0;

  virtual std::unique_ptr<Batch> new_batch() const = 0;
  // The commit log's append: writes all of `batch` atomically and makes `last_seq` the newest commit. With Sync::kYes
  // it returns only once the bytes are on the disk. kUnavailable: RocksDB could not write, now or in the background; so
  // does every further write fail, since what reached the disk is unknown until the log is read at the next start.
  virtual Result<> write(Batch& batch, Seq last_seq, Sync sync) = 0;
  // The newest commit that was ever written.
  virtual Seq last_seq() const = 0;
};

}  // namespace kalamdb::hot
