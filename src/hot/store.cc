#include "hot/store.h"

#include <rocksdb/listener.h>
#include <rocksdb/perf_level.h>
#include <rocksdb/write_batch.h>

#include <atomic>
#include <mutex>
#include <utility>

#include "base/assert.h"
#include "base/bytes.h"
#include "base/log.h"
#include "hot/keys.h"
#include "hot/rocks.h"

namespace kalamdb::hot {
namespace {

constexpr std::string_view kLastSeqKey = "last_seq";

// For estimates where RocksDB only knows bytes: a typical row with its key, compressed.
constexpr uint64_t kTypicalRowBytes = 100;

// A scan steps over so many in about a millisecond.
constexpr uint64_t kErasedInMemory = 20'000;

// Keeps RocksDB from recovering by itself from errors that have made it stop to write. With several column families its
// recovery can wait for ever, take the damaged end of a log up again, or end in an assertion. A compaction that failed
// is repeated without it.
class NoRecovery final : public rocksdb::EventListener {
 public:
  void OnErrorRecoveryBegin(rocksdb::BackgroundErrorReason, rocksdb::Status, bool* recovers) override {
    *recovers = false;
  }
};

class RocksStore final : public Store {
 public:
  ~RocksStore() override {
    cached_snapshot_.reset();
    if (db_ == nullptr) return;
    // A start after a clean stop has no log to read.
    if (!failed_) {
      rocksdb::FlushOptions flush;
      if (const auto status = db_->Flush(flush, families_); !status.ok()) {
        log::warn("hot store: not flushed while closing: {}", status.ToString());
      }
    }
    for (auto* family : families_) db_->DestroyColumnFamilyHandle(family);
    if (const auto status = db_->Close(); !status.ok()) log::warn("hot store: closing: {}", status.ToString());
  }

  Result<> open(const std::string& directory, const StoreOptions& options, rocksdb::Env* env) {
    rocksdb::Options database = database_options(options, env);
    database.listeners.push_back(std::make_shared<NoRecovery>());
    rocksdb::DB* db = nullptr;
    const auto status = rocksdb::DB::Open(database, directory, column_families(options, database), &families_, &db);
    db_.reset(db);
    if (!status.ok()) {
      const std::string text = status.ToString();
      if (status.IsIOError() && text.find("lock") != std::string::npos) {
        return fail(ErrorCode::kIo, "The database in " + directory + " is in use by another process");
      }
      return fail(to_error(status, "Opening the database in " + directory));
    }
    KALAM_TRY(const Seq seq, stored_seq(nullptr));
    last_seq_ = seq;
    return {};
  }

  SnapshotPtr snapshot() const override {
    // Readers between two commits share one snapshot: taking one needs RocksDB's own mutex.
    const std::lock_guard lock(snapshot_mutex_);
    if (auto shared = cached_snapshot_.lock(); shared && shared->seq() == last_seq_.load(std::memory_order_acquire)) {
      return shared;
    }
    const auto made = live_snapshots_.add([this] {
      const rocksdb::Snapshot* taken = db_->GetSnapshot();
      auto seq = stored_seq(taken);
      // The record was read at the start, so that it cannot be missing or damaged now but in RocksDB's cache of blocks,
      // whose errors come up in every other read as well; the last published commit is then the right answer.
      return std::make_shared<const RocksSnapshot>(*db_, taken, seq ? *seq : last_seq_.load(), live_snapshots_);
    });
    cached_snapshot_ = made;
    return made;
  }

  std::optional<Seq> oldest_snapshot() const override { return live_snapshots_.oldest(); }
  void set_snapshot_listener(std::function<void()> released) override {
    live_snapshots_.set_listener(std::move(released));
  }

  Result<std::optional<StoredRow>> get(TableId table, const UserId& user, std::string_view key,
                                       const SnapshotPtr& snapshot) const override {
    rocksdb::PinnableSlice value;
    const auto status = db_->Get(read_options(snapshot), families_[kRows], row_key(table, user, key), &value);
    if (status.IsNotFound()) return std::nullopt;
    if (!status.ok()) return fail(to_error(status, "Reading a row"));
    KALAM_TRY(const StoredRowView stored, read_row(bytes(value)));
    return StoredRow{stored.seq, stored.deleted, std::string(stored.row)};
  }

