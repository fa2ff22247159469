#include "storage/user_removal.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "storage/test_database.h"

namespace kalamdb::storage {
namespace {

class RemovalTest : public DatabaseTest {
 protected:
  // Lets every deletion so far be older than an hour.
  void age() { clock_.advance_us(2 * int64_t{3'600'000'000}); }
  void remove_all(const model::TablePtr& table, const UserId& user, int64_t first, int64_t last) {
    for (int64_t id = first; id <= last; ++id) ASSERT_TRUE(remove(table, user, id));
  }
  uint64_t tombstones(const model::TablePtr& table, const UserId& user) {
    const auto rows = database_->hot().scan(table->id, user, "", "", true, nullptr);
    uint64_t count = 0;
    while (true) {
      const auto record = rows->next();
      if (!record || !*record) return count;
      count += (*record)->deleted ? 1 : 0;
    }
  }

  size_t files_of(const UserId& user) {
    const auto files = stored_files();
    return std::ranges::count_if(files, [&](const std::string& file) {
      return file.find("/" + user.value + "/") != file.npos && file.ends_with(".parquet");
    });
  }

  const UserId ben_{"ben"};
};

TEST_F(RemovalTest, TombstonesGoInBatchesOverAllUsers) {
  for (const UserId& user : {ann_, ben_}) {
    fill(user_table_, user, 1, 30);
    remove_all(user_table_, user, 1, 25);
  }
  age();
  remove_all(user_table_, ann_, 26, 26);  // too young
  EXPECT_EQ(database_->has_old_tombstones(user_table_, 1), true);
  TombstonePosition position;
  std::vector<uint64_t> batches;
  while (true) {
    const auto batch = database_->remove_tombstones(user_table_, position, 1, 10);
    ASSERT_TRUE(batch) << batch.error().message;
    batches.push_back(batch->removed);
    if (!batch->next) break;
    position = *batch->next;
  }
  EXPECT_EQ(batches, (std::vector<uint64_t>{10, 10, 10, 10, 10, 0}));
  EXPECT_EQ(tombstones(user_table_, ann_), 1U);
  EXPECT_EQ(tombstones(user_table_, ben_), 0U);
  EXPECT_EQ(*scan(user_table_, ann_), filled(27, 30));
  EXPECT_EQ(*scan(user_table_, ben_), filled(26, 30));
  EXPECT_EQ(database_->has_old_tombstones(user_table_, 1), false);
  check_change_index(user_table_, ann_);
}

TEST_F(RemovalTest, WhatWasLookedAtIsNotMissedWhenItIsDeletedLater) {
  fill(shared_, nobody_, 1, 10);
  age();
  EXPECT_EQ(database_->has_old_tombstones(shared_, 1), false);
  remove_all(shared_, nobody_, 5, 5);
  EXPECT_EQ(database_->has_old_tombstones(shared_, 1), false);
  age();
  EXPECT_EQ(database_->has_old_tombstones(shared_, 1), true);
}

TEST_F(RemovalTest, WhatIsCommittedAtTheMomentOfALookIsNotMissed) {
  fill(shared_, nobody_, 1, 10);
  EXPECT_EQ(database_->has_old_tombstones(shared_, 0), false);
  remove_all(shared_, nobody_, 5, 5);  // in the same millisecond
  clock_.advance_us(1'000'000);
  EXPECT_EQ(database_->has_old_tombstones(shared_, 0), true);
}

TEST_F(RemovalTest, ARemovalThatIsAskedToStopDoes) {
  fill(shared_, nobody_, 1, 10);
  remove_all(shared_, nobody_, 1, 10);
  age();
  std::stop_source stop;
  stop.request_stop();
  const auto stopped = database_->remove_tombstones(shared_, {}, 1, 10, stop.get_token());
  ASSERT_FALSE(stopped);
  EXPECT_EQ(stopped.error().code, ErrorCode::kUnavailable);
  EXPECT_EQ(tombstones(shared_, nobody_), 10U);
}

TEST_F(RemovalTest, AUserGoesAndOthersStay) {
  for (const UserId& user : {ann_, ben_}) {
    fill(user_table_, user, 1, 20);
    ASSERT_TRUE(flush(user_table_));
    fill(user_table_, user, 21, 30);
    ASSERT_TRUE(remove(user_table_, user, 1));   // cold
    ASSERT_TRUE(remove(user_table_, user, 30));  // hot
  }
  const auto removal = database_->remove_user(user_table_, ann_);
  ASSERT_TRUE(removal) << removal.error().message;
  EXPECT_EQ(removal->rows, 28U);
  EXPECT_EQ(removal->segments, 2U);  // the second flush moved her hot rows too
  EXPECT_GT(removal->bytes, 0U);
  EXPECT_TRUE(scan(user_table_, ann_)->empty());
  EXPECT_EQ(scan(user_table_, ben_)->size(), 28U);
  EXPECT_EQ(tombstones(user_table_, ann_), 0U);
  check_change_index(user_table_, ann_);
  EXPECT_EQ(files_of(ann_), 0U);

  const auto again = database_->remove_user(user_table_, ann_);
  ASSERT_TRUE(again);
  EXPECT_EQ(again->rows, 0U);
  EXPECT_EQ(again->segments, 0U);
  open();
  EXPECT_TRUE(scan(user_table_, ann_)->empty());
  EXPECT_EQ(scan(user_table_, ben_)->size(), 28U);
  // The name may be somebody else's by now.
  fill(user_table_, ann_, 1, 3);
  ASSERT_TRUE(flush(user_table_));
  EXPECT_EQ(*scan(user_table_, ann_), filled(1, 3));
}

TEST_F(RemovalTest, WhatIsLeftOfAManifestGoesLater) {
  for (const UserId& user : {ann_, ben_}) fill(user_table_, user, 1, 20);
  ASSERT_TRUE(flush(user_table_));
  age();
  EXPECT_EQ(database_->has_stale_manifests(clock_.now_us()), false);
  ASSERT_TRUE(database_->remove_user(user_table_, ann_));
  const int64_t hour_us = 3'600'000'000;
  EXPECT_EQ(database_->has_stale_manifests(clock_.now_us() - hour_us), false);
  EXPECT_EQ(database_->evict_manifests(clock_.now_us() - hour_us), 0U);
  age();
  EXPECT_EQ(database_->has_stale_manifests(clock_.now_us() - hour_us), true);
  EXPECT_EQ(database_->evict_manifests(clock_.now_us() - hour_us), 1U);
  EXPECT_EQ(database_->has_stale_manifests(clock_.now_us() - hour_us), false);
  EXPECT_EQ(stored_files(),
            (std::vector<std::string>{"app/messages/ben/batch-0.parquet", "app/messages/ben/manifest.json"}));
  EXPECT_EQ(database_->users(user_table_, nullptr), std::vector{ben_});
  // Numbers go on as long as the server runs: caches know files by them.
  fill(user_table_, ann_, 1, 3);
  const auto read = *database_->segments_version(user_table_, ann_, nullptr);
  ASSERT_TRUE(flush(user_table_));
  EXPECT_EQ((*database_->scan(user_table_, ann_, nullptr))->segments()[0].id, 1U);
  EXPECT_NE(*database_->segments_version(user_table_, ann_, nullptr), read);
  EXPECT_EQ(*scan(user_table_, ann_), filled(1, 3));
  open();
  EXPECT_EQ(*scan(user_table_, ann_), filled(1, 3));
  EXPECT_EQ(scan(user_table_, ben_)->size(), 20U);
}

TEST_F(RemovalTest, ARemovalHoldsWhenTheServerEndsBeforeTheFilesAreGone) {
  fill(user_table_, ann_, 1, 20);
  ASSERT_TRUE(flush(user_table_));
  fill(user_table_, ann_, 21, 30);
  {
    const auto reader = database_->hot().snapshot();
    ASSERT_TRUE(database_->remove_user(user_table_, ann_));
    database_->stop();  // which leaves what waits for the reader
  }
  EXPECT_TRUE(std::ranges::any_of(stored_files(), [](const auto& file) { return file.ends_with("batch-0.parquet"); }));
  open();
  EXPECT_TRUE(scan(user_table_, ann_)->empty());
  EXPECT_FALSE(std::ranges::any_of(stored_files(), [](const auto& file) { return file.ends_with(".parquet"); }));
}

TEST_F(RemovalTest, WhoSharesSegmentsGoesFromThem) {
  create(sharing_);
  std::vector<UserId> users;
  for (int i = 0; i < 10; ++i) users.emplace_back("user-" + std::to_string(i));
  for (const UserId& user : users) fill(sharing_, user, 1, 20);
  ASSERT_TRUE(flush(sharing_));
  for (const UserId& user : users) fill(sharing_, user, 21, 25);
  const UserId gone = users[4];
  ASSERT_TRUE(remove(sharing_, gone, 3));
  const auto count_in_files = [&] {
    uint64_t rows = 0;
    const auto manifests = database_->manifests(sharing_);
    for (const auto& manifest : *manifests) {
      const auto json = nlohmann::json::parse(manifest.json);
      for (const auto& segment : json["segments"]) rows += segment["row_count"].get<uint64_t>();
    }
    return rows;
  };
  EXPECT_EQ(count_in_files(), 200U);
  const auto removal = database_->remove_user(sharing_, gone);
  ASSERT_TRUE(removal) << removal.error().message;
  EXPECT_EQ(removal->rows, 24U);
  EXPECT_EQ(removal->segments, 1U);
  EXPECT_EQ(count_in_files(), 180U);
  EXPECT_EQ(database_->remove_user(sharing_, gone)->segments, 0U);
  for (int twice = 0; twice < 2; ++twice) {
    for (const UserId& user : users) {
      EXPECT_EQ(*scan(sharing_, user), user == gone ? Rows() : filled(1, 25)) << user.value;
    }
    ASSERT_TRUE(flush(sharing_));
    open();
  }
}

TEST_F(RemovalTest, WhoeverReadsAUserMeanwhileReadsOn) {
  fill(user_table_, ann_, 1, 20);
  ASSERT_TRUE(flush(user_table_));
  auto snapshot = database_->hot().snapshot();
  ASSERT_TRUE(database_->remove_user(user_table_, ann_));
  EXPECT_EQ(*scan(user_table_, ann_, snapshot), filled(1, 20));
  snapshot.reset();
  wait_until([&] { return files_of(ann_) == 0; });
}

TEST_F(RemovalTest, StreamRowsOfAUserGoToo) {
  fill(stream_, ann_, 1, 5);
  fill(stream_, ben_, 1, 5);
  EXPECT_EQ(database_->remove_user(stream_, ann_)->rows, 5U);
  EXPECT_TRUE(scan(stream_, ann_)->empty());
  EXPECT_EQ(scan(stream_, ben_)->size(), 5U);
}

}  // namespace
}  // namespace kalamdb::storage
