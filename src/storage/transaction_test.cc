#include "storage/transaction.h"

#include <gtest/gtest.h>

#include <random>

#include "storage/test_database.h"

namespace kalamdb::storage {
namespace {

class TransactionTest : public DatabaseTest {
 protected:
  static Result<ChangeSetPtr> apply(Transaction& transaction, RowWrite write) {
    CommitRequest request;
    request.rows.push_back(std::move(write));
    return transaction.apply(std::move(request));
  }
  Result<ChangeSetPtr> put(Transaction& transaction, const model::TablePtr& table, const UserId& user, int64_t id,
                           int64_t v) {
    KALAM_TRY(const auto found, transaction.find(table, user, test_key(id)));
    return apply(transaction, found ? update(table, user, id, v, *found) : insert(table, user, id, v));
  }
  Result<ChangeSetPtr> remove(Transaction& transaction, const model::TablePtr& table, const UserId& user, int64_t id) {
    KALAM_TRY(const auto found, transaction.find(table, user, test_key(id)));
    if (!found) return nullptr;
    return apply(transaction, erase(table, user, id, *found));
  }
  static Result<std::optional<int64_t>> value(Transaction& transaction, const model::TablePtr& table,
                                              const UserId& user, int64_t id) {
    KALAM_TRY(const auto found, transaction.find(table, user, test_key(id)));
    return found ? std::optional(test_value(found->row)) : std::nullopt;
  }
  using DatabaseTest::put;
  using DatabaseTest::remove;
};

TEST_F(TransactionTest, OwnWritesAreSeenByItAloneUntilItCommits) {
  ASSERT_TRUE(put(shared_, nobody_, 1, 10));
  Transaction transaction(*database_);
  ASSERT_TRUE(put(transaction, shared_, nobody_, 1, 11));
  ASSERT_TRUE(put(transaction, user_table_, ann_, 2, 20));
  EXPECT_EQ(*value(transaction, shared_, nobody_, 1), 11);
  EXPECT_EQ(*value(transaction, user_table_, ann_, 2), 20);
  EXPECT_EQ(*scan(shared_, nobody_), (Rows{{1, 10}}));
  EXPECT_EQ(*scan(user_table_, ann_), Rows{});
  EXPECT_EQ(transaction.table_count(), 2u);
  ASSERT_TRUE(transaction.commit());
  EXPECT_EQ(*scan(shared_, nobody_), (Rows{{1, 11}}));
  EXPECT_EQ(*scan(user_table_, ann_), (Rows{{2, 20}}));
}

TEST_F(TransactionTest, ItReadsTheMomentAtWhichItBegan) {
  ASSERT_TRUE(put(shared_, nobody_, 1, 10));
  Transaction transaction(*database_);
  ASSERT_TRUE(put(shared_, nobody_, 1, 99));
  ASSERT_TRUE(put(shared_, nobody_, 2, 99));
  EXPECT_EQ(*value(transaction, shared_, nobody_, 1), 10);
  EXPECT_EQ(*value(transaction, shared_, nobody_, 2), std::nullopt);
}

TEST_F(TransactionTest, TheFirstToCommitARowWins) {
  ASSERT_TRUE(put(shared_, nobody_, 1, 10));
  Transaction first(*database_);
  Transaction second(*database_);
  ASSERT_TRUE(put(first, shared_, nobody_, 1, 11));
  ASSERT_TRUE(put(first, shared_, nobody_, 2, 11));
  ASSERT_TRUE(put(second, shared_, nobody_, 1, 12));
  ASSERT_TRUE(first.commit());
  EXPECT_EQ(second.commit().error().code, ErrorCode::kConflict);
  EXPECT_EQ(*scan(shared_, nobody_), (Rows{{1, 11}, {2, 11}}));

  Transaction third(*database_);
  ASSERT_TRUE(put(shared_, nobody_, 3, 1));
  ASSERT_TRUE(put(third, shared_, nobody_, 3, 2));
  EXPECT_EQ(third.commit().error().code, ErrorCode::kAlreadyExists);
}

TEST_F(TransactionTest, AFlushMeanwhileIsNoConflict) {
  for (int64_t id = 1; id <= 4; ++id) ASSERT_TRUE(put(shared_, nobody_, id, id));
  ASSERT_TRUE(flush(shared_));
  for (int64_t id = 5; id <= 8; ++id) ASSERT_TRUE(put(shared_, nobody_, id, id));
  Transaction transaction(*database_);
  ASSERT_TRUE(put(transaction, shared_, nobody_, 1, 101));  // cold
  ASSERT_TRUE(put(transaction, shared_, nobody_, 5, 105));  // hot, and cold by the time of the commit
  ASSERT_TRUE(remove(transaction, shared_, nobody_, 6));
  ASSERT_TRUE(put(transaction, shared_, nobody_, 9, 9));
  ASSERT_TRUE(flush(shared_));
  ASSERT_TRUE(transaction.commit());
  EXPECT_EQ(*scan(shared_, nobody_), (Rows{{1, 101}, {2, 2}, {3, 3}, {4, 4}, {5, 105}, {7, 7}, {8, 8}, {9, 9}}));
}

TEST_F(TransactionTest, AKeyInsertedAndFlushedMeanwhileIsTaken) {
  Transaction transaction(*database_);
  ASSERT_TRUE(put(transaction, shared_, nobody_, 1, 1));
  ASSERT_TRUE(put(shared_, nobody_, 1, 2));
  ASSERT_TRUE(flush(shared_));
  EXPECT_EQ(transaction.commit().error().code, ErrorCode::kAlreadyExists);
  EXPECT_EQ(*scan(shared_, nobody_), (Rows{{1, 2}}));
}

TEST_F(TransactionTest, SubscribersAreToldOfOneCommitWithTheFinalRows) {
  ASSERT_TRUE(put(shared_, nobody_, 1, 10));
  ASSERT_TRUE(put(shared_, nobody_, 2, 20));
  std::vector<ChangeSetPtr> published;
  database_->add_listener([&](const ChangeSetPtr& changes) { published.push_back(changes); });
  Transaction transaction(*database_);
  ASSERT_TRUE(put(transaction, shared_, nobody_, 3, 30));
  ASSERT_TRUE(remove(transaction, shared_, nobody_, 3));
  ASSERT_TRUE(put(transaction, shared_, nobody_, 1, 11));
  ASSERT_TRUE(remove(transaction, shared_, nobody_, 2));
  ASSERT_TRUE(put(transaction, shared_, nobody_, 1, 12));
  ASSERT_TRUE(transaction.commit());
  database_->stop();  // what was published is complete
  ASSERT_FALSE(published.empty());
  const auto& rows = published.back()->rows;
  ASSERT_EQ(rows.size(), 2u);
  EXPECT_EQ(rows[0].kind, ChangeKind::kDelete);
  EXPECT_EQ(rows[0].key, test_key(2));
  EXPECT_EQ(rows[1].kind, ChangeKind::kUpdate);
  EXPECT_EQ(test_value(rows[1].row), 12);
  EXPECT_EQ(published.back()->commit_seq, rows[1].seq);
}

TEST_F(TransactionTest, StreamsAndDuplicatesAreRefused) {
  Transaction transaction(*database_);
  EXPECT_EQ(apply(transaction, insert(stream_, ann_, 1, 1)).error().code, ErrorCode::kInvalidOperation);
  ASSERT_TRUE(apply(transaction, insert(shared_, nobody_, 1, 1)));
  EXPECT_EQ(apply(transaction, insert(shared_, nobody_, 1, 2)).error().code, ErrorCode::kAlreadyExists);
  RowWrite ignored = insert(shared_, nobody_, 1, 2);
  ignored.kind = WriteKind::kInsertOrIgnore;
  EXPECT_EQ((*apply(transaction, std::move(ignored)))->ignored_rows, std::vector<uint32_t>{0});
}

// Random statements in transactions over hot and cold rows, beside flushes, against a map.
TEST_F(TransactionTest, RandomTransactionsAgreeWithAModel) {
  std::mt19937 chance(20240607);
  const auto one_of = [&](int n) { return static_cast<int64_t>(chance() % static_cast<unsigned>(n)); };
  Rows committed;
  for (int round = 0; round < 60; ++round) {
    Rows own = committed;
    Transaction transaction(*database_);
    for (int step = 0; step < 20; ++step) {
      const int64_t id = one_of(25);
      if (one_of(3) == 0) {
        ASSERT_TRUE(remove(transaction, shared_, nobody_, id));
        own.erase(id);
      } else {
        ASSERT_TRUE(put(transaction, shared_, nobody_, id, round * 100 + step));
        own[id] = round * 100 + step;
      }
      const int64_t looked_at = one_of(25);
      const auto found = own.find(looked_at);
      ASSERT_EQ(*value(transaction, shared_, nobody_, looked_at),
                found == own.end() ? std::nullopt : std::optional(found->second));
      if (one_of(20) == 0) ASSERT_TRUE(flush(shared_));
    }
    if (one_of(4) > 0) {
      ASSERT_TRUE(transaction.commit());
      committed = own;
    }
    ASSERT_EQ(*scan(shared_, nobody_), committed) << "round " << round;
  }
}

}  // namespace
}  // namespace kalamdb::storage