  std::unique_ptr<model::RowCursor> scan(TableId table, const UserId& user, std::string_view begin,
                                         std::string_view end, bool with_tombstones,
                                         const SnapshotPtr& at) const override {
    return scan_rows(*db_, families_, scope_prefix(table, user), begin, end, with_tombstones, at ? at : snapshot());
  }

  std::unique_ptr<model::RowCursor> scan_changes(TableId table, const UserId& user, Seq after,
                                                 const SnapshotPtr& at) const override {
    return scan_change_index(*db_, families_, scope_prefix(table, user), after, at ? at : snapshot());
  }

  Result<std::vector<Seq>> change_seqs(TableId table, const UserId& user, const SnapshotPtr& snapshot) const override {
    std::vector<Seq> seqs;
    const std::string scope = scope_prefix(table, user);
    const std::string end = prefix_end(scope);
    const rocksdb::Slice end_slice(end);
    rocksdb::ReadOptions options = read_options(snapshot);
    options.iterate_upper_bound = &end_slice;
    const std::unique_ptr<rocksdb::Iterator> changes(db_->NewIterator(options, families_[kChanges]));
    for (changes->Seek(scope); changes->Valid(); changes->Next()) {
      const std::string_view seq = bytes(changes->key()).substr(scope.size());
      if (seq.size() != sizeof(Seq)) return fail(ErrorCode::kCorruption, "A change-index key has a wrong length");
      seqs.push_back(static_cast<Seq>(read_big_endian<uint64_t>(seq.data())));
    }
    if (!changes->status().ok()) return fail(to_error(changes->status(), "Reading the change index"));
    return seqs;
  }

  uint64_t estimate_rows(TableId table, const UserId* user) const override {
    const std::string begin = user != nullptr ? scope_prefix(table, *user) : table_prefix(table);
    const std::string end = prefix_end(begin);
    const rocksdb::Range range(begin, end);
    uint64_t rows = 0;
    uint64_t memtable_bytes = 0;
    db_->GetApproximateMemTableStats(families_[kRows], range, &rows, &memtable_bytes);
    uint64_t file_bytes = 0;
    if (!db_->GetApproximateSizes(families_[kRows], &range, 1, &file_bytes).ok()) return rows;
    return rows + file_bytes / kTypicalRowBytes;
  }

  Result<std::vector<UserId>> users(TableId table, const SnapshotPtr& snapshot) const override {
    std::vector<UserId> users;
    const std::string begin = table_prefix(table);
    const std::string end = prefix_end(begin);
    const rocksdb::Slice end_slice(end);
    rocksdb::ReadOptions options = read_options(snapshot);
    options.total_order_seek = true;  // goes from one scope to the next
    options.iterate_upper_bound = &end_slice;
    const std::unique_ptr<rocksdb::Iterator> rows(db_->NewIterator(options, families_[kRows]));
    for (rows->Seek(begin); rows->Valid();) {
      const auto user = scope_user(bytes(rows->key()));
      if (!user) return fail(ErrorCode::kCorruption, "A row key has no user");
      users.push_back(*user);
      rows->Seek(prefix_end(scope_prefix(table, *user)));
    }
    if (!rows->status().ok()) return fail(to_error(rows->status(), "Reading the users of a table"));
    return users;
  }

  Result<std::optional<std::string>> get_record(RecordSpace space, std::string_view key,
                                                const SnapshotPtr& snapshot) const override {
    std::string value;
    const auto status = db_->Get(read_options(snapshot), families_[kRecords], record_key(space, key), &value);
    if (status.IsNotFound()) return std::nullopt;
    if (!status.ok()) return fail(to_error(status, "Reading a record"));
    return value;
  }

  Result<> scan_records(RecordSpace space, std::string_view prefix, const SnapshotPtr& snapshot,
                        const std::function<bool(std::string_view, std::string_view)>& visit) const override {
    const std::string begin = record_key(space, prefix);
    const std::string end = prefix_end(begin);
    const rocksdb::Slice end_slice(end);
    rocksdb::ReadOptions options = read_options(snapshot);
    options.iterate_upper_bound = &end_slice;
    const std::unique_ptr<rocksdb::Iterator> records(db_->NewIterator(options, families_[kRecords]));
    for (records->Seek(begin); records->Valid(); records->Next()) {
      if (!visit(bytes(records->key()).substr(1), bytes(records->value()))) return {};
    }
    if (!records->status().ok()) return fail(to_error(records->status(), "Reading records"));
    return {};
  }

