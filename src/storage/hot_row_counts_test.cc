#include "storage/hot_row_counts.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "storage/test_database.h"

namespace kalamdb::storage {
namespace {

class HotRowCountsTest : public DatabaseTest {
 protected:
  std::optional<uint64_t> known(const model::TablePtr& table, const UserId& user,
                                const hot::SnapshotPtr& snapshot = nullptr) {
    const auto scan = database_->scan(table, user, snapshot);
    if (!scan) ADD_FAILURE() << scan.error().message;
    return (*scan)->known_hot_rows();
  }
  // Asks, and reads if it is not known.
  void count(const model::TablePtr& table, const UserId& user) {
    (void)known(table, user);
    ASSERT_TRUE(scan(table, user));
  }
};

TEST_F(HotRowCountsTest, ACountIsKeptUpWithEveryKindOfChange) {
  fill(user_table_, ann_, 1, 5);
  EXPECT_EQ(known(user_table_, ann_), std::nullopt) << "nobody has counted yet";
  ASSERT_TRUE(scan(user_table_, ann_));
  EXPECT_EQ(known(user_table_, ann_), 5u);
  fill(user_table_, ann_, 6, 7);
  EXPECT_EQ(known(user_table_, ann_), 7u);
  ASSERT_TRUE(put(user_table_, ann_, 1, 11));
  EXPECT_EQ(known(user_table_, ann_), 7u);
  ASSERT_TRUE(remove(user_table_, ann_, 1));
  EXPECT_EQ(known(user_table_, ann_), 6u);
  ASSERT_TRUE(put(user_table_, ann_, 1, 12)) << "over its tombstone";
  EXPECT_EQ(known(user_table_, ann_), 7u);
  EXPECT_FALSE(commit(insert(user_table_, ann_, 1, 1)));
  EXPECT_EQ(known(user_table_, ann_), 7u);

  ASSERT_TRUE(flush(user_table_));
  EXPECT_EQ(known(user_table_, ann_), std::nullopt);
  ASSERT_TRUE(scan(user_table_, ann_));
  EXPECT_EQ(known(user_table_, ann_), 0u);
  ASSERT_TRUE(put(user_table_, ann_, 2, 22));
  EXPECT_EQ(known(user_table_, ann_), 1u) << "a cold row that is updated becomes hot";
  ASSERT_TRUE(remove(user_table_, ann_, 3));
  EXPECT_EQ(known(user_table_, ann_), 1u) << "one that is deleted leaves a tombstone";
  ASSERT_TRUE(scan(user_table_, ann_));
}

TEST_F(HotRowCountsTest, AnotherUserAndAnotherTableHaveCountsOfTheirOwn) {
  fill(user_table_, ann_, 1, 2);
  count(user_table_, ann_);
  count(user_table_, UserId("bob"));
  count(shared_, nobody_);
  CommitRequest request;
  request.rows = {insert(user_table_, ann_, 3, 3), insert(user_table_, UserId("bob"), 3, 3),
                  insert(shared_, nobody_, 3, 3), insert(user_table_, ann_, 4, 4)};
  ASSERT_TRUE(database_->committer().commit(std::move(request)));
  EXPECT_EQ(known(user_table_, ann_), 4u);
  EXPECT_EQ(known(user_table_, UserId("bob")), 1u);
  EXPECT_EQ(known(shared_, nobody_), 1u);
}

TEST_F(HotRowCountsTest, AnOlderSnapshotNeitherGetsNorGivesWhatIsNew) {
  fill(shared_, nobody_, 1, 3);
  count(shared_, nobody_);
  const auto before = database_->hot().snapshot();
  EXPECT_EQ(known(shared_, nobody_, before), 3u);
  fill(shared_, nobody_, 4, 4);
  EXPECT_EQ(known(shared_, nobody_, before), std::nullopt);
  EXPECT_EQ(scan(shared_, nobody_, before)->size(), 3u);
  EXPECT_EQ(known(shared_, nobody_), 4u);
  fill(user_table_, ann_, 1, 1);
  EXPECT_EQ(known(shared_, nobody_, database_->hot().snapshot()), 4u) << "commits elsewhere change nothing";
}

TEST_F(HotRowCountsTest, WhatEmptiesATableForgetsItsCounts) {
  fill(shared_, nobody_, 1, 3);
  count(shared_, nobody_);
  CommitRequest request;
  request.erase_tables.push_back(shared_->id);
  ASSERT_TRUE(database_->committer().commit(std::move(request)));
  EXPECT_EQ(known(shared_, nobody_), std::nullopt);
  ASSERT_TRUE(scan(shared_, nobody_));
  EXPECT_EQ(known(shared_, nobody_), 0u);

  fill(user_table_, ann_, 1, 3);
  count(user_table_, ann_);
  ASSERT_TRUE(database_->remove_user(user_table_, ann_, {}));
  ASSERT_TRUE(scan(user_table_, ann_));
  EXPECT_EQ(known(user_table_, ann_), 0u);
}

TEST_F(HotRowCountsTest, RowsThatExpireAreNotCounted) {
  fill(stream_, ann_, 1, 3);
  count(stream_, ann_);
  EXPECT_EQ(known(stream_, ann_), std::nullopt);
}

TEST_F(HotRowCountsTest, NothingIsKnownThatMayBeAheadOfTheCommitter) {
  HotRowCounts counts(/*applied=*/100);
  EXPECT_EQ(counts.find(TableId(1), ann_, 100), std::nullopt);
  counts.learn(TableId(1), ann_, 99, 5);  // may have changed between this and when it was first asked for
  EXPECT_EQ(counts.find(TableId(1), ann_, 100), std::nullopt);
  counts.learn(TableId(1), ann_, 101, 6);  // the committer is about to tell of what made it 6
  EXPECT_EQ(counts.find(TableId(1), ann_, 101), std::nullopt);
  counts.apply({}, {}, 101);
  counts.learn(TableId(1), ann_, 101, 6);
  EXPECT_EQ(counts.find(TableId(1), ann_, 100), 6u) << "it is not known to have changed since it was asked for";
  EXPECT_EQ(counts.find(TableId(1), ann_, 101), 6u);
  EXPECT_EQ(counts.find(TableId(1), ann_, 102), std::nullopt);
}

TEST_F(HotRowCountsTest, MoreScopesThanAreKeptUpWithAreCountedAnew) {
  HotRowCounts counts(/*applied=*/1);
  for (int pass = 0; pass < 2; ++pass) {
    for (int i = 0; i < 15'000; ++i) {
      const UserId user("u" + std::to_string(i));
      EXPECT_EQ(counts.find(TableId(1), user, 1), std::nullopt);
      counts.learn(TableId(1), user, 1, i);
      EXPECT_EQ(counts.find(TableId(1), user, 1), i);
    }
  }
}

// Every scan checks what is known, see DatabaseTest::scan().
TEST_F(HotRowCountsTest, CountsAreRightBesideWritersAndFlushes) {
  std::atomic<bool> done = false;
  std::atomic<uint64_t> answered = 0;
  std::vector<std::thread> threads;
  for (int reader = 0; reader < 2; ++reader) {
    threads.emplace_back([&] {
      while (!done) {
        if (known(user_table_, ann_)) ++answered;
        EXPECT_TRUE(scan(user_table_, ann_));
      }
    });
  }
  for (int64_t writer = 0; writer < 2; ++writer) {
    threads.emplace_back([&, writer] {
      for (int64_t i = 0; i < 1000; ++i) {
        const int64_t id = writer * 100 + i % 40;
        if (i % 3 == 2) {
          (void)remove(user_table_, ann_, id);
        } else {
          (void)put(user_table_, ann_, id, i);
        }
      }
    });
  }
  threads.emplace_back([&] {
    for (int i = 0; i < 20; ++i) EXPECT_TRUE(flush(user_table_));
  });
  for (size_t i = 2; i < threads.size(); ++i) threads[i].join();
  wait_until([&] { return answered > 0; });
  done = true;
  for (int reader = 0; reader < 2; ++reader) threads[reader].join();
}

}  // namespace
}  // namespace kalamdb::storage
