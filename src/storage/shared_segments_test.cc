// Tables whose users share segments: what holds for each user's own segments holds there too.
#include <atomic>
#include <map>
#include <mutex>
#include <thread>

#include "storage/test_database.h"

namespace kalamdb::storage {
namespace {

class SharedSegmentsTest : public DatabaseTest {
 protected:
  void SetUp() override {
    DatabaseTest::SetUp();
    create(sharing_);
    for (int i = 0; i < 20; ++i) users_.emplace_back("user-" + std::to_string(i));
  }
  void fill_all() {
    for (size_t i = 0; i < users_.size(); ++i) fill_user(users_[i], 1, 5 + static_cast<int64_t>(i));
  }
  void fill_user(const UserId& user, int64_t first, int64_t last) {
    fill(sharing_, user, first, last);
    for (const auto& [id, v] : filled(first, last)) expected_[user.value][id] = v;
  }
  void put_one(const UserId& user, int64_t id, int64_t v) {
    ASSERT_TRUE(put(sharing_, user, id, v));
    expected_[user.value][id] = v;
  }
  void remove_one(const UserId& user, int64_t id) {
    ASSERT_TRUE(remove(sharing_, user, id));
    expected_[user.value].erase(id);
  }
  void check_all() {
    for (const UserId& user : users_) {
      const auto rows = scan(sharing_, user);
      ASSERT_TRUE(rows) << rows.error().message;
      EXPECT_EQ(*rows, expected_[user.value]) << user.value;
      check_change_index(sharing_, user);
    }
    EXPECT_EQ(*scan(sharing_, UserId("user")), Rows());
    EXPECT_EQ(*scan(sharing_, UserId("user-100")), Rows());
  }
  size_t segments_of(const UserId& user) { return (*database_->scan(sharing_, user, nullptr))->segments().size(); }

