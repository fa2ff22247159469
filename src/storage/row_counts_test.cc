#include "storage/row_counts.h"

#include <gtest/gtest.h>

#include <future>

#include "storage/test_database.h"

namespace kalamdb::storage {
namespace {

// A USER table with room for three rows of each user.
class RowCountsTest : public DatabaseTest {
 protected:
  void SetUp() override {
    DatabaseTest::SetUp();
    bounded_ = bounded(3);
    create(bounded_);
  }

  static model::TablePtr bounded(uint64_t rows) {
    auto table = std::make_shared<model::TableDefinition>(*test_table(9, model::TableType::kUser, "bounded"));
    table->options.max_rows_per_user = rows;
    return table;
  }
  void alter(uint64_t rows) {
    auto altered = std::make_shared<model::TableDefinition>(*bounded(rows));
    altered->schema_version = bounded_->schema_version + 1;
    bounded_ = altered;
    create(bounded_);
  }
  RowWrite row(int64_t id, WriteKind kind = WriteKind::kInsert) {
    RowWrite write = insert(bounded_, ann_, id, id);
    write.kind = kind;
    return write;
  }
  Result<ChangeSetPtr> commit_all(std::vector<RowWrite> rows) {
    CommitRequest request;
    request.rows = std::move(rows);
    return database_->committer().commit(std::move(request));
  }
  FoundRow found(int64_t id) { return database_->find(bounded_, ann_, test_key(id), nullptr)->value(); }

  model::TablePtr bounded_;
};

TEST_F(RowCountsTest, NoUserGetsMoreRowsThanTheTableAllows) {
  ASSERT_TRUE(commit_all({row(1), row(2), row(3)}));
  const auto refused = commit(row(4));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::kConstraintViolation);
  EXPECT_EQ(refused.error().message,
            "User 'ann' would have 4 rows in table app.bounded, where MAX_ROWS_PER_USER is 3; delete some first");
  EXPECT_TRUE(commit(insert(bounded_, UserId("bob"), 4, 4))) << "each user has a count of their own";
  EXPECT_TRUE(commit(update(bounded_, ann_, 1, 10, found(1)))) << "an update adds no row";
  EXPECT_TRUE(commit(row(1, WriteKind::kInsertOrIgnore))) << "nor does an insert that does nothing";
  ASSERT_TRUE(remove(bounded_, ann_, 2));
  EXPECT_TRUE(commit(row(2))) << "what was deleted makes room, its tombstone takes none";
  EXPECT_FALSE(commit(row(4)));
  EXPECT_TRUE(commit_all({erase(bounded_, ann_, 1, found(1)), row(4)})) << "what counts is the end of the commit";
  EXPECT_EQ(*scan(bounded_, ann_), (Rows{{2, 2}, {3, 3}, {4, 4}}));
}

TEST_F(RowCountsTest, WhatARefusedCommitWantedIsNotCounted) {
  ASSERT_TRUE(commit_all({row(1), row(2)}));
  EXPECT_FALSE(commit_all({row(3), row(4)}));
  EXPECT_EQ(commit_all({row(3), row(1)}).error().code, ErrorCode::kAlreadyExists);
  EXPECT_TRUE(commit(row(3)));
  EXPECT_FALSE(commit(row(4)));
}

TEST_F(RowCountsTest, CommitsOfOneGroupAreCounted) {
  std::vector<std::future<bool>> answers;
  for (int64_t id = 1; id <= 50; ++id) {
    CommitRequest request;
    request.rows.push_back(row(id));
    auto answer = std::make_shared<std::promise<bool>>();
    answers.push_back(answer->get_future());
    database_->committer().submit(std::move(request),
                                  [answer](const Result<ChangeSetPtr>& done) { answer->set_value(done.has_value()); });
  }
  int committed = 0;
  for (auto& answer : answers) committed += answer.get() ? 1 : 0;
  EXPECT_EQ(committed, 3);
  EXPECT_EQ(scan(bounded_, ann_)->size(), 3u);
}

TEST_F(RowCountsTest, RowsInSegmentsAndRowsFromBeforeTheStartCount) {
  ASSERT_TRUE(commit_all({row(1), row(2), row(3)}));
  ASSERT_TRUE(flush(bounded_));
  EXPECT_FALSE(commit(row(4)));
  ASSERT_TRUE(put(bounded_, ann_, 1, 10));  // hot again
  ASSERT_TRUE(remove(bounded_, ann_, 2));
  open();
  EXPECT_TRUE(commit(row(4)));
  EXPECT_FALSE(commit(row(5)));
  open();
  EXPECT_FALSE(commit(row(5)));
  EXPECT_EQ(*scan(bounded_, ann_), (Rows{{1, 10}, {3, 3}, {4, 4}}));
}

TEST_F(RowCountsTest, TheBoundMayComeGoAndChange) {
  ASSERT_TRUE(commit_all({row(1), row(2), row(3)}));
  alter(0);
  ASSERT_TRUE(commit_all({row(4), row(5)}));
  alter(4);
  EXPECT_FALSE(commit(row(6)));
  ASSERT_TRUE(remove(bounded_, ann_, 1));
  EXPECT_FALSE(commit(row(6)));
  ASSERT_TRUE(remove(bounded_, ann_, 2));
  EXPECT_TRUE(commit(row(6)));
  EXPECT_FALSE(commit(row(7)));
}

}  // namespace
}  // namespace kalamdb::storage
