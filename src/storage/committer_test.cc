#include "storage/committer.h"

#include <gtest/gtest.h>

#include <condition_variable>
#include <thread>

#include "base/eventually.h"
#include "storage/test_database.h"

namespace kalamdb::storage {
namespace {

class CommitterTest : public DatabaseTest {
 protected:
  FoundRow found(const model::TablePtr& table, const UserId& user, int64_t id) {
    return database_->find(table, user, test_key(id), nullptr)->value();
  }
};

// Keeps the committer busy within a callback, so that what is submitted meanwhile becomes one group.
class Pause {
 public:
  explicit Pause(Committer& committer) {
    CommitRequest request;
    request.records.push_back({hot::RecordSpace::kSetting, "pause", "1", std::nullopt});
    committer.submit(std::move(request), [this](const Result<ChangeSetPtr>&) {
      std::unique_lock lock(mutex_);
      reached_ = true;
      changed_.notify_all();
      changed_.wait(lock, [&] { return over_; });
    });
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return reached_; });
  }
  void end() {
    const std::lock_guard lock(mutex_);
    over_ = true;
    changed_.notify_all();
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool reached_ = false;
  bool over_ = false;
};

TEST_F(CommitterTest, EachRowHasItsSeqAndTheLastIsTheCommits) {
  CommitRequest request;
  for (int64_t id : {3, 1, 2}) request.rows.push_back(insert(shared_, nobody_, id, id));
  const auto done = database_->committer().commit(std::move(request));
  ASSERT_TRUE(done);
  const ChangeSet& changes = **done;
  ASSERT_EQ(changes.rows.size(), 3u);
  EXPECT_EQ(changes.rows[1].seq, changes.rows[0].seq + 1);
  EXPECT_EQ(changes.rows[2].seq, changes.rows[1].seq + 1);
  EXPECT_EQ(changes.commit_seq, changes.rows[2].seq);
  EXPECT_EQ(changes.rows[0].key, test_key(3));
  EXPECT_EQ(database_->hot().last_seq(), changes.commit_seq);
  EXPECT_EQ(seq_time_us(changes.commit_seq), kTestStartUs);
  EXPECT_EQ(found(shared_, nobody_, 1).seq, changes.rows[1].seq);
}

TEST_F(CommitterTest, DuplicatesAreNamed) {
  ASSERT_TRUE(commit(insert(shared_, nobody_, 1, 1)));
  const auto again = commit(insert(shared_, nobody_, 1, 2));
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().code, ErrorCode::kAlreadyExists);
  EXPECT_EQ(again.error().message, "Primary key violation: value '1' already exists in column 'id' (hot storage)");

  CommitRequest twice;
  twice.rows = {insert(shared_, nobody_, 5, 1), insert(shared_, nobody_, 5, 2)};
  const auto within = database_->committer().commit(std::move(twice));
  ASSERT_FALSE(within);
  EXPECT_EQ(within.error().message,
            "Primary key violation: value '5' appears multiple times in the insert batch for column 'id'");
  EXPECT_EQ(*scan(shared_, nobody_), (Rows{{1, 1}}));
}

TEST_F(CommitterTest, UsersDoNotMeet) {
  ASSERT_TRUE(commit(insert(user_table_, ann_, 1, 1)));
  ASSERT_TRUE(commit(insert(user_table_, UserId("bob"), 1, 2)));
  EXPECT_EQ(*scan(user_table_, ann_), (Rows{{1, 1}}));
  EXPECT_EQ(*scan(user_table_, UserId("bob")), (Rows{{1, 2}}));
  EXPECT_EQ(*scan(user_table_, UserId("an")), Rows{});
}

TEST_F(CommitterTest, IgnoredInsertsChangeNothing) {
  ASSERT_TRUE(commit(insert(shared_, nobody_, 1, 1)));
  const Seq before = database_->hot().last_seq();
  RowWrite write = insert(shared_, nobody_, 1, 2);
  write.kind = WriteKind::kInsertOrIgnore;
  const auto done = commit(write);
  ASSERT_TRUE(done);
  EXPECT_EQ((*done)->ignored_rows, std::vector<uint32_t>{0});
  EXPECT_TRUE((*done)->rows.empty());
  EXPECT_EQ((*done)->commit_seq, before);
  EXPECT_EQ(database_->hot().last_seq(), before);
}

