// A disk that fails under RocksDB: whatever it is doing then, an acknowledged write is there afterwards, and of those
// that failed at most the first.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rocksdb/file_system.h>
#include <rocksdb/system_clock.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <set>
#include <thread>

#include "hot/rocks.h"

namespace kalamdb::hot {
namespace {

using rocksdb::IODebugContext;
using rocksdb::IOOptions;
using rocksdb::IOStatus;
using testing::HasSubstr;

const TableId kTable(7);
const UserId kUser("ann");

// As RocksDB's own file system gives them.
IOStatus no_space(const std::string& doing) {
  IOStatus status = IOStatus::NoSpace("While " + doing, "No space left on device");
  status.SetRetryable(true);
  return status;
}
IOStatus io_error(const std::string& doing) { return IOStatus::IOError("While " + doing, "Input/output error"); }

// Fails calls of one kind, such as "append log": "create", "append" or "sync" a "log", "table" or "manifest", or
// "change" what else there is.
class FaultyFiles final : public rocksdb::FileSystemWrapper {
 public:
  FaultyFiles() : FileSystemWrapper(rocksdb::FileSystem::Default()) {}
  const char* Name() const override { return "FaultyFiles"; }

  // The call of that kind number `call`, counted from now; with `and_after` all that follow too.
  void fail(const std::string& kind, uint64_t call, IOStatus (*error)(const std::string&), bool and_after) {
    const std::lock_guard lock(mutex_);
    kind_ = kind;
    failing_call_ = call;
    error_ = error;
    and_after_ = and_after;
    calls_ = 0;
  }
  void stop_failing() {
    const std::lock_guard lock(mutex_);
    kind_.clear();
  }
  // Calls of the kind since fail().
  uint64_t calls() const {
    const std::lock_guard lock(mutex_);
    return calls_;
  }

  IOStatus count(const std::string& action, const std::string& name) {
    const std::lock_guard lock(mutex_);
    const std::string type = type_of(name);
    if ((type == "other" ? "change" : action) + " " + type != kind_) return IOStatus::OK();
    ++calls_;
    if (calls_ != failing_call_ && !(and_after_ && calls_ > failing_call_)) return IOStatus::OK();
    return error_((action == "sync" ? "fdatasync" : action) + ": " + name);
  }

  IOStatus NewWritableFile(const std::string& name, const rocksdb::FileOptions& options,
                           std::unique_ptr<rocksdb::FSWritableFile>* result, IODebugContext* debug) override;
  IOStatus RenameFile(const std::string& from, const std::string& to, const IOOptions& options,
                      IODebugContext* debug) override {
    auto status = count("rename", to);
    return status.ok() ? target()->RenameFile(from, to, options, debug) : status;
  }

 private:
  static std::string type_of(const std::string& name) {
    const std::string file = std::filesystem::path(name).filename();
    if (file.ends_with(".log")) return "log";
    if (file.ends_with(".sst")) return "table";
    return file.starts_with("MANIFEST") ? "manifest" : "other";
  }

  mutable std::mutex mutex_;
  std::string kind_;  // "": none fails
  uint64_t failing_call_ = 0;
  uint64_t calls_ = 0;
  IOStatus (*error_)(const std::string&) = nullptr;
  bool and_after_ = false;
};

class FaultyFile final : public rocksdb::FSWritableFileOwnerWrapper {
 public:
  FaultyFile(FaultyFiles& files, std::string name, std::unique_ptr<rocksdb::FSWritableFile> file)
      : FSWritableFileOwnerWrapper(std::move(file)), files_(files), name_(std::move(name)) {}
  IOStatus Append(const rocksdb::Slice& data, const IOOptions& options, IODebugContext* debug) override {
    auto status = files_.count("append", name_);
    // Half of it gets there, as when a disk fills up.
    const size_t length = status.ok() ? data.size() : data.size() / 2;
    auto appended = FSWritableFileOwnerWrapper::Append({data.data(), length}, options, debug);
    return status.ok() ? appended : status;
  }
  IOStatus Append(const rocksdb::Slice& data, const IOOptions& options, const rocksdb::DataVerificationInfo&,
                  IODebugContext* debug) override {
    return Append(data, options, debug);
  }
  // No power fails here.
  IOStatus Sync(const IOOptions&, IODebugContext*) override { return files_.count("sync", name_); }
  IOStatus Fsync(const IOOptions&, IODebugContext*) override { return files_.count("sync", name_); }
  IOStatus RangeSync(uint64_t, uint64_t, const IOOptions&, IODebugContext*) override { return IOStatus::OK(); }

 private:
  FaultyFiles& files_;
  const std::string name_;
};

IOStatus FaultyFiles::NewWritableFile(const std::string& name, const rocksdb::FileOptions& options,
                                      std::unique_ptr<rocksdb::FSWritableFile>* result, IODebugContext* debug) {
  auto status = count("create", name);
  if (status.ok()) status = target()->NewWritableFile(name, options, result, debug);
  if (status.ok()) *result = std::make_unique<FaultyFile>(*this, name, std::move(*result));
  return status;
}

// RocksDB waits for a second after each error of a background job.
class ImpatientClock final : public rocksdb::SystemClockWrapper {
 public:
  ImpatientClock() : SystemClockWrapper(rocksdb::SystemClock::Default()) {}
  const char* Name() const override { return "ImpatientClock"; }
  void SleepForMicroseconds(int micros) override { SystemClockWrapper::SleepForMicroseconds(std::min(micros, 1000)); }
};

class FaultyEnv final : public rocksdb::EnvWrapper {
 public:
  explicit FaultyEnv(std::unique_ptr<rocksdb::Env> files) : EnvWrapper(std::move(files)) {
    file_system_ = target()->GetFileSystem();
    system_clock_ = std::make_shared<ImpatientClock>();
  }
  const char* Name() const override { return "FaultyEnv"; }
};

// A store on such a disk, and what was written to it.
class Disk {
 public:
  Disk() {
    static std::atomic<int> number = 0;
    directory_ = testing::TempDir() + "/hot_fault_test." + std::to_string(getpid()) + "." + std::to_string(number++);
    std::filesystem::remove_all(directory_);
  }
  ~Disk() {
    store_.reset();
    std::filesystem::remove_all(directory_);
  }