  void note_erased(uint64_t rows) override {
    if ((erased_in_memory_ += rows) < kErasedInMemory) return;
    erased_in_memory_ = 0;
    rocksdb::FlushOptions flush;
    flush.wait = false;
    flush.allow_write_stall = true;  // rather than that the caller waits until there would be none
    if (const auto status = db_->Flush(flush, {families_[kRows], families_[kChanges]}); !status.ok()) {
      log::warn("hot store: what is in memory is not written: {}", status.ToString());
    }
  }

  std::unique_ptr<Batch> new_batch() const override { return new_rocks_batch(families_); }

  Result<> write(Batch& batch, Seq last_seq, Sync sync) override {
    if (failed_) return fail(ErrorCode::kUnavailable, failure_);
    KALAM_ASSERT(last_seq > last_seq_);
    std::string stored;
    append_big_endian<uint64_t>(stored, static_cast<uint64_t>(last_seq));
    batch.put_record(RecordSpace::kMeta, kLastSeqKey, stored);
    rocksdb::WriteOptions options;
    options.sync = sync == Sync::kYes;
    turn_off_counters();
    const auto status = db_->Write(options, &rocks_batch(batch));
    if (status.ok()) {
      last_seq_.store(last_seq, std::memory_order_release);
      return {};
    }
    failure_ = "The database's own files could not be written (" + status.ToString() +
               "); see to the disk, then restart the server to recover from the commit log";
    failed_ = true;
    log::error("hot store: no more writes are accepted: {}", failure_);
    return fail(ErrorCode::kUnavailable, failure_);
  }

  Seq last_seq() const override { return last_seq_.load(std::memory_order_acquire); }

 private:
  Result<Seq> stored_seq(const rocksdb::Snapshot* snapshot) const {
    rocksdb::ReadOptions options;
    options.snapshot = snapshot;
    rocksdb::PinnableSlice value;
    const auto status = db_->Get(options, families_[kRecords], record_key(RecordSpace::kMeta, kLastSeqKey), &value);
    if (status.IsNotFound()) return Seq{0};
    if (!status.ok()) return fail(to_error(status, "Reading the position of the last commit"));
    if (value.size() != sizeof(Seq)) return fail(ErrorCode::kCorruption, "The position of the last commit is damaged");
    return static_cast<Seq>(read_big_endian<uint64_t>(value.data()));
  }

  std::unique_ptr<rocksdb::DB> db_;
  Families families_;
  std::atomic<Seq> last_seq_{0};
  std::atomic<uint64_t> erased_in_memory_ = 0;
  mutable LiveSnapshots live_snapshots_;
  mutable std::mutex snapshot_mutex_;
  mutable std::weak_ptr<const RocksSnapshot> cached_snapshot_;
  // Of the writing thread.
  bool failed_ = false;
  std::string failure_;
};

}  // namespace

Error to_error(const rocksdb::Status& status, std::string_view doing) {
  const ErrorCode code = status.IsCorruption()                      ? ErrorCode::kCorruption
                         : status.IsIOError() || status.IsNoSpace() ? ErrorCode::kIo
                                                                    : ErrorCode::kInternal;
  return Error(code, std::string(doing) + " failed: " + status.ToString());
}

Result<StoredRowView> read_row(std::string_view value) {
  if (value.size() < kRowHeaderBytes) return fail(ErrorCode::kCorruption, "A stored row is shorter than its header");
  return StoredRowView{read_little_endian<int64_t>(value.data()), (value[8] & kDeletedFlag) != 0,
                       value.substr(kRowHeaderBytes)};
}

void turn_off_counters() { rocksdb::SetPerfLevel(rocksdb::PerfLevel::kDisable); }

rocksdb::ReadOptions read_options(const SnapshotPtr& snapshot) {
  turn_off_counters();
  rocksdb::ReadOptions options;
  if (snapshot != nullptr) options.snapshot = static_cast<const RocksSnapshot&>(*snapshot).rocks();
  return options;
}

Result<std::unique_ptr<Store>> open_store(const std::string& directory, const StoreOptions& options,
                                          rocksdb::Env* env) {
  auto store = std::make_unique<RocksStore>();
  KALAM_CHECK(store->open(directory, options, env));
  return store;
}

Result<std::unique_ptr<Store>> Store::open(const std::string& directory, const StoreOptions& options) {
  return open_store(directory, options, rocksdb::Env::Default());
}

}  // namespace kalamdb::hot