TEST_F(CommitterTest, AnInsertOfAKeyThatWasReadAsAbsentConflicts) {
  RowWrite write = insert(shared_, nobody_, 1, 1);
  write.kind = WriteKind::kInsertAbsent;
  ASSERT_TRUE(commit(write));
  EXPECT_EQ(commit(write).error().code, ErrorCode::kConflict);
  ASSERT_TRUE(commit(erase(shared_, nobody_, 1, found(shared_, nobody_, 1))));
  EXPECT_TRUE(commit(write));
  EXPECT_EQ(*scan(shared_, nobody_), (Rows{{1, 1}}));
}

TEST_F(CommitterTest, UpdateAndDeleteCarryTheOldRowAndNeedTheReadVersion) {
  ASSERT_TRUE(commit(insert(shared_, nobody_, 1, 10)));
  const FoundRow first = found(shared_, nobody_, 1);
  const auto updated = commit(update(shared_, nobody_, 1, 11, first));
  ASSERT_TRUE(updated);
  EXPECT_EQ((*updated)->rows[0].kind, ChangeKind::kUpdate);
  EXPECT_EQ((*updated)->rows[0].old_seq, first.seq);
  EXPECT_EQ(test_value((*updated)->rows[0].old_row), 10);
  EXPECT_EQ(commit(update(shared_, nobody_, 1, 12, first)).error().code, ErrorCode::kConflict);
  EXPECT_EQ(commit(erase(shared_, nobody_, 1, first)).error().code, ErrorCode::kConflict);

  const auto deleted = commit(erase(shared_, nobody_, 1, found(shared_, nobody_, 1)));
  ASSERT_TRUE(deleted);
  EXPECT_EQ((*deleted)->rows[0].kind, ChangeKind::kDelete);
  EXPECT_EQ(test_value((*deleted)->rows[0].old_row), 11);
  EXPECT_TRUE((*deleted)->rows[0].row.empty());
  EXPECT_EQ(*database_->find(shared_, nobody_, test_key(1), nullptr), std::nullopt);
  const auto tombstone = *database_->hot().get(shared_->id, nobody_, test_key(1), nullptr);
  ASSERT_TRUE(tombstone);
  EXPECT_TRUE(tombstone->deleted);
  EXPECT_EQ(test_value(tombstone->row), 11);
  EXPECT_TRUE(commit(insert(shared_, nobody_, 1, 13)));  // a deleted key may be used again
  EXPECT_EQ(*scan(shared_, nobody_), (Rows{{1, 13}}));
}

TEST_F(CommitterTest, GroupsAreValidatedInOrderAndOneFailureLeavesTheOthers) {
  std::vector<Seq> published;
  database_->add_listener([&](const ChangeSetPtr& changes) { published.push_back(changes->commit_seq); });
  ASSERT_TRUE(commit(insert(shared_, nobody_, 1, 0)));
  const FoundRow read = found(shared_, nobody_, 1);
  Pause pause(database_->committer());
  std::vector<Result<ChangeSetPtr>> answers;
  size_t published_at_answers = 0;
  const auto submit = [&](std::vector<RowWrite> rows) {
    CommitRequest request;
    request.rows = std::move(rows);
    database_->committer().submit(std::move(request), [&](Result<ChangeSetPtr> result) {
      answers.push_back(std::move(result));
      published_at_answers = published.size();
    });
  };
  submit({insert(shared_, nobody_, 2, 1)});
  submit({insert(shared_, nobody_, 3, 1), insert(shared_, nobody_, 2, 2)});  // the second row is taken
  submit({insert(shared_, nobody_, 3, 2)});                                  // so that this one is not
  submit({update(shared_, nobody_, 1, 1, read)});
  submit({update(shared_, nobody_, 1, 2, read)});
  submit({erase(shared_, nobody_, 1, read)});
  const size_t published_before = published.size();
  pause.end();
  ASSERT_TRUE(commit(insert(shared_, nobody_, 9, 9)));
  ASSERT_EQ(answers.size(), 6u);
  EXPECT_TRUE(answers[0]);
  EXPECT_EQ(answers[1].error().code, ErrorCode::kAlreadyExists);
  EXPECT_TRUE(answers[2]);
  EXPECT_TRUE(answers[3]);
  EXPECT_EQ(answers[4].error().code, ErrorCode::kConflict);
  EXPECT_EQ(answers[5].error().code, ErrorCode::kConflict);
  EXPECT_LE(published_at_answers, published_before + 1) << "nothing of a group is published before all are answered";
  EXPECT_EQ(*scan(shared_, nobody_), (Rows{{1, 1}, {2, 1}, {3, 2}, {9, 9}}));
  database_->stop();
  EXPECT_TRUE(std::ranges::is_sorted(published, std::less_equal<>()));
  EXPECT_EQ(published.size(), published_before + 5);  // the pause's own, three of the group, and the last
}

