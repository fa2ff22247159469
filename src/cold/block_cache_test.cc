#include "cold/block_cache.h"

#include <gtest/gtest.h>

#include <atomic>
#include <cerrno>
#include <condition_variable>
#include <fstream>
#include <random>
#include <thread>

#include "cold/directory_store.h"
#include "platform/fault_file_system.h"
#include "platform/temporary_directory.h"

namespace kalamdb::cold {
namespace {

// A store whose reads are counted, and held up or failed as a test wants.
class WatchedStore final : public ObjectStore {
 public:
  explicit WatchedStore(ObjectStore& target) : target_(target) {}

  // From now on reads that begin at `offset` wait for release().
  void hold(uint64_t offset) {
    const std::lock_guard lock(mutex_);
    held_ = offset;
  }
  void wait_until_held() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return waiting_ > 0; });
  }
  void release() {
    const std::lock_guard lock(mutex_);
    held_.reset();
    changed_.notify_all();
  }

  Result<std::string> get_range(const std::string& name, uint64_t offset, uint64_t length) override {
    ++reads;
    {
      std::unique_lock lock(mutex_);
      if (held_ == offset) {
        ++waiting_;
        changed_.notify_all();
        changed_.wait(lock, [&] { return !held_; });
        --waiting_;
      }
    }
    if (is_away) return fail(ErrorCode::kUnavailable, "away");
    return target_.get_range(name, offset, length);
  }

  Result<std::string> staging_file(const std::string& name) override { return target_.staging_file(name); }
  Result<> put_file(const std::string& name, const std::string& file) override { return target_.put_file(name, file); }
  Result<> put(const std::string& name, std::string_view bytes) override { return target_.put(name, bytes); }
  Result<std::optional<std::string>> version(const std::string& name) override { return target_.version(name); }
  Result<std::string> put_if(const std::string& name, std::string_view bytes,
                             const std::optional<std::string>& version) override {
    return target_.put_if(name, bytes, version);
  }
  Result<std::string> get(const std::string& name) override { return target_.get(name); }
  Result<std::optional<uint64_t>> size(const std::string& name) override { return target_.size(name); }
  Result<std::vector<ObjectInfo>> list(const std::string& directory) override { return target_.list(directory); }
  Result<> remove(const std::string& name) override { return target_.remove(name); }
  Result<> remove_directory(const std::string& directory) override { return target_.remove_directory(directory); }
  std::optional<std::string> local_path(const std::string&) const override { return std::nullopt; }

  std::atomic<int> reads = 0;
  std::atomic<bool> is_away = false;

 private:
  ObjectStore& target_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::optional<uint64_t> held_;
  int waiting_ = 0;
};

class BlockCacheTest : public testing::Test {
 protected:
  static constexpr uint64_t kBlock = 1000;
  static constexpr uint64_t kSize = 9'500;

  void SetUp() override {
    for (uint64_t i = 0; bytes_.size() < kSize; ++i) bytes_ += std::to_string(i) + " ";
    bytes_.resize(kSize);
    ASSERT_TRUE(directory_store_.put("a", bytes_));
    cache_ = open(100 * kBlock);
  }

  std::unique_ptr<BlockCache> open(uint64_t max_bytes) {
    auto cache =
        BlockCache::open(files_, {.directory = directory_ / "cache", .max_bytes = max_bytes, .block_bytes = kBlock});
    EXPECT_TRUE(cache) << cache.error().message;
    return std::move(*cache);
  }
  Result<std::string> read(uint64_t offset, uint64_t length) {
    return cache_->read(store_, "s", "a", kSize, offset, length);
  }
  std::string expected(uint64_t offset, uint64_t length) const { return bytes_.substr(offset, length); }
  std::vector<std::string> cache_files() { return real_.list_directory(directory_ / "cache").value(); }

  platform::TemporaryDirectory directory_;
  platform::RealFileSystem real_;
  platform::FaultFileSystem files_{real_};
  DirectoryStore directory_store_{real_, directory_ / "remote"};
  WatchedStore store_{directory_store_};
  std::string bytes_;
  std::unique_ptr<BlockCache> cache_;
};

