#include <fstream>

#include "storage/compact_plan.h"
#include "storage/segment_cache.h"
#include "storage/test_database.h"

namespace kalamdb::storage {
namespace {

class CompactTest : public DatabaseTest {
 protected:
  void SetUp() override {
    max_segment_rows_ = 100;
    DatabaseTest::SetUp();
  }
  CompactResult compact(const model::TablePtr& table, CompactKind kind = CompactKind::kOptimize) {
    const auto compacted = database_->compact(table, std::nullopt, kind);
    EXPECT_TRUE(compacted) << compacted.error().message;
    return compacted.value_or(CompactResult());
  }
  // Segments of `rows` rows each, whose keys lie between each other's.
  void fill_segments(const model::TablePtr& table, const UserId& user, int64_t segments, int64_t rows) {
    for (int64_t s = 0; s < segments; ++s) {
      CommitRequest request;
      for (int64_t r = 0; r < rows; ++r) {
        const int64_t id = r * segments + s;
        request.rows.push_back(insert(table, user, id, id * 10));
      }
      ASSERT_TRUE(database_->committer().commit(std::move(request)));
      ASSERT_TRUE(flush(table));
    }
  }
  std::vector<uint64_t> row_counts(const model::TablePtr& table, const UserId& user) {
    std::vector<uint64_t> counts;
    const auto scan = database_->scan(table, user, nullptr);
    for (const duck::Segment& segment : (*scan)->segments()) counts.push_back(segment.row_count);
    return counts;
  }
};

TEST_F(CompactTest, AFlushTellsThatACompactionIsDue) {
  const auto flushed = [&](int64_t first, int64_t last) {
    fill(shared_, nobody_, first, last);
    return flush(shared_)->fragmented;
  };
  for (int64_t i = 0; i < 8; ++i) EXPECT_EQ(flushed(10 * i + 1, 10 * i + 10), 0u) << i;
  EXPECT_EQ(flushed(81, 90), 1u);
  compact(shared_);
  EXPECT_EQ(flushed(91, 180), 0u);
  // What is full counts only when many of its rows are deleted.
  for (int64_t id = 91; id < 99; ++id) ASSERT_TRUE(remove(shared_, nobody_, id));
  EXPECT_EQ(flushed(181, 181), 0u);
  ASSERT_TRUE(remove(shared_, nobody_, 99));
  EXPECT_EQ(flushed(182, 182), 1u);
}

TEST_F(CompactTest, SmallSegmentsBecomeFewFullOnesInKeyOrder) {
  fill_segments(shared_, nobody_, 10, 25);
  const CompactResult result = compact(shared_);
  EXPECT_EQ(result.segments_before, 10u);
  EXPECT_EQ(result.segments_after, 3u);
  EXPECT_EQ(row_counts(shared_, nobody_), (std::vector<uint64_t>{84, 83, 83}));
  EXPECT_EQ(*scan(shared_, nobody_), filled(0, 249));
  EXPECT_EQ(stored_files(), (std::vector<std::string>{"app/notes/batch-10.parquet", "app/notes/batch-11.parquet",
                                                      "app/notes/batch-12.parquet", "app/notes/manifest.json"}));
  // Bounds, filters and positions are those of the new ones.
  const duck::Segment second = (*database_->scan(shared_, nobody_, nullptr))->segments()[1];
  EXPECT_EQ(second.min_key, test_key(84));
  EXPECT_EQ(second.max_key, test_key(166));
  const std::vector<std::string> keys = {test_key(100), test_key(250)};
  const auto cold = database_->cold_keys(shared_, nobody_, keys, nullptr);
  ASSERT_EQ(cold->taken.size(), 1u);
  EXPECT_EQ(cold->taken[0].path, "app/notes/batch-11.parquet");
  const auto found = database_->find(shared_, nobody_, test_key(100), nullptr);
  EXPECT_EQ((*found)->cold->position, 16u);
  ASSERT_TRUE(put(shared_, nobody_, 100, -1));
  ASSERT_TRUE(remove(shared_, nobody_, 200));
  Rows expected = filled(0, 249);
  expected[100] = -1;
  expected.erase(200);
  EXPECT_EQ(*scan(shared_, nobody_), expected);
  // There is nothing left to do, but for VACUUM.
  EXPECT_EQ(compact(shared_).segments_before, 0u);
  EXPECT_EQ(compact(shared_, CompactKind::kVacuum).segments_before, 2u);
  EXPECT_EQ(compact(shared_, CompactKind::kVacuum).segments_before, 0u);
  open();
  EXPECT_EQ(*scan(shared_, nobody_), expected);
}

TEST_F(CompactTest, SegmentsWithManyDeletedRowsAreRewrittenAndEmptyOnesGo) {
  fill(shared_, nobody_, 1, 300);
  ASSERT_TRUE(flush(shared_));
  for (int64_t id = 101; id <= 200; ++id) ASSERT_TRUE(remove(shared_, nobody_, id));
  for (int64_t id = 201; id <= 215; ++id) ASSERT_TRUE(remove(shared_, nobody_, id));
  for (int64_t id = 1; id <= 5; ++id) ASSERT_TRUE(remove(shared_, nobody_, id));
  Rows expected = filled(216, 300);
  expected.merge(filled(6, 100));
  const CompactResult result = compact(shared_);
  EXPECT_EQ(result.segments_before, 2u);
  EXPECT_EQ(result.segments_after, 1u);
  EXPECT_LT(result.bytes_after, result.bytes_before);
  EXPECT_EQ(row_counts(shared_, nobody_), (std::vector<uint64_t>{100, 85}));
  EXPECT_EQ(*scan(shared_, nobody_), expected);
  for (int64_t id = 1; id <= 300; ++id) {
    const auto found = database_->find(shared_, nobody_, test_key(id), nullptr);
    if (*found) {
      ASSERT_TRUE(remove(shared_, nobody_, id));
    }
  }
  EXPECT_EQ(compact(shared_).segments_after, 0u);
  EXPECT_EQ(stored_files(), std::vector<std::string>{"app/notes/manifest.json"});
  // Numbers are not used again, and keys of rows that are gone are free.
  fill(shared_, nobody_, 400, 410);
  ASSERT_TRUE(put(shared_, nobody_, 7, 1));
  ASSERT_TRUE(flush(shared_));
  EXPECT_EQ(stored_files()[0], "app/notes/batch-4.parquet");
  check_change_index(shared_, nobody_);
}

TEST_F(CompactTest, EachUserHasSegmentsOfTheirOwn) {
  const UserId bob("bob");
  fill_segments(user_table_, ann_, 3, 10);
  fill_segments(user_table_, bob, 3, 10);
  ASSERT_TRUE(database_->compact(user_table_, ann_, CompactKind::kOptimize));
  EXPECT_EQ(row_counts(user_table_, ann_), std::vector<uint64_t>{30});
  EXPECT_EQ(row_counts(user_table_, bob), (std::vector<uint64_t>{10, 10, 10}));
  compact(user_table_);
  EXPECT_EQ(row_counts(user_table_, bob), std::vector<uint64_t>{30});
  EXPECT_EQ(*scan(user_table_, ann_), filled(0, 29));
  EXPECT_EQ(*scan(user_table_, bob), filled(0, 29));
}

TEST_F(CompactTest, WhatHappensMeanwhileIsKept) {
  fill_segments(shared_, nobody_, 4, 60);
  Rows expected = filled(0, 239);
  ASSERT_TRUE(remove(shared_, nobody_, 3));
  expected.erase(3);
  const FoundRow read = database_->find(shared_, nobody_, test_key(8), nullptr)->value();
  int64_t round = 0;
  engine_.after_write = [&]() -> Result<> {
    const auto inner = std::exchange(engine_.after_write, [] { return Result<>(); });
    for (int64_t id = 100 * round; id < 100 * round + 20; ++id) {
      EXPECT_TRUE(id % 2 == 0 ? remove(shared_, nobody_, id) : put(shared_, nobody_, id, -id));
      expected.erase(id);
      if (id % 2 == 1) expected[id] = -id;
    }
    fill(shared_, nobody_, 1000 + 10 * round, 1009 + 10 * round);
    expected.merge(filled(1000 + 10 * round, 1009 + 10 * round));
    EXPECT_TRUE(flush(shared_));
    EXPECT_EQ(*scan(shared_, nobody_), expected);
    ++round;
    engine_.after_write = inner;
    return {};
  };
  // What was deleted of other segments meanwhile is found in the next round.
  EXPECT_EQ(compact(shared_, CompactKind::kVacuum).segments_before, 4u);
  engine_.after_write = [] { return Result<>(); };
  EXPECT_GE(round, 2);
  EXPECT_EQ(*scan(shared_, nobody_), expected);
  compact(shared_);
  EXPECT_EQ(*scan(shared_, nobody_), expected);
  // A write that was based on where the row lay before is sent back.
  EXPECT_EQ(commit(update(shared_, nobody_, 8, 1, read)).error().code, ErrorCode::kConflict);
  check_change_index(shared_, nobody_);
  open();
  EXPECT_EQ(*scan(shared_, nobody_), expected);
}

TEST_F(CompactTest, OldFilesGoWithTheLastSnapshotThatSeesThem) {
  fill_segments(shared_, nobody_, 3, 10);
  auto reading = *database_->scan(shared_, nobody_, nullptr);
  auto snapshot = database_->hot().snapshot();  // which has read nothing yet
  ASSERT_TRUE(put(shared_, nobody_, 5, 1));
  compact(shared_);
  Rows now = filled(0, 29);
  now[5] = 1;
  EXPECT_EQ(*scan(shared_, nobody_), now);
  EXPECT_EQ(*scan(shared_, nobody_, snapshot), filled(0, 29));
  EXPECT_EQ(test_value(database_->find(shared_, nobody_, test_key(5), snapshot)->value().row), 50);
  // Readers that come later do not keep them.
  auto later = *database_->scan(shared_, nobody_, nullptr);
  EXPECT_EQ(stored_files().size(), 5u);
  snapshot.reset();
  EXPECT_EQ(stored_files().size(), 5u);
  EXPECT_TRUE(read_test_segment(reading->segments()[2].path));
  reading.reset();
  wait_until([&] { return stored_files().size() == 2; });
  later.reset();
  // What waits when the server stops is found at the next start.
  fill(shared_, nobody_, 100, 110);
  ASSERT_TRUE(flush(shared_));
  snapshot = database_->hot().snapshot();
  compact(shared_);
  EXPECT_EQ(stored_files().size(), 4u);
  const auto files = stored_files();
  database_->stop();
  snapshot.reset();
  EXPECT_EQ(stored_files(), files);
  open();
  EXPECT_EQ(stored_files().size(), 2u);
}

TEST_F(CompactTest, AnAlteredOrDroppedTableIsNotCompacted) {
  fill_segments(shared_, nobody_, 3, 10);
  const auto files = stored_files();
  engine_.after_write = [&] {
    CommitRequest alter;
    alter.table_changes.push_back({shared_->id, 2});
    EXPECT_TRUE(database_->committer().commit(std::move(alter)));
    return Result<>();
  };
  EXPECT_EQ(database_->compact(shared_, std::nullopt, CompactKind::kOptimize).error().code, ErrorCode::kConflict);
  EXPECT_EQ(stored_files(), files);
  EXPECT_EQ(*scan(shared_, nobody_), filled(0, 29));
}

TEST_F(CompactTest, ADroppedTablesDirectoryThatWasLeftGoesAtTheNextStart) {
  for (const bool job_had_run : {true, false}) {
    fill_segments(shared_, nobody_, 1, 10);
    CommitRequest drop;
    drop.records.push_back({hot::RecordSpace::kTable, shared_->qualified_name(), std::nullopt, std::nullopt});
    drop.table_changes.push_back({shared_->id, 0});
    drop.erase_tables.push_back(shared_->id);
    ASSERT_TRUE(database_->committer().commit(std::move(drop)));
    auto snapshot = database_->hot().snapshot();
    if (job_had_run) ASSERT_TRUE(database_->remove_segments(shared_));
    database_->stop();
    snapshot.reset();
    EXPECT_TRUE(std::filesystem::exists(storage_directory() + "/app/notes"));
    open();
    // On the collector's thread.
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(30);
    while (std::filesystem::exists(storage_directory() + "/app/notes")) {
      ASSERT_LT(std::chrono::steady_clock::now(), deadline);
      std::this_thread::yield();
    }
    EXPECT_EQ(*database_->scopes_in(cold::kLocalStorage), 0u);
    TearDown();
    SetUp();
  }
}

// Every changing call of the file system fails once, alone or with all that follow, and the power goes.
TEST_F(CompactTest, ACompactionThatFailsAnywhereLosesAndDoublesNothing) {
  for (const bool and_after : {false, true}) {
    for (uint64_t step = 1;; ++step) {
      SCOPED_TRACE("call " + std::to_string(step) + (and_after ? " and all after it" : ""));
      TearDown();
      SetUp();
      fill_segments(shared_, nobody_, 3, 60);
      for (int64_t id = 0; id < 30; ++id) ASSERT_TRUE(remove(shared_, nobody_, id));
      const Rows expected = filled(30, 179);
      files_.fail_call(step, EIO, and_after);
      const auto compacted = database_->compact(shared_, std::nullopt, CompactKind::kOptimize);
      const bool went_through = files_.changing_calls() < step;
      EXPECT_EQ(*scan(shared_, nobody_), expected);
      database_.reset();
      files_.stop_failing();
      ASSERT_TRUE(files_.lose_power());
      open();
      EXPECT_EQ(*scan(shared_, nobody_), expected);
      for (const std::string& file : stored_files()) EXPECT_FALSE(file.ends_with(".tmp")) << file;
      if (went_through) {
        EXPECT_TRUE(compacted);
        break;
      }
      ASSERT_LT(step, 60u);
    }
  }
}

TEST_F(CompactTest, ACrashAtAnyPointLeavesTheOldSegmentsOrTheNewOnes) {
  fill_segments(shared_, nobody_, 4, 45);
  const Rows expected = filled(0, 179);
  const std::string copy = directory_ + ".copy";
  std::vector<std::string> crashes;
  const auto crash = [&] {
    crashes.push_back(copy + std::to_string(crashes.size()));
    copy_directory(crashes.back());
    return Result<>();
  };
  engine_.after_write = crash;  // before the first new file has its name, and before the second has
  auto snapshot = database_->hot().snapshot();
  ASSERT_EQ(compact(shared_).segments_after, 2u);
  crash();  // committed, the old files still there
  snapshot.reset();
  wait_until([&] { return stored_files().size() == 3; });
  crash();  // and gone
  engine_.after_write = [] { return Result<>(); };
  ASSERT_EQ(crashes.size(), 4u);
  const std::string original = directory_;
  for (const std::string& crashed : crashes) {
    database_.reset();
    directory_ = crashed;
    open();
    EXPECT_EQ(*scan(shared_, nobody_), expected);
    EXPECT_EQ(stored_files().size(), crashed < crashes[2] ? 5u : 3u);
    compact(shared_);
    EXPECT_EQ(*scan(shared_, nobody_), expected);
    EXPECT_EQ(row_counts(shared_, nobody_), (std::vector<uint64_t>{90, 90}));
    database_.reset();
    std::filesystem::remove_all(crashed);
  }
  directory_ = original;
}

TEST_F(CompactTest, VacuumRemovesOldTombstonesDeletedRowsAndOrphans) {
  fill(shared_, nobody_, 1, 50);
  ASSERT_TRUE(flush(shared_));
  fill(shared_, nobody_, 51, 60);
  for (const int64_t id : {3, 4, 55, 56}) ASSERT_TRUE(remove(shared_, nobody_, id));
  ASSERT_TRUE(put(shared_, nobody_, 4, -4));  // lives again: its tombstone is gone
  clock_.advance_us(3 * 3'600'000'000LL);
  ASSERT_TRUE(remove(shared_, nobody_, 5));
  std::ofstream(storage_directory() + "/app/notes/batch-77.parquet") << "of a flush that failed";
  std::ofstream(storage_directory() + "/app/notes/batch-78.parquet.tmp") << "likewise";
  std::ofstream(storage_directory() + "/app/notes/manifest.json.79.tmp") << "likewise";
  std::ofstream(storage_directory() + "/app/manifest.json.80.tmp") << "whose is this?";
  Rows expected = filled(1, 60);
  for (const int64_t id : {3, 5, 55, 56}) expected.erase(id);
  expected[4] = -4;
  const auto tombstones = [&] {
    size_t count = 0;
    const auto cursor = database_->hot().scan(shared_->id, nobody_, "", "", true, nullptr);
    while (const auto record = *cursor->next()) count += record->deleted;
    return count;
  };
  EXPECT_EQ(tombstones(), 4u);
  auto reading = *database_->scan(shared_, nobody_, nullptr);
  auto vacuumed = database_->vacuum(shared_, std::nullopt, 5);
  ASSERT_TRUE(vacuumed) << vacuumed.error().message;
  EXPECT_EQ(vacuumed->tombstones_removed, 0u);
  EXPECT_EQ(vacuumed->compacted.segments_before, 1u);
  EXPECT_EQ(vacuumed->orphans_removed, 3u);
  EXPECT_EQ(*database_->removed_tombstones_up_to(shared_, nobody_, nullptr), 0);
  // The file that a reader needs is no orphan.
  EXPECT_EQ(database_->vacuum(shared_, std::nullopt, 5)->orphans_removed, 0u);
  EXPECT_TRUE(read_test_segment(reading->segments()[0].path));
  reading.reset();
  const Seq before = database_->hot().last_seq();
  vacuumed = database_->vacuum(shared_, std::nullopt, 2);
  ASSERT_TRUE(vacuumed) << vacuumed.error().message;
  EXPECT_EQ(vacuumed->tombstones_removed, 3u);
  EXPECT_EQ(tombstones(), 1u);
  const Seq forgotten = *database_->removed_tombstones_up_to(shared_, nobody_, nullptr);
  EXPECT_GT(forgotten, 0);
  EXPECT_LT(forgotten, before);
  check_change_index(shared_, nobody_);
  EXPECT_EQ(*scan(shared_, nobody_), expected);
  fill(shared_, nobody_, 55, 56);
  expected.merge(filled(55, 56));
  ASSERT_TRUE(flush(shared_));
  open();
  EXPECT_EQ(*scan(shared_, nobody_), expected);
  EXPECT_EQ(*database_->removed_tombstones_up_to(shared_, nobody_, nullptr), forgotten);
}

TEST_F(CompactTest, AnalyzeAddsWhatAManifestLacks) {
  fill_segments(shared_, nobody_, 2, 10);
  ASSERT_TRUE(remove(shared_, nobody_, 0));  // counts all the same: a snapshot may see it
  const std::string scope = hot::scope_prefix(shared_->id, nobody_);
  const auto stored = [&] {
    return *cold::decode_manifest(**database_->hot().get_record(hot::RecordSpace::kManifest, scope, nullptr));
  };
  cold::Manifest manifest = stored();
  for (auto& segment : manifest.segments) segment.columns.clear();
  ++manifest.version;
  CommitRequest forget;
  forget.records.push_back({.space = hot::RecordSpace::kManifest, .key = scope, .value = cold::encode(manifest)});
  forget.records.push_back({.space = hot::RecordSpace::kFilter, .key = segment_record_key(scope, 1)});
  ASSERT_TRUE(database_->committer().commit(std::move(forget)));
  const auto analyzed = database_->analyze(shared_, std::nullopt);
  ASSERT_TRUE(analyzed) << analyzed.error().message;
  EXPECT_EQ(analyzed->segments, 2u);
  EXPECT_EQ(analyzed->analyzed, 2u);
  const auto columns = stored().segments[0].columns;
  ASSERT_EQ(columns.size(), 2u);
  EXPECT_EQ(columns[1], (model::ColumnStats{2, 0, test_key(0), test_key(180)}));
  EXPECT_TRUE(
      database_->hot().get_record(hot::RecordSpace::kFilter, segment_record_key(scope, 1), nullptr)->has_value());
  EXPECT_EQ(database_->analyze(shared_, std::nullopt)->analyzed, 0u);
  Rows expected = filled(1, 19);
  EXPECT_EQ(*scan(shared_, nobody_), expected);
}

TEST_F(CompactTest, PartitionsStayApart) {
  auto table = std::make_shared<model::TableDefinition>(*shared_);
  table->id = TableId(20);
  table->name = "parts";
  table->columns[0].partition_key = true;
  model::ColumnDefinition second{.name = "n", .ordinal = 3, .type = {model::TypeTag::kBigInt}, .nullable = false};
  second.primary_key_position = 2;
  table->columns.push_back(second);
  const auto segment = [&](uint64_t id, int64_t part, uint64_t rows) {
    const std::string key = model::encode_key(*table, {part, int64_t{0}, static_cast<int64_t>(id)});
    return cold::SegmentEntry{.id = id, .row_count = rows, .min_key = key, .max_key = key};
  };
  cold::Manifest manifest;
  manifest.segments = {segment(0, 1, 10), segment(1, 2, 10), segment(2, 1, 10), segment(3, 3, 10), segment(4, 1, 90)};
  auto worn = std::make_shared<PositionSet>();
  for (uint32_t position = 0; position < 9; ++position) worn->add(position);
  std::vector<DeletionsPtr> deletions(5);
  using Groups = std::vector<std::vector<size_t>>;
  EXPECT_EQ(plan_compaction(*table, manifest, deletions, CompactKind::kOptimize, 100, 5, cold::kLocalStorage),
            (Groups{{0, 2}}));
  deletions[3] = worn;
  deletions[4] = worn;
  EXPECT_EQ(plan_compaction(*table, manifest, deletions, CompactKind::kOptimize, 100, 5, cold::kLocalStorage),
            (Groups{{0, 2, 4}, {3}}));
  EXPECT_EQ(plan_compaction(*table, manifest, deletions, CompactKind::kVacuum, 100, 5, cold::kLocalStorage),
            (Groups{{4}, {3}}));
  EXPECT_EQ(plan_compaction(*table, manifest, deletions, CompactKind::kVacuum, 100, 4, cold::kLocalStorage),
            (Groups{{3}}));
  manifest.segments.resize(3);
  for (uint64_t id = 3; id < 80; ++id) manifest.segments.push_back(segment(id, 4, 1));
  deletions.assign(manifest.segments.size(), nullptr);
  const auto many = plan_compaction(*table, manifest, deletions, CompactKind::kOptimize, 100, 5, cold::kLocalStorage);
  ASSERT_EQ(many.size(), 4u);
  EXPECT_EQ(many[1].size(), 32u);
  EXPECT_EQ(many[3].size(), 13u);
}

}  // namespace
}  // namespace kalamdb::storage