TEST_F(CommitterTest, ConcurrentIncrementsAddUp) {
  ASSERT_TRUE(commit(insert(shared_, nobody_, 1, 0)));
  constexpr int kThreads = 4;
  constexpr int kIncrements = 200;
  std::atomic<int> conflicts = 0;
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < kIncrements;) {
        const FoundRow row = found(shared_, nobody_, 1);
        const auto done = commit(update(shared_, nobody_, 1, test_value(row.row) + 1, row));
        if (done) {
          ++i;
        } else {
          ASSERT_EQ(done.error().code, ErrorCode::kConflict);
          ++conflicts;
        }
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(test_value(found(shared_, nobody_, 1).row), kThreads * kIncrements);
}

TEST_F(CommitterTest, RecordsMayBeExpected) {
  const auto put = [&](const char* value, std::optional<std::string> expected) {
    CommitRequest request;
    request.records.push_back({hot::RecordSpace::kSetting, "k", value, std::move(expected)});
    return database_->committer().commit(std::move(request));
  };
  EXPECT_TRUE(put("1", ""));
  EXPECT_EQ(put("2", "").error().code, ErrorCode::kConflict);
  EXPECT_TRUE(put("2", "1"));
  EXPECT_TRUE(put("3", std::nullopt));
  EXPECT_EQ(*database_->hot().get_record(hot::RecordSpace::kSetting, "k", nullptr), "3");
}

TEST_F(CommitterTest, RecordsThatSystemTablesShowAreTold) {
  using hot::RecordSpace;
  const auto told = [&](std::vector<RecordWrite> records) {
    CommitRequest request;
    request.records = std::move(records);
    const auto done = *database_->committer().commit(std::move(request));
    std::string text;
    for (const auto& change : done->records) {
      text += change.key + ":" + change.before.value_or("-") + ">" + change.now.value_or("-") + " ";
    }
    return text;
  };
  EXPECT_EQ(told({{RecordSpace::kUser, "a", "1", std::nullopt}, {RecordSpace::kSetting, "secret", "1", std::nullopt}}),
            "a:->1 ");
  EXPECT_EQ(told({{RecordSpace::kUser, "a", "2", "1"}, {RecordSpace::kJob, "a", "1", std::nullopt}}), "a:1>2 a:->1 ");
  EXPECT_EQ(told({{RecordSpace::kUser, "a", "3", std::nullopt}, {RecordSpace::kUser, "a", std::nullopt, std::nullopt}}),
            "a:2>3 a:3>- ")
      << "one after the other within a commit";
}

TEST_F(CommitterTest, WritesNeedTheLiveSchema) {
  auto altered = std::make_shared<model::TableDefinition>(*shared_);
  altered->schema_version = 2;
  EXPECT_EQ(commit(insert(altered, nobody_, 1, 1)).error().code, ErrorCode::kConflict);
  create(altered);
  EXPECT_EQ(commit(insert(shared_, nobody_, 1, 1)).error().code, ErrorCode::kConflict);
  EXPECT_TRUE(commit(insert(altered, nobody_, 1, 1)));
  open();  // what is live is known after a start, too
  EXPECT_EQ(commit(insert(shared_, nobody_, 2, 1)).error().code, ErrorCode::kConflict);
  EXPECT_TRUE(commit(insert(altered, nobody_, 2, 1)));

  CommitRequest drop;
  drop.records.push_back({hot::RecordSpace::kTable, altered->qualified_name(), std::nullopt, std::nullopt});
  drop.table_changes.push_back({altered->id, 0});
  drop.erase_tables.push_back(altered->id);
  ASSERT_TRUE(database_->committer().commit(std::move(drop)));
  EXPECT_EQ(commit(insert(altered, nobody_, 3, 1)).error().code, ErrorCode::kConflict);
  EXPECT_EQ(*database_->hot().users(altered->id, nullptr), std::vector<UserId>{});
}