TEST_F(BlockCacheTest, WhatWasReadIsNotFetchedAgain) {
  EXPECT_EQ(read(1500, 10).value(), expected(1500, 10));
  EXPECT_EQ(store_.reads, 1);
  EXPECT_EQ(read(1000, 1000).value(), expected(1000, 1000));
  EXPECT_EQ(store_.reads, 1);
  EXPECT_EQ(read(0, kSize).value(), bytes_);
  EXPECT_EQ(store_.reads, 3) << "one request for what is before the block that is there, one for what is behind";
  EXPECT_EQ(read(0, kSize).value(), bytes_);
  EXPECT_EQ(read(kSize - 1, 1).value(), expected(kSize - 1, 1));
  EXPECT_EQ(read(kSize, 0).value(), "");
  EXPECT_EQ(store_.reads, 3);
  EXPECT_EQ(cache_->counters().bytes, kSize);
  EXPECT_EQ(cache_->counters().misses, 10u);
  EXPECT_EQ(cache_->counters().hits, 13u);
}

TEST_F(BlockCacheTest, RangesMustBeThere) {
  EXPECT_FALSE(read(kSize, 1));
  EXPECT_FALSE(read(kSize + 1, 0));
  EXPECT_FALSE(read(1, UINT64_MAX));
  EXPECT_EQ(cache_->read(store_, "s", "missing", kSize, 0, 1).error().code, ErrorCode::kNotFound);
}

TEST_F(BlockCacheTest, StoresAndObjectsAreKeptApart) {
  ASSERT_TRUE(directory_store_.put("b", std::string(kSize, 'b')));
  EXPECT_EQ(read(0, 5).value(), expected(0, 5));
  EXPECT_EQ(cache_->read(store_, "s", "b", kSize, 0, 5).value(), "bbbbb");
  DirectoryStore other(real_, directory_ / "other");
  ASSERT_TRUE(other.put("a", std::string(kSize, 'o')));
  EXPECT_EQ(cache_->read(other, "other", "a", kSize, 0, 5).value(), "ooooo");
  EXPECT_EQ(read(0, 5).value(), expected(0, 5));
}

TEST_F(BlockCacheTest, TheLeastRecentlyUsedGoesFirst) {
  cache_ = open(3 * kBlock);
  for (const uint64_t block : {0, 1, 2, 0, 3}) ASSERT_TRUE(read(block * kBlock, 1));
  EXPECT_EQ(store_.reads, 4);
  EXPECT_EQ(cache_files().size(), 3u);
  ASSERT_TRUE(read(0, 1));
  ASSERT_TRUE(read(2 * kBlock, 1));
  EXPECT_EQ(store_.reads, 4) << "blocks 0 and 2 are there";
  ASSERT_TRUE(read(kBlock, 1));
  EXPECT_EQ(store_.reads, 5) << "block 1 is not";
  EXPECT_EQ(cache_->counters().bytes, 3 * kBlock);
}

TEST_F(BlockCacheTest, ACacheWithoutRoomReadsThrough) {
  cache_ = open(0);
  EXPECT_EQ(read(0, kSize).value(), bytes_);
  EXPECT_EQ(read(0, kSize).value(), bytes_);
  EXPECT_EQ(store_.reads, 2);
  EXPECT_TRUE(cache_files().empty());
}

TEST_F(BlockCacheTest, IsEmptyAtFirst) {
  ASSERT_TRUE(read(0, kSize));
  EXPECT_EQ(cache_files().size(), 10u);
  cache_ = open(100 * kBlock);
  EXPECT_TRUE(cache_files().empty());
  EXPECT_EQ(read(0, 1).value(), expected(0, 1));
  EXPECT_EQ(store_.reads, 2);
}

