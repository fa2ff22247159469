#include "storage/storage.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <future>
#include <random>
#include <thread>

#include "storage/test_database.h"

namespace kalamdb::storage {
namespace {

class StorageTest : public DatabaseTest {};

TEST_F(StorageTest, ARowThatIsAcknowledgedIsPending) {
  ASSERT_EQ(database_->pending_rows(shared_->id), 0u);
  CommitRequest request;
  request.rows.push_back(insert(shared_, nobody_, 1, 0));
  std::promise<uint64_t> pending;
  database_->committer().submit(std::move(request), [&](const Result<ChangeSetPtr>&) {
    pending.set_value(database_->pending_rows(shared_->id));
  });
  EXPECT_EQ(pending.get_future().get(), 1u);
}

TEST_F(StorageTest, FlushedRowsAreFoundScannedAndTaken) {
  fill(shared_, nobody_, 1, 100);
  ASSERT_TRUE(remove(shared_, nobody_, 50));
  wait_until_published();
  EXPECT_EQ(database_->pending_rows(shared_->id), 100u);
  const auto flushed = flush(shared_);
  ASSERT_TRUE(flushed) << flushed.error().message;
  EXPECT_EQ(flushed->rows, 99u);
  EXPECT_EQ(flushed->segments, 1u);
  EXPECT_EQ(database_->pending_rows(shared_->id), 0u);
  EXPECT_EQ(flush(shared_)->rows, 0u);

  Rows expected = filled(1, 100);
  expected.erase(50);
  EXPECT_EQ(*scan(shared_, nobody_), expected);
  check_change_index(shared_, nobody_);
  const auto found = database_->find(shared_, nobody_, test_key(7), nullptr);
  ASSERT_TRUE(found && *found);
  EXPECT_TRUE((*found)->cold);
  EXPECT_EQ(test_value((*found)->row), 70);
  const std::vector<std::string> keys = {test_key(7), test_key(50), test_key(101)};
  const auto cold = database_->cold_keys(shared_, nobody_, keys, nullptr);
  ASSERT_EQ(cold->taken.size(), 1u);
  EXPECT_EQ(cold->taken[0].key, test_key(7));
  EXPECT_EQ(cold->taken[0].path, "app/notes/batch-0.parquet");
  EXPECT_EQ(cold->segments_version, 1u);
  const std::vector<std::string> in_segment = {test_key(101), test_key(7)};
  const std::vector<std::string> beyond_segment = {test_key(101), test_key(500)};
  EXPECT_TRUE(database_->must_read_segments(shared_, nobody_, in_segment).value());
  EXPECT_FALSE(database_->must_read_segments(shared_, nobody_, beyond_segment).value());
  ASSERT_TRUE(put(shared_, nobody_, 101, 5));
  const auto all = database_->find_all(shared_, nobody_, keys, database_->hot().snapshot());
  EXPECT_TRUE((*all)[0] && (*all)[0]->cold && test_value((*all)[0]->row) == 70);
  EXPECT_FALSE((*all)[1]);
  EXPECT_TRUE((*all)[2] && !(*all)[2]->cold && test_value((*all)[2]->row) == 5);
  ASSERT_TRUE(remove(shared_, nobody_, 101));
  const auto stats = database_->stats(shared_);
  EXPECT_EQ(stats->cold_rows, 99u);
  EXPECT_EQ(stats->segments, 1u);
  EXPECT_EQ(stored_files(), (std::vector<std::string>{"app/notes/batch-0.parquet", "app/notes/manifest.json"}));
}

TEST_F(StorageTest, ColdRowsAreUpdatedAndDeletedOnce) {
  fill(shared_, nobody_, 1, 10);
  ASSERT_TRUE(flush(shared_));
  const FoundRow read = database_->find(shared_, nobody_, test_key(3), nullptr)->value();
  auto before = database_->hot().snapshot();
  const auto updated = commit(update(shared_, nobody_, 3, 1, read));
  ASSERT_TRUE(updated) << updated.error().message;
  EXPECT_EQ(test_value((*updated)->rows[0].old_row), 30);
  EXPECT_EQ((*updated)->rows[0].old_seq, read.seq);
  EXPECT_EQ(commit(update(shared_, nobody_, 3, 2, read)).error().code, ErrorCode::kConflict);
  EXPECT_EQ(commit(erase(shared_, nobody_, 3, read)).error().code, ErrorCode::kConflict);
  ASSERT_TRUE(remove(shared_, nobody_, 4));
  ASSERT_TRUE(remove(shared_, nobody_, 3));
  Rows expected = filled(1, 10);
  EXPECT_EQ(*scan(shared_, nobody_, before), expected);
  before.reset();
  expected.erase(3);
  expected.erase(4);
  EXPECT_EQ(*scan(shared_, nobody_), expected);
  EXPECT_EQ(database_->stats(shared_)->cold_rows, 8u);
  open();
  EXPECT_EQ(*scan(shared_, nobody_), expected);
  ASSERT_TRUE(put(shared_, nobody_, 4, 5));
  ASSERT_TRUE(flush(shared_));
  expected[4] = 5;
  EXPECT_EQ(*scan(shared_, nobody_), expected);
}

TEST_F(StorageTest, EachUserHasSegmentsOfTheirOwn) {
  fill(user_table_, ann_, 1, 5);
  fill(user_table_, UserId("a/../b"), 1, 3);
  ASSERT_EQ(flush(user_table_)->segments, 2u);
  EXPECT_EQ(stored_files(), (std::vector<std::string>{
                                "app/messages/a%2F..%2Fb/batch-0.parquet", "app/messages/a%2F..%2Fb/manifest.json",
                                "app/messages/ann/batch-0.parquet", "app/messages/ann/manifest.json"}));
  EXPECT_EQ(*scan(user_table_, ann_), filled(1, 5));
  EXPECT_EQ(*scan(user_table_, UserId("a/../b")), filled(1, 3));
  EXPECT_EQ(*scan(user_table_, UserId("a")), Rows{});
}

TEST_F(StorageTest, ASnapshotFromBeforeAFlushSeesTheSameAfter) {
  fill(shared_, nobody_, 1, 200);
  const auto snapshot = database_->hot().snapshot();
  const auto open_scan = *database_->scan(shared_, nobody_, snapshot);
  ASSERT_TRUE(flush(shared_));
  ASSERT_TRUE(put(shared_, nobody_, 1, 0));
  EXPECT_EQ(*scan(shared_, nobody_, snapshot), filled(1, 200));
  EXPECT_TRUE(open_scan->segments().empty());
  EXPECT_EQ(test_value(database_->find(shared_, nobody_, test_key(1), snapshot)->value().row), 10);
}

TEST_F(StorageTest, RowsThatChangeDuringAFlushAreThereOnce) {
  fill(shared_, nobody_, 1, 500);
  ASSERT_TRUE(remove(shared_, nobody_, 100));
  engine_.after_write = [&]() -> Result<> {
    EXPECT_TRUE(put(shared_, nobody_, 200, -1));
    EXPECT_TRUE(remove(shared_, nobody_, 201));
    EXPECT_TRUE(remove(shared_, nobody_, 202));
    EXPECT_TRUE(put(shared_, nobody_, 202, -2));
    EXPECT_TRUE(put(shared_, nobody_, 100, -3));
    EXPECT_TRUE(put(shared_, nobody_, 1000, -4));
    return {};
  };
  const auto flushed = flush(shared_);
  ASSERT_TRUE(flushed) << flushed.error().message;
  Rows expected = filled(1, 500);
  expected[200] = -1;
  expected.erase(201);
  expected[202] = -2;
  expected[100] = -3;
  expected[1000] = -4;
  EXPECT_EQ(*scan(shared_, nobody_), expected);
  check_change_index(shared_, nobody_);
  engine_.after_write = [] { return Result<>(); };
  open();
  EXPECT_EQ(*scan(shared_, nobody_), expected);
  ASSERT_TRUE(flush(shared_));
  EXPECT_EQ(*scan(shared_, nobody_), expected);
}

TEST_F(StorageTest, InsertsThatRaceWithAFlushAreSentBack) {
  fill(shared_, nobody_, 1, 1);
  const std::string key = test_key(1);
  const auto read = *database_->cold_keys(shared_, nobody_, std::span(&key, 1), nullptr);
  EXPECT_TRUE(read.taken.empty());
  ASSERT_TRUE(flush(shared_));
  CommitRequest request;
  request.rows.push_back(insert(shared_, nobody_, 1, 2));
  request.segments_read.push_back({shared_, nobody_, read.segments_version});
  EXPECT_EQ(database_->committer().commit(std::move(request)).error().code, ErrorCode::kConflict);
  EXPECT_EQ(*scan(shared_, nobody_), filled(1, 1));
}

TEST_F(StorageTest, AnAlteredEmptiedOrDroppedTableIsNotFlushed) {
  auto altered = std::make_shared<model::TableDefinition>(*shared_);
  altered->schema_version = 2;
  fill(shared_, nobody_, 1, 5);
  engine_.after_write = [&] {
    create(altered);
    return Result<>();
  };
  EXPECT_EQ(flush(shared_).error().code, ErrorCode::kConflict);
  EXPECT_EQ(*scan(altered, nobody_), filled(1, 5));
  engine_.after_write = [&] {
    CommitRequest truncate;
    truncate.erase_tables.push_back(altered->id);
    EXPECT_TRUE(database_->committer().commit(std::move(truncate)));
    return Result<>();
  };
  EXPECT_EQ(flush(altered).error().code, ErrorCode::kConflict);
  EXPECT_EQ(*scan(altered, nobody_), Rows{});
  fill(altered, nobody_, 1, 5);
  engine_.after_write = [&] {
    CommitRequest drop;
    drop.table_changes.push_back({altered->id, 0});
    drop.erase_tables.push_back(altered->id);
    EXPECT_TRUE(database_->committer().commit(std::move(drop)));
    return Result<>();
  };
  EXPECT_EQ(flush(altered).error().code, ErrorCode::kConflict);
  EXPECT_EQ(stored_files(), std::vector<std::string>{});
}

TEST_F(StorageTest, ADroppedTablesFilesGoWhenNobodyReadsThem) {
  fill(shared_, nobody_, 1, 5);
  ASSERT_TRUE(flush(shared_));
  auto reading = *database_->scan(shared_, nobody_, nullptr);
  CommitRequest drop;
  drop.records.push_back({hot::RecordSpace::kTable, shared_->qualified_name(), std::nullopt, std::nullopt});
  drop.table_changes.push_back({shared_->id, 0});
  drop.erase_tables.push_back(shared_->id);
  ASSERT_TRUE(database_->committer().commit(std::move(drop)));
  // A new table of the same name does not get into the way.
  const auto next = test_table(9, model::TableType::kShared, "notes");
  create(next);
  fill(next, nobody_, 1, 3);
  ASSERT_TRUE(flush(next));
  const auto freed = database_->remove_segments(shared_);
  EXPECT_TRUE(freed && *freed > 0);
  EXPECT_TRUE(read_test_segment(reading->segments()[0].path));
  EXPECT_EQ((*database_->scan(shared_, nobody_, nullptr))->segments().size(), 0u);
  reading.reset();
  wait_until([&] { return stored_files().size() == 2; });
  EXPECT_EQ(stored_files(), (std::vector<std::string>{"app/notes-9/batch-0.parquet", "app/notes-9/manifest.json"}));
  EXPECT_EQ(*database_->remove_segments(shared_), 0u);
  EXPECT_EQ(*scan(next, nobody_), filled(1, 3));
  // Nor does one that comes when the files are gone: names of files are not used again, since readers cache by name.
  const auto third = test_table(10, model::TableType::kShared, "notes");
  create(third);
  fill(third, nobody_, 1, 2);
  ASSERT_TRUE(flush(third));
  EXPECT_EQ((*database_->scan(third, nobody_, nullptr))->segments()[0].path,
            directory_ + "/storage/app/notes-10/batch-0.parquet");
  open();
  EXPECT_EQ(*scan(next, nobody_), filled(1, 3));
}

TEST_F(StorageTest, StreamsAreNotFlushed) { EXPECT_EQ(flush(stream_).error().code, ErrorCode::kInvalidOperation); }

TEST_F(StorageTest, PendingRowsSurviveAStart) {
  fill(shared_, nobody_, 1, 20);
  ASSERT_TRUE(flush(shared_));
  fill(shared_, nobody_, 21, 25);
  open();
  fill(shared_, nobody_, 26, 27);
  wait_until_published();
  EXPECT_EQ(database_->pending_rows(shared_->id), 7u);
}

TEST_F(StorageTest, ReasonsThatADatabaseCannotBeOpenedAreOneLine) {
  StorageOptions options;
  options.data_directory = directory_;
  const auto second = Storage::open(options, files_, clock_, random_, engine_);
  ASSERT_FALSE(second);
  EXPECT_NE(second.error().message.find("in use by another process"), std::string::npos) << second.error().message;
  options.data_directory = directory_ + "/LOCK/below";
  const auto below_a_file = Storage::open(options, files_, clock_, random_, engine_);
  ASSERT_FALSE(below_a_file);
  EXPECT_EQ(below_a_file.error().code, ErrorCode::kIo);
  EXPECT_EQ(below_a_file.error().message.find('\n'), std::string::npos);
}

// How it is rebuilt is in manifest_rebuild_test.cc; here the files are none that can be read for it.
TEST_F(StorageTest, ADamagedManifestIsAnErrorOfItsTableAlone) {
  fill(shared_, nobody_, 1, 5);
  fill(user_table_, ann_, 1, 5);
  ASSERT_TRUE(flush(shared_));
  ASSERT_TRUE(flush(user_table_));
  const auto files = stored_files();
  const std::string scope = hot::scope_prefix(shared_->id, nobody_);
  std::string record = **database_->hot().get_record(hot::RecordSpace::kManifest, scope, nullptr);
  record[1] = static_cast<char>(record[1] ^ 0x40);  // a version that is not cached
  record[9] = static_cast<char>(record[9] ^ 0x40);
  CommitRequest request;
  request.records.push_back({hot::RecordSpace::kManifest, scope, record, std::nullopt});
  ASSERT_TRUE(database_->committer().commit(std::move(request)));
  EXPECT_EQ(scan(shared_, nobody_).error().code, ErrorCode::kCorruption);
  EXPECT_EQ(database_->find(shared_, nobody_, test_key(1), nullptr).error().code, ErrorCode::kCorruption);
  EXPECT_EQ(flush(shared_)->rows, 0u);
  open();
  EXPECT_EQ(*scan(user_table_, ann_), filled(1, 5));
  wait_until([&] { return scan(shared_, nobody_).error().code == ErrorCode::kCorruption; });
  EXPECT_EQ(put(shared_, nobody_, 6, 6).error().code, ErrorCode::kCorruption);
  EXPECT_EQ(database_->vacuum(shared_, std::nullopt, 1).error().code, ErrorCode::kCorruption);
  EXPECT_EQ(stored_files(), files);
  ASSERT_TRUE(database_->remove_segments(shared_));
  wait_until([&] { return stored_files().size() < files.size(); });
}

// The disk fails at every step of a flush, one after another, and after each the power: the rows are there, once.
TEST_F(StorageTest, AFlushThatFailsAnywhereLosesAndDoublesNothing) {
  durability_ = Durability::kFsync;
  for (const bool power_fails : {false, true}) {
    Rows expected;
    for (uint64_t step = 1;; ++step) {
      SCOPED_TRACE("step " + std::to_string(step));
      open();
      if (expected.empty()) {
        expected = *scan(shared_, nobody_);
      }
      const auto id = static_cast<int64_t>(1000 * step + (power_fails ? 1 : 0));
      ASSERT_TRUE(put(shared_, nobody_, id, 1));
      ASSERT_TRUE(put(shared_, nobody_, id + 2, 2));
      expected[id] = 1;
      expected[id + 2] = 2;
      files_.fail_call(step, EIO, true);
      const auto flushed = flush(shared_);
      const bool went_through = files_.changing_calls() < step;
      files_.stop_failing();
      EXPECT_EQ(*scan(shared_, nobody_), expected);
      database_.reset();
      if (power_fails) {
        ASSERT_TRUE(files_.lose_power());
      }
      open();
      EXPECT_EQ(*scan(shared_, nobody_), expected);
      check_change_index(shared_, nobody_);
      for (const std::string& file : stored_files()) EXPECT_FALSE(file.ends_with(".tmp")) << file;
      if (went_through) {
        EXPECT_TRUE(flushed);
        break;
      }
      ASSERT_LT(step, 50u);
    }
  }
}

// A crash, as a copy of everything that is on the disk at that moment, while a flush is at each of its steps.
TEST_F(StorageTest, ACrashDuringAFlushLosesAndDoublesNothing) {
  fill(shared_, nobody_, 1, 300);
  Rows expected = filled(1, 300);
  const std::string copy = directory_ + ".copy";
  std::vector<std::string> crashes;
  const auto crash = [&] {
    crashes.push_back(copy + std::to_string(crashes.size()));
    copy_directory(crashes.back());
    return Result<>();
  };
  engine_.after_write = crash;
  ASSERT_TRUE(flush(shared_));
  crash();
  // Between the rename and the commit: the file has its name, and the database does not know it.
  std::filesystem::rename(crashes[0] + "/storage/app/notes/batch-0.parquet.tmp",
                          crashes[0] + "/storage/app/notes/batch-0.parquet");
  std::filesystem::copy(crashes[0], copy + "2", std::filesystem::copy_options::recursive);
  std::filesystem::rename(copy + "2/storage/app/notes/batch-0.parquet",
                          copy + "2/storage/app/notes/batch-0.parquet.tmp");
  crashes.push_back(copy + "2");
  engine_.after_write = [] { return Result<>(); };
  const std::string original = directory_;
  for (const std::string& crashed : crashes) {
    database_.reset();
    directory_ = crashed;
    open();
    EXPECT_EQ(*scan(shared_, nobody_), expected);
    const bool was_committed = crashed == crashes[1];
    EXPECT_EQ(stored_files().empty(), !was_committed);
    ASSERT_TRUE(flush(shared_));
    EXPECT_EQ(*scan(shared_, nobody_), expected);
    database_.reset();
    std::filesystem::remove_all(crashed);
  }
  directory_ = original;
}

class RandomStorageTest : public StorageTest, public testing::WithParamInterface<uint64_t> {
 protected:
  struct Scope {
    model::TablePtr table;
    UserId user;
    Rows rows;
  };
};

// Random writes, flushes and compactions with writes in between, and restarts, compared with a map at every step.
TEST_P(RandomStorageTest, AgreesWithAModel) {
  max_segment_rows_ = GetParam();
  open();
  const uint32_t seed = std::random_device()();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  std::vector<Scope> scopes = {{shared_, nobody_, {}}, {user_table_, ann_, {}}, {user_table_, UserId("bob"), {}}};
  // As a statement is run again after a conflict, here with a flush of another scope.
  const auto until_done = [](const auto& write) {
    while (true) {
      const auto done = write();
      if (done) return;
      ASSERT_EQ(done.error().code, ErrorCode::kConflict) << done.error().message;
    }
  };
  const auto write_randomly = [&](int count) {
    for (int i = 0; i < count; ++i) {
      Scope& scope = scopes[random() % scopes.size()];
      const int64_t id = random() % 400;
      if (random() % 4 == 0) {
        until_done([&] { return remove(scope.table, scope.user, id); });
        scope.rows.erase(id);
      } else {
        const int64_t v = random();
        until_done([&] { return put(scope.table, scope.user, id, v); });
        scope.rows[id] = v;
      }
    }
  };
  std::mutex in_hook;  // several scopes are flushed at once
  engine_.after_write = [&]() -> Result<> {
    const std::lock_guard lock(in_hook);
    if (random() % 2 == 0) write_randomly(static_cast<int>(random() % 40));
    return {};
  };
  struct Past {
    hot::SnapshotPtr snapshot;
    std::vector<Scope> scopes;
  };
  std::vector<Past> past;
  for (int step = 0; step < 60; ++step) {
    write_randomly(static_cast<int>(random() % 150));
    if (random() % 3 == 0) {
      const auto flushed = flush(random() % 2 == 0 ? shared_ : user_table_);
      ASSERT_TRUE(flushed) << flushed.error().message;
    }
    if (random() % 4 == 0) {
      const auto compacted = database_->compact(random() % 2 == 0 ? shared_ : user_table_, std::nullopt,
                                                random() % 2 == 0 ? CompactKind::kOptimize : CompactKind::kVacuum);
      ASSERT_TRUE(compacted) << compacted.error().message;
    }
    if (random() % 5 == 0) past.push_back({database_->hot().snapshot(), scopes});
    if (past.size() > 3) past.erase(past.begin());
    if (random() % 12 == 0) {
      past.clear();
      open();
    }
    past.push_back({nullptr, scopes});
    for (const Past& moment : past) {
      for (const Scope& scope : moment.scopes) {
        const auto rows = scan(scope.table, scope.user, moment.snapshot);
        ASSERT_TRUE(rows) << rows.error().message;
        ASSERT_EQ(*rows, scope.rows);
        const int64_t id = random() % 400;
        const auto found = database_->find(scope.table, scope.user, test_key(id), moment.snapshot);
        ASSERT_TRUE(found) << found.error().message;
        ASSERT_EQ(found->has_value(), scope.rows.contains(id));
        if (*found) {
          ASSERT_EQ(test_value((*found)->row), scope.rows.at(id));
        }
      }
    }
    past.pop_back();
    for (const Scope& scope : scopes) check_change_index(scope.table, scope.user);
    ASSERT_FALSE(HasFatalFailure());
  }
}

INSTANTIATE_TEST_SUITE_P(SegmentSizes, RandomStorageTest, testing::Values(30, 100, 200'000));

TEST_F(StorageTest, WritersFlushesAndCompactionsDoNotDisturbEachOther) {
  constexpr int kWriters = 3;
  std::vector<Rows> expected(kWriters);
  std::atomic<bool> done = false;
  std::thread flusher([&] {
    while (!done) {
      const auto flushed = flush(shared_);
      ASSERT_TRUE(flushed) << flushed.error().message;
    }
  });
  std::thread compactor([&] {
    while (!done) {
      const auto compacted = database_->compact(shared_, std::nullopt, CompactKind::kVacuum);
      ASSERT_TRUE(compacted) << compacted.error().message;
    }
  });
  std::thread reader([&] {
    while (!done) {
      ASSERT_TRUE(scan(shared_, nobody_));  // which fails where a row comes twice
    }
  });
  std::vector<std::thread> writers;
  for (int w = 0; w < kWriters; ++w) {
    writers.emplace_back([&, w] {
      std::mt19937 random(static_cast<uint32_t>(w));
      for (int i = 0; i < 400; ++i) {
        const int64_t id = static_cast<int64_t>(random() % 100) * kWriters + w;
        const int64_t v = random();
        const bool removes = random() % 4 == 0;
        while (true) {  // as a statement is run again after a conflict
          const auto written = removes ? remove(shared_, nobody_, id) : put(shared_, nobody_, id, v);
          if (written) break;
          ASSERT_EQ(written.error().code, ErrorCode::kConflict) << written.error().message;
        }
        if (removes) {
          expected[w].erase(id);
        } else {
          expected[w][id] = v;
        }
      }
    });
  }
  for (auto& writer : writers) writer.join();
  done = true;
  flusher.join();
  compactor.join();
  reader.join();
  Rows all;
  for (Rows& rows : expected) all.merge(rows);
  EXPECT_EQ(*scan(shared_, nobody_), all);
  check_change_index(shared_, nobody_);
  open();
  EXPECT_EQ(*scan(shared_, nobody_), all);
}

}  // namespace
}  // namespace kalamdb::storage