TEST_F(CommitterTest, SeqGrowsWhenTheClockStepsBackAndAcrossRestarts) {
  Seq last = 0;
  for (int i = 0; i < 40; ++i) {
    clock_.set_now_us(kTestStartUs - i % 3 * 3'600'000'000LL);
    if (i % 10 == 9) open();
    const auto done = commit(insert(shared_, nobody_, i, i));
    ASSERT_TRUE(done);
    ASSERT_GT((*done)->commit_seq, last);
    last = (*done)->commit_seq;
  }
}

TEST_F(CommitterTest, StreamRowsExpireToTheMillisecond) {
  ASSERT_TRUE(commit(insert(stream_, ann_, 1, 1)));
  clock_.advance_us(9'999'000);
  EXPECT_EQ(*scan(stream_, ann_), (Rows{{1, 1}}));
  EXPECT_EQ(commit(insert(stream_, ann_, 1, 2)).error().code, ErrorCode::kAlreadyExists);
  clock_.advance_us(1'000);
  EXPECT_EQ(*scan(stream_, ann_), Rows{});
  EXPECT_EQ(*database_->find(stream_, ann_, test_key(1), nullptr), std::nullopt);
  ASSERT_TRUE(commit(insert(stream_, ann_, 1, 2)));  // whatever still lies there
  const auto deleted = commit(erase(stream_, ann_, 1, found(stream_, ann_, 1)));
  ASSERT_TRUE(deleted);
  EXPECT_EQ(test_value((*deleted)->rows[0].old_row), 2);
  EXPECT_EQ(*database_->hot().get(stream_->id, ann_, test_key(1), nullptr), std::nullopt);
}

TEST_F(CommitterTest, AFullDiskTakesNoMoreRowsButDeletions) {
  for (int64_t id : {1, 2, 3}) ASSERT_TRUE(commit(insert(shared_, nobody_, id, id)));
  files_.set_full(true);
  int64_t id = 1;
  ASSERT_TRUE(eventually([&] { return !commit(insert(stream_, ann_, id++, 1)); }));
  for (const RowWrite& row :
       {insert(shared_, nobody_, 4, 4), update(shared_, nobody_, 1, 5, found(shared_, nobody_, 1))}) {
    const auto refused = commit(row);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, ErrorCode::kUnavailable);
    EXPECT_NE(refused.error().message.find("nothing was written"), std::string::npos);
  }
  EXPECT_TRUE(commit(erase(shared_, nobody_, 1, found(shared_, nobody_, 1))));
  EXPECT_EQ(flush(shared_).error().code, ErrorCode::kIo);
  EXPECT_EQ(*scan(shared_, nobody_), (Rows{{2, 2}, {3, 3}}));
  EXPECT_EQ(stored_files().size(), 0U);

  files_.set_full(false);
  ASSERT_TRUE(eventually([&] { return commit(insert(shared_, nobody_, 4, 4)).has_value(); }));
  EXPECT_TRUE(flush(shared_));
  open();
  EXPECT_EQ(*scan(shared_, nobody_), (Rows{{2, 2}, {3, 3}, {4, 4}}));
}

TEST_F(CommitterTest, AfterStopCommitsAreRefused) {
  database_->stop();
  const auto late = commit(insert(shared_, nobody_, 1, 1));
  ASSERT_FALSE(late);
  EXPECT_EQ(late.error().code, ErrorCode::kUnavailable);
}

TEST_F(CommitterTest, GroupsLargerThanTheirBoundAreAllAnswered) {
  durability_ = Durability::kFsync;
  open();
  Pause pause(database_->committer());
  std::atomic<int> answered = 0;
  constexpr int kCommits = 6000;
  for (int i = 0; i < kCommits; ++i) {
    CommitRequest request;
    request.rows.push_back(insert(shared_, nobody_, i, i));
    database_->committer().submit(std::move(request), [&](const Result<ChangeSetPtr>& result) {
      EXPECT_TRUE(result);
      ++answered;
    });
  }
  pause.end();
  database_->stop();
  EXPECT_EQ(answered, kCommits);
  open();
  EXPECT_EQ(scan(shared_, nobody_)->size(), size_t{kCommits});
}

}  // namespace
}  // namespace kalamdb::storage