TEST_F(BlockCacheTest, DamagedAndVanishedFilesAreFetchedAgain) {
  ASSERT_TRUE(read(0, kSize));
  const std::vector<std::string> names = cache_files();
  const auto path = [&](size_t i) { return directory_ / ("cache/" + names[i]); };
  ASSERT_TRUE(real_.remove_file(path(0)));
  std::ofstream(path(1)) << "short";
  std::ofstream(path(2)) << std::string(kBlock, 'x');
  ASSERT_TRUE(real_.remove_file(path(3)));
  ASSERT_TRUE(real_.create_directories(path(3)));
  EXPECT_EQ(read(0, kSize).value(), bytes_);
  EXPECT_EQ(store_.reads, 1 + 4);
  EXPECT_EQ(read(0, kSize).value(), bytes_);
  EXPECT_EQ(store_.reads, 1 + 4);
  EXPECT_EQ(cache_->counters().bytes, kSize);
}

TEST_F(BlockCacheTest, ALocalDiskThatFailsOnlyCostsRequests) {
  files_.fail_call(1, ENOSPC, true);
  EXPECT_EQ(read(0, kSize).value(), bytes_);
  EXPECT_EQ(read(0, kSize).value(), bytes_);
  EXPECT_EQ(store_.reads, 2);
  EXPECT_EQ(cache_->counters().bytes, 0u);
  files_.stop_failing();
  EXPECT_EQ(read(0, kSize).value(), bytes_);
  EXPECT_EQ(read(0, kSize).value(), bytes_);
  EXPECT_EQ(store_.reads, 3);
}

TEST_F(BlockCacheTest, AServiceThatFailsIsAskedAgain) {
  ASSERT_TRUE(read(0, 1));
  store_.is_away = true;
  EXPECT_EQ(read(0, kSize).error().message, "away");
  EXPECT_EQ(read(5, 10).value(), expected(5, 10)) << "what is there is served";
  store_.is_away = false;
  EXPECT_EQ(read(0, kSize).value(), bytes_);
}

TEST_F(BlockCacheTest, ReadersOfOneBlockCauseOneRequest) {
  store_.hold(kBlock);
  std::vector<std::thread> readers;
  for (int i = 0; i < 8; ++i) {
    readers.emplace_back([&] { EXPECT_EQ(read(kBlock + 5, 10).value(), expected(kBlock + 5, 10)); });
  }
  store_.wait_until_held();
  EXPECT_EQ(read(3 * kBlock, 10).value(), expected(3 * kBlock, 10)) << "other blocks do not wait";
  EXPECT_EQ(read(0, 10).value(), expected(0, 10));
  store_.release();
  for (auto& reader : readers) reader.join();
  EXPECT_EQ(store_.reads, 3);
}

TEST_F(BlockCacheTest, AFailureIsThatOfAllWhoWait) {
  store_.hold(0);
  store_.is_away = true;
  std::atomic<int> failed = 0;
  std::vector<std::thread> readers;
  for (int i = 0; i < 4; ++i) readers.emplace_back([&] { failed += read(0, 10) ? 0 : 1; });
  store_.wait_until_held();
  store_.release();
  for (auto& reader : readers) reader.join();
  EXPECT_EQ(failed, 4);
  store_.is_away = false;
  EXPECT_EQ(read(0, 10).value(), expected(0, 10));
}

// Many threads, a cache that always lacks room, and someone who removes its files.
TEST_F(BlockCacheTest, ManyReadersGetTheRightBytes) {
  cache_ = open(4 * kBlock);
  std::atomic<bool> stop = false;
  std::thread vandal([&] {
    while (!stop) {
      for (const auto& name : cache_files()) (void)real_.remove_file(directory_ / ("cache/" + name));
    }
  });
  std::vector<std::thread> readers;
  for (unsigned seed = 0; seed < 4; ++seed) {
    readers.emplace_back([&, seed] {
      std::mt19937 random(seed);
      for (int i = 0; i < 300; ++i) {
        const uint64_t offset = random() % kSize;
        const uint64_t length = random() % (kSize - offset + 1) / (1 + random() % 8);
        const auto got = read(offset, length);
        ASSERT_TRUE(got) << got.error().message;
        ASSERT_TRUE(*got == expected(offset, length));
        ASSERT_LE(cache_->counters().bytes, 4 * kBlock);
      }
    });
  }
  for (auto& reader : readers) reader.join();
  stop = true;
  vandal.join();
}

}  // namespace
}  // namespace kalamdb::cold