  std::vector<UserId> users_;
  std::map<std::string, Rows> expected_;
};

TEST_F(SharedSegmentsTest, EachUserHasTheirOwnRowsOfTwoFiles) {
  fill_all();
  const auto flushed = flush(sharing_);
  ASSERT_TRUE(flushed) << flushed.error().message;
  EXPECT_EQ(flushed->segments, 2u);
  EXPECT_EQ(flushed->rows, 20u * 5 + 190);
  EXPECT_EQ(stored_files(),
            (std::vector<std::string>{"app/steps/shard-0/batch-0.parquet", "app/steps/shard-0/manifest.json",
                                      "app/steps/shard-1/batch-0.parquet", "app/steps/shard-1/manifest.json"}));
  check_all();
  // One user's key is not another's.
  EXPECT_TRUE(*database_->find(sharing_, users_[19], test_key(24), nullptr));
  EXPECT_FALSE(*database_->find(sharing_, users_[0], test_key(24), nullptr));
  const std::vector<std::string> keys = {test_key(1), test_key(24)};
  EXPECT_EQ(database_->cold_keys(sharing_, users_[0], keys, nullptr)->taken.size(), 1u);
  EXPECT_EQ(database_->cold_keys(sharing_, UserId("nobody"), keys, nullptr)->taken.size(), 0u);
  put_one(users_[3], 2, -1);
  put_one(users_[3], 100, -2);
  remove_one(users_[4], 2);
  check_all();
  auto known = *database_->users(sharing_, nullptr);
  std::ranges::sort(known, {}, &UserId::value);
  std::ranges::sort(users_, {}, &UserId::value);
  EXPECT_EQ(known, users_);
  open();
  check_all();
  ASSERT_TRUE(flush(sharing_));
  check_all();
  EXPECT_EQ(segments_of(users_[0]), 1u);
}

TEST_F(SharedSegmentsTest, FullSegmentsAreCutWithinAUsersRows) {
  max_segment_rows_ = 7;
  open();
  fill_all();
  const auto flushed = flush(sharing_);
  ASSERT_TRUE(flushed) << flushed.error().message;
  EXPECT_GE(flushed->segments, 290u / 7);
  check_all();
  for (const UserId& user : users_) {
    remove_one(user, 3);
    put_one(user, 5, -5);
  }
  check_all();
  ASSERT_TRUE(flush(sharing_));
  check_all();
}

TEST_F(SharedSegmentsTest, RowsThatChangeDuringAFlushAreThereOnce) {
  fill_all();
  remove_one(users_[5], 5);
  std::once_flag once;  // shards are flushed at the same time
  engine_.after_write = [&]() -> Result<> {
    std::call_once(once, [&] {
      for (const UserId& user : users_) {
        put_one(user, 1, -1);
        remove_one(user, 2);
        remove_one(user, 3);
        put_one(user, 3, -3);
        put_one(user, 1000, -4);
      }
      put_one(users_[5], 5, -5);
      EXPECT_TRUE(put(sharing_, UserId("late"), 1, 1));
    });
    return {};
  };
  const auto flushed = flush(sharing_);
  ASSERT_TRUE(flushed) << flushed.error().message;
  engine_.after_write = [] { return Result<>(); };
  check_all();
  EXPECT_EQ(*scan(sharing_, UserId("late")), (Rows{{1, 1}}));
  open();
  check_all();
  ASSERT_TRUE(flush(sharing_));
  check_all();
}

// What changes between a flush's last look at the change index and its commit.
TEST_F(SharedSegmentsTest, ChangesOfManyUsersDuringAFlushAreNotLost) {
  for (int64_t round = 0; round < 10; ++round) {
    std::atomic<bool> done = false;
    if (round == 0) fill_all();
    std::jthread writer([&] {
      for (int64_t i = 0; !done; ++i) {
        const UserId& user = users_[static_cast<size_t>(i) % users_.size()];
        if (put(sharing_, user, i % 5 + 1, i)) expected_[user.value][i % 5 + 1] = i;
      }
    });
    const auto flushed = flush(sharing_);
    done = true;
    writer.join();
    ASSERT_TRUE(flushed) << flushed.error().message;
    check_all();
  }
}

TEST_F(SharedSegmentsTest, CompactionMergesUsersAndCarriesDeletions) {
  max_segment_rows_ = 1000;
  open();
  for (int64_t round = 0; round < 5; ++round) {
    for (size_t i = 0; i < users_.size(); ++i) {
      if ((i + static_cast<size_t>(round)) % 3 != 0) fill_user(users_[i], round * 10, round * 10 + 6);
    }
    ASSERT_TRUE(flush(sharing_));
  }
  for (const UserId& user : users_) {
    if (expected_[user.value].contains(11)) remove_one(user, 11);
  }
  std::once_flag once;
  engine_.after_write = [&]() -> Result<> {
    std::call_once(once, [&] {
      for (const UserId& user : users_) {
        if (expected_[user.value].contains(12)) remove_one(user, 12);
        if (expected_[user.value].contains(21)) put_one(user, 21, -21);
      }
    });
    return {};
  };
  const auto compacted = database_->compact(sharing_, std::nullopt, CompactKind::kOptimize);
  ASSERT_TRUE(compacted) << compacted.error().message;
  EXPECT_EQ(compacted->segments_before, 10u);
  EXPECT_EQ(compacted->segments_after, 2u);
  check_all();
  open();
  check_all();
  const auto vacuumed = database_->vacuum(sharing_, users_[0], 0);
  ASSERT_TRUE(vacuumed) << vacuumed.error().message;
  check_all();
  for (const UserId& user : users_) {
    for (const auto& [id, v] : Rows(expected_[user.value])) remove_one(user, id);
  }
  ASSERT_TRUE(database_->vacuum(sharing_, std::nullopt, 0));
  check_all();
  EXPECT_EQ(segments_of(users_[0]), 0u);
}

TEST_F(SharedSegmentsTest, ASnapshotKeepsItsRowsThroughACompaction) {
  fill_all();
  ASSERT_TRUE(flush(sharing_));
  fill_user(users_[0], 50, 60);
  ASSERT_TRUE(flush(sharing_));
  const auto snapshot = database_->hot().snapshot();
  const Rows before = expected_[users_[0].value];
  remove_one(users_[0], 1);
  ASSERT_TRUE(database_->compact(sharing_, std::nullopt, CompactKind::kVacuum));
  EXPECT_EQ(*scan(sharing_, users_[0], snapshot), before);
  check_all();
}

TEST_F(SharedSegmentsTest, AFailedFlushLeavesTheRows) {
  fill_all();
  engine_.after_write = []() -> Result<> { return fail(ErrorCode::kIo, "the disk is full"); };
  EXPECT_FALSE(flush(sharing_));
  check_all();
  engine_.after_write = [] { return Result<>(); };
  ASSERT_TRUE(flush(sharing_));
  check_all();
}

}  // namespace
}  // namespace kalamdb::storage
