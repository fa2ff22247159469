#include "storage/manifest_rebuild.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <fstream>
#include <iterator>
#include <random>

#include "cold/deletion_vector.h"
#include "storage/segment_cache.h"
#include "storage/test_real_engine.h"

namespace kalamdb::storage {
namespace {

// As the catalog makes it: with the system columns.
model::TablePtr full_table(uint32_t id, model::TableType type, const std::string& name) {
  auto table = std::make_shared<model::TableDefinition>(*test_table(id, type, name));
  table->columns.push_back(
      {.name = std::string(model::kSeqColumn), .ordinal = 3, .type = {model::TypeTag::kBigInt}, .nullable = false});
  table->columns.push_back({.name = std::string(model::kDeletedColumn),
                            .ordinal = 4,
                            .type = {model::TypeTag::kBoolean},
                            .nullable = false});
  return table;
}

class ManifestRebuildTest : public RealEngineTest {
 protected:
  void SetUp() override {
    max_segment_rows_ = 100;
    RealEngineTest::SetUp();
    create(table_);
    create(own_);
    create(common_);
  }

  // All rows that a reader finds; fails the test if one comes twice.
  Result<Rows> rows(const model::TablePtr& table, const UserId& user) {
    Rows found;
    KALAM_TRY(const auto scan, database_->scan(table, user, nullptr));
    const auto add = [&](std::string_view key, std::string_view row) {
      const auto id = std::get<int64_t>(*model::read_key(key, {model::TypeTag::kBigInt}));
      EXPECT_TRUE(found.emplace(id, test_value(row)).second) << "row " << id << " comes twice";
    };
    const auto hot = scan->hot({}, false);
    while (true) {
      KALAM_TRY(const auto record, hot->next());
      if (!record) break;
      add(record->key, record->row);
    }
    for (const duck::Segment& segment : scan->segments()) {
      KALAM_TRY(const auto cold, engine().read_segment(table, segment));
      while (true) {
        KALAM_TRY(const auto* row, cold->next());
        if (row == nullptr) break;
        add(row->key, row->row);
      }
    }
    return found;
  }
  std::string scope(const model::TablePtr& table, const UserId& user) const { return segment_scope(*table, user).key; }
  cold::Manifest manifest(const model::TablePtr& table, const UserId& user) {
    const auto record = database_->hot().get_record(hot::RecordSpace::kManifest, scope(table, user), nullptr);
    return *cold::decode_manifest(**record);
  }
  // nullopt erases it.
  void put_record(hot::RecordSpace space, const std::string& key, std::optional<std::string> value) {
    CommitRequest request;
    request.records.push_back({space, key, std::move(value), std::nullopt});
    ASSERT_TRUE(database_->committer().commit(std::move(request)));
  }
  void damage(hot::RecordSpace space, const std::string& key) {
    std::string record = **database_->hot().get_record(space, key, nullptr);
    record[record.size() / 2] = static_cast<char>(record[record.size() / 2] ^ 1);
    put_record(space, key, record);
  }
  // Starts again, and waits until it is there.
  void reopen(const model::TablePtr& table, const UserId& user) {
    open();
    wait_until([&] { return database_->segments_version(table, user, nullptr).has_value(); });
  }
  std::filesystem::path file(const std::string& name) const { return storage_directory() + "/app/" + name; }
  static std::string read(const std::filesystem::path& path) {
    std::ifstream in(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
  }
  static void write(const std::filesystem::path& path, const std::string& bytes) {
    std::ofstream(path, std::ios::binary | std::ios::trunc) << bytes;
  }
  // Two segments, rows in them updated and deleted before and after the last export.
  Rows fill_and_change(const model::TablePtr& table, const UserId& user) {
    Rows expected = filled(1, 80);
    fill(table, user, 1, 80);
    EXPECT_TRUE(flush(table));
    const auto set = [&](int64_t id, int64_t v) {
      EXPECT_TRUE(put(table, user, id, v));
      expected[id] = v;
    };
    const auto drop = [&](int64_t id) {
      EXPECT_TRUE(remove(table, user, id));
      expected.erase(id);
    };
    set(3, -3);
    set(81, 81);
    drop(5);
    EXPECT_TRUE(flush(table));
    set(6, -6);
    set(3, -33);
    drop(7);
    drop(81);
    return expected;
  }

  const model::TablePtr table_ = full_table(11, model::TableType::kShared, "books");
  const model::TablePtr own_ = full_table(12, model::TableType::kUser, "own");
  const model::TablePtr common_ = [] {
    auto table = std::make_shared<model::TableDefinition>(*full_table(13, model::TableType::kUser, "common"));
    table->options.shares_segments = true;
    table->options.user_shards = 1;
    return table;
  }();
};

TEST_F(ManifestRebuildTest, FromManifestJsonAndTheFiles) {
  const Rows expected = fill_and_change(table_, nobody_);
  const Rows bobs = fill_and_change(own_, UserId("b/ob"));
  fill(own_, ann_, 1, 10);
  ASSERT_TRUE(flush(own_));
  const cold::Manifest before = manifest(table_, nobody_);
  ASSERT_EQ(before.segments.size(), 2u);
  damage(hot::RecordSpace::kManifest, scope(table_, nobody_));
  damage(hot::RecordSpace::kManifest, scope(own_, UserId("b/ob")));
  put_record(hot::RecordSpace::kFilter, segment_record_key(scope(table_, nobody_), 0), std::nullopt);
  open();
  EXPECT_EQ(*rows(own_, ann_), filled(1, 10));
  wait_until([&] { return database_->segments_version(table_, nobody_, nullptr).has_value(); });
  EXPECT_EQ(*rows(table_, nobody_), expected);
  wait_until([&] { return database_->segments_version(own_, UserId("b/ob"), nullptr).has_value(); });
  EXPECT_EQ(*rows(own_, UserId("b/ob")), bobs);

  const cold::Manifest after = manifest(table_, nobody_);
  EXPECT_GT(after.version, before.version);
  EXPECT_EQ(after.next_segment, before.next_segment);
  EXPECT_EQ(after.directory, before.directory);
  ASSERT_EQ(after.segments.size(), 2u);
  for (size_t i = 0; i < 2; ++i) {
    cold::SegmentEntry wanted = before.segments[i];
    wanted.created_at_us = after.segments[i].created_at_us;  // exported in milliseconds
    EXPECT_EQ(after.segments[i], wanted) << i;
  }
  const auto filter =
      database_->hot().get_record(hot::RecordSpace::kFilter, segment_record_key(scope(table_, nobody_), 0), nullptr);
  EXPECT_TRUE(*filter);
  // It can be worked with as before.
  EXPECT_EQ(put(table_, nobody_, 7, 1)->get()->rows[0].kind, ChangeKind::kInsert);
  EXPECT_EQ(put(table_, nobody_, 8, 1)->get()->rows[0].kind, ChangeKind::kUpdate);
  Rows changed = expected;
  changed[7] = changed[8] = 1;
  ASSERT_TRUE(flush(table_));
  ASSERT_TRUE(database_->compact(table_, std::nullopt, CompactKind::kVacuum));
  open();
  EXPECT_EQ(*rows(table_, nobody_), changed);
  const auto manifests = database_->manifests(table_);
  for (const auto& info : *manifests) EXPECT_EQ(info.exported, ManifestInfo::Exported::kSame);
}

TEST_F(ManifestRebuildTest, FromTheFilesAloneWhenManifestJsonIsDamagedToo) {
  const Rows expected = fill_and_change(table_, nobody_);
  std::string json = read(file("books/manifest.json"));
  const size_t vector = json.find("deletion_vector\":\"") + 20;
  json[vector] = json[vector] == 'A' ? 'B' : 'A';  // it would name other rows
  for (const bool is_there : {true, false}) {
    damage(hot::RecordSpace::kManifest, scope(table_, nobody_));
    database_.reset();
    if (is_there) {
      write(file("books/manifest.json"), json);
    } else {
      std::filesystem::remove(file("books/manifest.json"));
    }
    reopen(table_, nobody_);
    EXPECT_EQ(*rows(table_, nobody_), expected);
    EXPECT_EQ(manifest(table_, nobody_).segments.size(), 1u);  // in the other no row counts any more
  }
}

TEST_F(ManifestRebuildTest, ALostRecordIsFoundByItsManifestJson) {
  const Rows expected = fill_and_change(table_, nobody_);
  const Rows bobs = fill_and_change(own_, UserId("b/ob"));
  put_record(hot::RecordSpace::kManifest, scope(table_, nobody_), std::nullopt);
  put_record(hot::RecordSpace::kManifest, scope(own_, UserId("b/ob")), std::nullopt);
  write(file("own/b%2Fob/manifest.json"), "{}");  // whose it is, the files tell
  reopen(table_, nobody_);
  EXPECT_EQ(*rows(table_, nobody_), expected);
  wait_until([&] { return database_->segments_version(own_, UserId("b/ob"), nullptr).has_value(); });
  EXPECT_EQ(*rows(own_, UserId("b/ob")), bobs);
  // VACUUM finds it too: it looks into buckets, which the start does not.
  put_record(hot::RecordSpace::kManifest, scope(table_, nobody_), std::nullopt);
  const auto vacuumed = database_->vacuum(table_, std::nullopt, 1000);
  ASSERT_TRUE(vacuumed) << vacuumed.error().message;
  EXPECT_EQ(vacuumed->orphans_removed, 0u);
  EXPECT_EQ(*rows(table_, nobody_), expected);
}

TEST_F(ManifestRebuildTest, DamagedDeletionVectorsAndFilters) {
  const Rows expected = fill_and_change(table_, nobody_);
  const std::string key = segment_record_key(scope(table_, nobody_), 0);
  const auto deleted = [&] {
    return cold::decode_deletions(**database_->hot().get_record(hot::RecordSpace::kDeletions, key, nullptr))->encode();
  };
  const std::string before = deleted();
  const cold::Manifest unchanged = manifest(table_, nobody_);
  for (const bool has_export : {true, false}) {
    damage(hot::RecordSpace::kDeletions, key);
    database_.reset();
    if (!has_export) std::filesystem::remove(file("books/manifest.json"));
    reopen(table_, nobody_);
    EXPECT_EQ(*rows(table_, nobody_), expected);
    EXPECT_EQ(deleted(), before);
    EXPECT_EQ(manifest(table_, nobody_), unchanged);
  }
  damage(hot::RecordSpace::kFilter, key);
  open();
  EXPECT_TRUE(*database_->find(table_, nobody_, test_key(40), nullptr));
  EXPECT_EQ(database_->analyze(table_, std::nullopt)->analyzed, 1u);
  EXPECT_EQ(database_->analyze(table_, std::nullopt)->analyzed, 0u);
}

// What a compaction has replaced may still lie there, with rows that are deleted and of which nothing tells any more.
TEST_F(ManifestRebuildTest, FilesThatWereReplacedAreNotTakenAgain) {
  fill(table_, nobody_, 1, 20);
  ASSERT_TRUE(flush(table_));
  ASSERT_TRUE(remove(table_, nobody_, 4));
  const std::string replaced = read(file("books/batch-0.parquet"));
  clock_.advance_us(10 * 3'600'000'000LL);
  ASSERT_EQ(database_->vacuum(table_, std::nullopt, 1)->tombstones_removed, 1u);
  Rows expected = filled(1, 20);
  expected.erase(4);
  ASSERT_EQ(*rows(table_, nobody_), expected);
  ASSERT_FALSE(std::filesystem::exists(file("books/batch-0.parquet")));
  damage(hot::RecordSpace::kManifest, scope(table_, nobody_));
  database_.reset();
  write(file("books/batch-0.parquet"), replaced);
  reopen(table_, nobody_);
  EXPECT_EQ(*rows(table_, nobody_), expected);
  EXPECT_TRUE(std::filesystem::exists(file("books/batch-0.parquet")));
  open();
  EXPECT_EQ(*rows(table_, nobody_), expected);
  EXPECT_FALSE(std::filesystem::exists(file("books/batch-0.parquet")));
}

// manifest.json is from before a flush, a compaction and a flush that failed.
TEST_F(ManifestRebuildTest, FilesThatAreNewerThanManifestJsonAreTaken) {
  Rows expected = fill_and_change(table_, nobody_);
  const std::string older = read(file("books/manifest.json"));
  ASSERT_TRUE(flush(table_));
  const std::string orphan = read(file("books/batch-2.parquet"));
  ASSERT_TRUE(put(table_, nobody_, 90, 9));
  expected[90] = 9;
  damage(hot::RecordSpace::kManifest, scope(table_, nobody_));
  database_.reset();
  write(file("books/manifest.json"), older);
  write(file("books/batch-3.parquet"), orphan);  // rows that another file has
  reopen(table_, nobody_);
  EXPECT_EQ(*rows(table_, nobody_), expected);

  ASSERT_TRUE(flush(table_));
  const std::string before_compaction = read(file("books/manifest.json"));
  ASSERT_TRUE(database_->compact(table_, std::nullopt, CompactKind::kOptimize));
  damage(hot::RecordSpace::kManifest, scope(table_, nobody_));
  database_.reset();
  write(file("books/manifest.json"), before_compaction);
  reopen(table_, nobody_);
  EXPECT_EQ(*rows(table_, nobody_), expected);
}

TEST_F(ManifestRebuildTest, WhatIsMissingIsNamedAndVacuumTriesAgain) {
  const Rows expected = fill_and_change(table_, nobody_);
  fill(own_, ann_, 1, 10);
  const std::string first = read(file("books/batch-0.parquet"));
  damage(hot::RecordSpace::kManifest, scope(table_, nobody_));
  database_.reset();
  std::filesystem::remove(file("books/batch-0.parquet"));
  open();
  wait_until(
      [&] { return database_->segments_version(table_, nobody_, nullptr).error().code == ErrorCode::kCorruption; });
  EXPECT_THAT(database_->segments_version(table_, nobody_, nullptr).error().message,
              testing::HasSubstr("batch-0.parquet; put them back from a backup"));
  EXPECT_EQ(put(table_, nobody_, 1000, 1).error().code, ErrorCode::kCorruption);
  EXPECT_EQ(*rows(own_, ann_), filled(1, 10));
  EXPECT_EQ(database_->manifests(table_)->front().exported, ManifestInfo::Exported::kUnreadable);
  write(file("books/batch-0.parquet"), first + "x");  // not as it was written
  EXPECT_EQ(database_->vacuum(table_, std::nullopt, 1000).error().code, ErrorCode::kCorruption);
  write(file("books/batch-0.parquet"), first);
  ASSERT_TRUE(database_->vacuum(table_, std::nullopt, 1000));
  EXPECT_EQ(*rows(table_, nobody_), expected);
}

TEST_F(ManifestRebuildTest, AnotherUsersFileIsRefused) {
  fill(own_, ann_, 1, 10);
  fill(own_, UserId("bob"), 100, 110);
  ASSERT_TRUE(flush(own_));
  damage(hot::RecordSpace::kManifest, scope(own_, ann_));
  database_.reset();
  write(file("own/ann/batch-1.parquet"), read(file("own/bob/batch-0.parquet")));
  open();
  wait_until([&] { return database_->segments_version(own_, ann_, nullptr).error().code == ErrorCode::kCorruption; });
  EXPECT_THAT(database_->segments_version(own_, ann_, nullptr).error().message,
              testing::HasSubstr("batch-1.parquet is not one of its segments"));
  EXPECT_EQ(*rows(own_, UserId("bob")), filled(100, 110));
  // Nor are other users' rows kept from being flushed.
  ASSERT_TRUE(commit(insert(own_, UserId("bob"), 1, 10)));
  ASSERT_TRUE(commit(insert(own_, UserId("zoe"), 1, 10)));
  ASSERT_TRUE(commit(insert(own_, ann_, 1000, 1)));
  EXPECT_EQ(flush(own_).error().code, ErrorCode::kCorruption);
  EXPECT_EQ(manifest(own_, UserId("bob")).segments.size(), 2u);
  EXPECT_EQ(manifest(own_, UserId("zoe")).segments.size(), 1u);
}

// Random work, then one record after the other is damaged, with manifest.json or without.
TEST_F(ManifestRebuildTest, AgreesWithAModel) {
  std::mt19937 random(7);
  Rows expected;
  for (int round = 0; round < 6; ++round) {
    for (int i = 0; i < 15; ++i) {
      const auto id = static_cast<int64_t>(random() % 60);
      if (random() % 3 == 0) {
        ASSERT_TRUE(remove(table_, nobody_, id));
        expected.erase(id);
      } else {
        ASSERT_TRUE(put(table_, nobody_, id, round * 100 + i));
        expected[id] = round * 100 + i;
      }
      if (random() % 8 == 0) {
        ASSERT_TRUE(flush(table_));
      }
      if (random() % 20 == 0) {
        ASSERT_TRUE(database_->compact(table_, std::nullopt, CompactKind::kOptimize));
      }
    }
    if (round == 0) {
      ASSERT_TRUE(flush(table_));
    }
    const std::string own_scope = scope(table_, nobody_);
    if (round % 2 == 1) {
      bool any = false;
      for (const auto& segment : manifest(table_, nobody_).segments) {
        const std::string key = segment_record_key(own_scope, segment.id);
        const auto record = *database_->hot().get_record(hot::RecordSpace::kDeletions, key, nullptr);
        if (!any && record) damage(hot::RecordSpace::kDeletions, key);
        any = any || record;
      }
    } else {
      damage(hot::RecordSpace::kManifest, own_scope);
    }
    database_.reset();
    if (round % 3 == 2) std::filesystem::remove(file("books/manifest.json"));
    reopen(table_, nobody_);
    ASSERT_EQ(*rows(table_, nobody_), expected) << "round " << round;
    check_change_index(table_, nobody_);
  }
}

TEST_F(ManifestRebuildTest, WhatUsersShareIsRebuiltForEachOfThem) {
  const UserId bob("bob");
  std::map<std::string, Rows> expected;
  for (const UserId& user : {ann_, bob}) expected[user.value] = fill_and_change(common_, user);
  const auto check = [&](const std::string& what) {
    reopen(common_, ann_);
    for (const UserId& user : {ann_, bob, UserId("cat")}) {
      const auto found = rows(common_, user);
      ASSERT_TRUE(found) << found.error().message;
      EXPECT_EQ(*found, expected[user.value]) << user.value << " after " << what;
    }
  };
  check("nothing");
  const std::string key = scope(common_, ann_);
  const auto segments = manifest(common_, ann_).segments;
  ASSERT_GE(segments.size(), 2u);
  damage(hot::RecordSpace::kUsers, segment_record_key(key, segments[0].id));
  check("a damaged record of users");
  damage(hot::RecordSpace::kManifest, key);
  check("a damaged manifest");
  for (const auto& segment : segments) put_record(hot::RecordSpace::kUsers, segment_record_key(key, segment.id), {});
  put_record(hot::RecordSpace::kManifest, key, std::nullopt);
  check("a lost manifest");
  damage(hot::RecordSpace::kManifest, key);
  std::filesystem::remove(file("common/shard-0/manifest.json"));
  check("a damaged manifest without manifest.json");
  ASSERT_TRUE(put(common_, bob, 1000, 7));
  expected["bob"][1000] = 7;
  ASSERT_TRUE(flush(common_));
  check("a flush");
}

}  // namespace
}  // namespace kalamdb::storage
