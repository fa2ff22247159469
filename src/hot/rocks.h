// What the files of this folder share about RocksDB; nobody else includes it but this folder's tests.
#pragma once

#include <rocksdb/db.h>
#include <rocksdb/env.h>

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "hot/live_snapshots.h"
#include "hot/store.h"

namespace kalamdb::hot {

inline rocksdb::Slice slice(std::string_view bytes) { return {bytes.data(), bytes.size()}; }
inline std::string_view bytes(const rocksdb::Slice& value) { return {value.data(), value.size()}; }

// A RocksDB failure as ours: kCorruption, kIo or, for what should not happen, kInternal. `doing` starts the message.
Error to_error(const rocksdb::Status& status, std::string_view doing);

rocksdb::Options database_options(const StoreOptions& options, rocksdb::Env* env);
// In the order of ColumnFamily.
enum ColumnFamily : size_t { kRecords, kRows, kChanges, kColumnFamilies };
std::vector<rocksdb::ColumnFamilyDescriptor> column_families(const StoreOptions& options,
                                                             const rocksdb::Options& database);

// The value of a row: [_seq i64][flags u8][row].
inline constexpr size_t kRowHeaderBytes = 9;
inline constexpr char kDeletedFlag = 1;
struct StoredRowView {
  Seq seq = 0;
  bool deleted = false;
  std::string_view row;
};
Result<StoredRowView> read_row(std::string_view value);

// Shared by the snapshots and cursors that keep a RocksDB snapshot.
class RocksSnapshot final : public Snapshot {
 public:
  // `live` has it among its snapshots, and must outlive it as `db` must.
  RocksSnapshot(rocksdb::DB& db, const rocksdb::Snapshot* snapshot, Seq seq, LiveSnapshots& live)
      : db_(db), snapshot_(snapshot), seq_(seq), live_(live) {}
  ~RocksSnapshot() override {
    db_.ReleaseSnapshot(snapshot_);
    live_.remove(seq_);
  }
  RocksSnapshot(const RocksSnapshot&) = delete;
  RocksSnapshot& operator=(const RocksSnapshot&) = delete;

  Seq seq() const override { return seq_; }
  const rocksdb::Snapshot* rocks() const { return snapshot_; }

 private:
  rocksdb::DB& db_;
  const rocksdb::Snapshot* snapshot_;
  Seq seq_;
  LiveSnapshots& live_;
};

// RocksDB counts for each thread what it does with every key, which costs a scan a sixth of its time and which nobody
// reads.
void turn_off_counters();

// For every read; the thread that asks also turns the counters off.
rocksdb::ReadOptions read_options(const SnapshotPtr& snapshot);

// The families stay open as long as the database.
using Families = std::vector<rocksdb::ColumnFamilyHandle*>;

std::unique_ptr<model::RowCursor> scan_rows(rocksdb::DB& db, const Families& families, std::string_view scope,
                                            std::string_view begin, std::string_view end, bool with_tombstones,
                                            SnapshotPtr snapshot);
std::unique_ptr<model::RowCursor> scan_change_index(rocksdb::DB& db, const Families& families, std::string_view scope,
                                                    Seq after, SnapshotPtr snapshot);

std::unique_ptr<Batch> new_rocks_batch(const Families& families);
rocksdb::WriteBatch& rocks_batch(Batch& batch);

// Store::open() with the operating system behind RocksDB given, so that tests can make it fail.
Result<std::unique_ptr<Store>> open_store(const std::string& directory, const StoreOptions& options, rocksdb::Env* env);

}  // namespace kalamdb::hot