  Result<> open() {
    store_.reset();
    // So small that memtables are written out every few rows, and compacted.
    KALAM_TRY(store_, open_store(directory_, {.block_cache_bytes = 1 << 20, .write_buffer_bytes = 64 << 10}, &env_));
    return {};
  }
  void close() { store_.reset(); }

  Result<> put() {
    auto batch = store_->new_batch();
    ++last_;
    const std::string key = std::to_string(100'000 + last_);
    batch->put_row(kTable, kUser, key, last_, false, std::string(20'000, static_cast<char>('a' + last_ % 26)), 0);
    auto written = store_->write(*batch, last_, Sync::kYes);
    if (written) {
      acknowledged_.insert(last_);
    } else if (unknown_ == 0) {
      unknown_ = last_;  // later ones do not get to the disk
    }
    return written;
  }

  // All that was acknowledged is there, and nothing else but, with `with_unknown`, the first row that failed.
  void check(bool with_unknown) const {
    std::set<Seq> found;
    const auto rows = store_->scan(kTable, kUser, "", "", true, nullptr);
    while (true) {
      const auto row = rows->next();
      ASSERT_TRUE(row) << row.error().message;
      if (!*row) break;
      ASSERT_EQ((*row)->row, std::string(20'000, static_cast<char>('a' + (*row)->seq % 26)));
      found.insert((*row)->seq);
    }
    if (with_unknown) found.erase(unknown_);
    auto expected = acknowledged_;
    if (with_unknown) expected.erase(unknown_);
    EXPECT_EQ(found, expected);
  }

  FaultyFiles& files() { return *files_; }

 private:
  std::string directory_;
  std::shared_ptr<FaultyFiles> files_ = std::make_shared<FaultyFiles>();
  FaultyEnv env_{rocksdb::NewCompositeEnv(files_)};
  std::unique_ptr<Store> store_;
  Seq last_ = 0;
  std::set<Seq> acknowledged_;
  Seq unknown_ = 0;
};

constexpr int kRows = 16;

class FaultTest : public testing::TestWithParam<const char*> {
 protected:
  // Whether it went through before the call came.
  static bool fail_at(uint64_t call, bool and_after) {
    SCOPED_TRACE(std::string(and_after ? "from " : "") + "call " + std::to_string(call));
    Disk disk;
    disk.files().fail(GetParam(), call, and_after ? no_space : io_error, and_after);
    const auto opened = disk.open();
    if (!opened) {
      EXPECT_EQ(opened.error().code, ErrorCode::kIo) << opened.error().message;
    }
    for (int i = 0; i < kRows && opened; ++i) {
      const auto written = disk.put();
      if (written) continue;
      EXPECT_EQ(written.error().code, ErrorCode::kUnavailable);
      EXPECT_THAT(written.error().message, HasSubstr(and_after ? "No space" : "Input/output error"));
      EXPECT_THAT(written.error().message, HasSubstr("restart the server"));
    }
    if (opened) disk.check(false);
    disk.close();
    const bool is_through = disk.files().calls() < call;
    disk.files().stop_failing();
    const auto again = disk.open();
    EXPECT_TRUE(again) << again.error().message;
    if (!again) return true;
    disk.check(true);
    EXPECT_TRUE(disk.put());
    return is_through;
  }
};

// One call after another, of all that it takes to open a store, write to it and close it; a few at a time, since
// RocksDB waits now and then.
TEST_P(FaultTest, AnAcknowledgedWriteIsThere) {
  constexpr uint64_t kAtOnce = 4;
  for (const bool and_after : {false, true}) {
    std::atomic<bool> is_through = false;
    for (uint64_t first = 1; !is_through && !HasFailure(); first += kAtOnce) {
      ASSERT_LT(first, 500U);
      std::vector<std::jthread> disks;
      for (uint64_t call = first; call < first + kAtOnce; ++call) {
        disks.emplace_back([&is_through, call, and_after] {
          if (fail_at(call, and_after)) is_through = true;
        });
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Calls, FaultTest,
                         testing::Values("create log", "append log", "sync log", "create table", "append table",
                                         "sync table", "create manifest", "append manifest", "sync manifest",
                                         "change other"),
                         [](const auto& test) {
                           std::string name = test.param;
                           name[name.find(' ')] = '_';
                           return name;
                         });

TEST(FailedSyncTest, StopsWritesForGood) {
  Disk disk;
  ASSERT_TRUE(disk.open());
  ASSERT_TRUE(disk.put());
  disk.files().fail("sync log", 1, io_error, false);
  EXPECT_EQ(disk.put().error().code, ErrorCode::kUnavailable);
  const auto later = disk.put();
  ASSERT_FALSE(later);
  EXPECT_EQ(later.error().code, ErrorCode::kUnavailable);
  EXPECT_THAT(later.error().message, HasSubstr("Input/output error"));
  EXPECT_THAT(later.error().message, HasSubstr("restart the server"));
  disk.check(false);
  ASSERT_TRUE(disk.open());
  disk.check(true);
  EXPECT_TRUE(disk.put());
}

}  // namespace
}  // namespace kalamdb::hot
