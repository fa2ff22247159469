#include "hot/store.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <map>
#include <random>
#include <set>

#include "base/eventually.h"
#include "hot/keys.h"
#include "hot/rocks.h"

namespace kalamdb::hot {
namespace {

const TableId kTable(7);
const UserId kAnn("ann");
const UserId kBob("bob");

class StoreTest : public testing::Test {
 protected:
  void SetUp() override {
    directory_ = testing::TempDir() + "/store_test." + std::to_string(getpid()) + "." +
                 testing::UnitTest::GetInstance()->current_test_info()->name();
    std::filesystem::remove_all(directory_);
    reopen();
  }
  void TearDown() override {
    store_.reset();
    std::filesystem::remove_all(directory_);
  }

  void reopen() {
    store_.reset();
    auto opened = open_store(directory_, options_, env_);
    ASSERT_TRUE(opened) << opened.error().message;
    store_ = *std::move(opened);
  }

  void put(const UserId& user, std::string_view key, Seq seq, std::string_view row, Seq replaced = 0,
           bool deleted = false) {
    auto batch = store_->new_batch();
    batch->put_row(kTable, user, key, seq, deleted, row, replaced);
    auto written = store_->write(*batch, seq, Sync::kNo);
    ASSERT_TRUE(written) << written.error().message;
  }

  // "key=row@seq" for each, "!" before tombstones.
  static std::string drain(std::unique_ptr<model::RowCursor> cursor) {
    std::string out;
    while (true) {
      auto record = cursor->next();
      if (!record) return out + "error: " + record.error().message;
      if (!*record) return out;
      if (!out.empty()) out += " ";
      if ((*record)->deleted) out += "!";
      out.append((*record)->key).append("=").append((*record)->row).append("@");
      out += std::to_string((*record)->seq);
    }
  }

  std::string directory_;
  StoreOptions options_{.block_cache_bytes = 1 << 20, .write_buffer_bytes = 64 << 10};
  rocksdb::Env* env_ = rocksdb::Env::Default();
  std::unique_ptr<Store> store_;
};

// The estimate counts what a scan would step over.
TEST_F(StoreTest, ManyErasedRowsDoNotStayInMemory) {
  options_.write_buffer_bytes = 64 << 20;
  reopen();
  constexpr int kRows = 30'000;
  auto batch = store_->new_batch();
  for (int i = 0; i < kRows; ++i) batch->put_row(kTable, kAnn, "k" + std::to_string(i), i + 1, false, "row", 0);
  batch->put_row(kTable, kAnn, "z", kRows + 1, false, "stays", 0);
  ASSERT_TRUE(store_->write(*batch, kRows + 1, Sync::kNo));
  auto erasing = store_->new_batch();
  erasing->erase_rows(kTable, kAnn, "k", "l");
  erasing->erase_changes(kTable, kAnn, 1, kRows);
  ASSERT_TRUE(store_->write(*erasing, kRows + 2, Sync::kNo));

  store_->note_erased(19'999);
  EXPECT_GT(store_->estimate_rows(kTable, &kAnn), kRows / 2) << "they are too few";
  store_->note_erased(1);
  EXPECT_TRUE(eventually([&] { return store_->estimate_rows(kTable, &kAnn) < kRows / 10; }));
  EXPECT_EQ(drain(store_->scan(kTable, kAnn, "", "", true, nullptr)), "z=stays@30001");
  EXPECT_EQ(drain(store_->scan_changes(kTable, kAnn, 0, nullptr)), "z=stays@30001");
  EXPECT_EQ(store_->users(kTable, nullptr).value(), std::vector<UserId>{kAnn});
}

TEST_F(StoreTest, RowsComeInKeyOrderOfTheirScopeOnly) {
  put(kAnn, "b", 1, "1");
  put(kAnn, "a", 2, "2");
  put(kBob, "a", 3, "3");
  put(kAnn, "c", 4, "4", 0, true);
  EXPECT_EQ(drain(store_->scan(kTable, kAnn, "", "", false, nullptr)), "a=2@2 b=1@1");
  EXPECT_EQ(drain(store_->scan(kTable, kAnn, "", "", true, nullptr)), "a=2@2 b=1@1 !c=4@4");
  EXPECT_EQ(drain(store_->scan(kTable, kAnn, "b", "", true, nullptr)), "b=1@1 !c=4@4");
  EXPECT_EQ(drain(store_->scan(kTable, kAnn, "", "b", true, nullptr)), "a=2@2");
  EXPECT_EQ(drain(store_->scan(kTable, UserId("an"), "", "", true, nullptr)), "");
  EXPECT_EQ(*store_->users(kTable, nullptr), (std::vector{kAnn, kBob}));
  EXPECT_EQ(*store_->users(TableId(8), nullptr), std::vector<UserId>{});
}

TEST_F(StoreTest, ChangeIndexHasTheNewestVersionOfEachRow) {
  put(kAnn, "a", 1, "1");
  put(kAnn, "b", 2, "2");
  put(kAnn, "a", 3, "3", 1);
  put(kAnn, "b", 4, "2", 2, true);
  EXPECT_EQ(drain(store_->scan_changes(kTable, kAnn, 0, nullptr)), "a=3@3 !b=2@4");
  EXPECT_EQ(drain(store_->scan_changes(kTable, kAnn, 3, nullptr)), "!b=2@4");
  EXPECT_EQ(drain(store_->scan_changes(kTable, kAnn, 4, nullptr)), "");
}

TEST_F(StoreTest, SnapshotAndItsSeqAgree) {
  EXPECT_EQ(store_->snapshot()->seq(), 0);
  put(kAnn, "a", 5, "old");
  const SnapshotPtr before = store_->snapshot();
  EXPECT_EQ(store_->snapshot(), before);  // nothing has changed: shared
  put(kAnn, "a", 9, "new", 5);
  EXPECT_EQ(before->seq(), 5);
  EXPECT_EQ(store_->snapshot()->seq(), 9);
  EXPECT_EQ(store_->last_seq(), 9);
  EXPECT_EQ((*store_->get(kTable, kAnn, "a", before))->row, "old");
  EXPECT_EQ((*store_->get(kTable, kAnn, "a", nullptr))->row, "new");
  EXPECT_EQ(drain(store_->scan(kTable, kAnn, "", "", false, before)), "a=old@5");
  EXPECT_EQ(drain(store_->scan_changes(kTable, kAnn, 0, before)), "a=old@5");
}

TEST_F(StoreTest, ErasingATableLeavesItsNeighbours) {
  put(kAnn, "a", 1, "1");
  auto batch = store_->new_batch();
  batch->put_row(TableId(6), kAnn, "x", 2, false, "6", 0);
  batch->put_row(TableId(8), kAnn, "x", 3, false, "8", 0);
  batch->erase_table(kTable);
  ASSERT_TRUE(store_->write(*batch, 3, Sync::kYes));
  EXPECT_EQ(drain(store_->scan(kTable, kAnn, "", "", true, nullptr)), "");
  EXPECT_EQ(drain(store_->scan_changes(kTable, kAnn, 0, nullptr)), "");
  EXPECT_EQ(drain(store_->scan(TableId(6), kAnn, "", "", true, nullptr)), "x=6@2");
  EXPECT_EQ(drain(store_->scan_changes(TableId(8), kAnn, 0, nullptr)), "x=8@3");
  EXPECT_FALSE(*store_->get(kTable, kAnn, "a", nullptr));
}

TEST_F(StoreTest, RecordsAreReadByPrefix) {
  auto batch = store_->new_batch();
  batch->put_record(RecordSpace::kJob, "b", "2");
  batch->put_record(RecordSpace::kJob, "a", "1");
  batch->put_record(RecordSpace::kJob, "bb", "3");
  batch->put_record(RecordSpace::kSetting, "b", "4");
  ASSERT_TRUE(store_->write(*batch, 1, Sync::kYes));
  std::string seen;
  const auto collect = [&](std::string_view key, std::string_view value) {
    seen.append(key).append("=").append(value).append(" ");
    return true;
  };
  ASSERT_TRUE(store_->scan_records(RecordSpace::kJob, "b", nullptr, collect));
  EXPECT_EQ(seen, "b=2 bb=3 ");
  EXPECT_EQ(*store_->get_record(RecordSpace::kSetting, "b", nullptr), "4");
  EXPECT_EQ(*store_->get_record(RecordSpace::kSetting, "a", nullptr), std::nullopt);
}

TEST_F(StoreTest, RollBackTakesBackToTheMarkOnly) {
  auto batch = store_->new_batch();
  batch->put_row(kTable, kAnn, "a", 1, false, "1", 0);
  batch->mark();
  batch->put_row(kTable, kAnn, "b", 2, false, "2", 0);
  batch->roll_back();
  batch->mark();
  batch->put_row(kTable, kAnn, "c", 3, false, "3", 0);
  batch->release();
  ASSERT_TRUE(store_->write(*batch, 3, Sync::kNo));
  EXPECT_EQ(drain(store_->scan_changes(kTable, kAnn, 0, nullptr)), "a=1@1 c=3@3");
}

TEST_F(StoreTest, ASecondOpenSaysThatItIsInUse) {
  const auto second = Store::open(directory_, options_);
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, ErrorCode::kIo);
  EXPECT_NE(second.error().message.find("in use by another process"), std::string::npos) << second.error().message;
}

TEST_F(StoreTest, EverythingIsThereAfterReopening) {
  put(kAnn, "a", 1, "1");
  put(kAnn, "b", 2, "2", 0, true);
  reopen();
  EXPECT_EQ(store_->last_seq(), 2);
  EXPECT_EQ(drain(store_->scan_changes(kTable, kAnn, 0, nullptr)), "a=1@1 !b=2@2");
}

// Random writes of every kind, with memtables so small that they are flushed and compacted all the time, compared with
// a map; snapshots keep what they saw.
TEST_F(StoreTest, AgreesWithAModelUnderRandomWrites) {
  const uint32_t seed = std::random_device()();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  struct Row {
    Seq seq;
    bool deleted;
    std::string row;
  };
  using Model = std::map<std::pair<std::string, std::string>, Row>;  // by user and key
  Model rows;
  const auto show = [](const Model& model, const std::string& user, bool by_seq) {
    std::map<std::string, std::string> ordered;
    for (const auto& [key, row] : model) {
      if (key.first != user) continue;
      std::string order = by_seq ? std::to_string(1'000'000'000 + row.seq) : key.second;
      ordered[order] = (row.deleted ? "!" : "") + key.second + "=" + row.row + "@" + std::to_string(row.seq);
    }
    std::string out;
    for (const auto& [order, text] : ordered) out += (out.empty() ? "" : " ") + text;
    return out;
  };
  const std::vector<std::string> users = {"a", "b", std::string("a\0", 2)};
  std::vector<std::pair<SnapshotPtr, Model>> snapshots;
  Seq seq = 0;
  for (int step = 0; step < 400; ++step) {
    auto batch = store_->new_batch();
    for (int i = 0; i < 20; ++i) {
      const std::string& user = users[random() % users.size()];
      const std::string key = std::to_string(random() % 200);
      const auto known = rows.find({user, key});
      const Seq replaced = known == rows.end() ? 0 : known->second.seq;
      ++seq;
      if (random() % 8 == 0 && replaced != 0) {
        batch->erase_row(kTable, UserId(user), key, replaced);
        rows.erase(known);
      } else {
        Row row{seq, random() % 4 == 0, std::string(random() % 200, static_cast<char>('a' + random() % 26))};
        batch->put_row(kTable, UserId(user), key, seq, row.deleted, row.row, replaced);
        rows[{user, key}] = row;
      }
    }
    if (random() % 10 == 0) {
      // A range of keys goes, and with it the entries of these rows, in runs as a flush finds them.
      const std::string& user = users[random() % users.size()];
      std::string begin = std::to_string(random() % 200);
      std::string end = std::to_string(random() % 200);
      if (end < begin) std::swap(begin, end);
      if (begin == end) end = successor(end);
      batch->erase_rows(kTable, UserId(user), begin, end);
      std::erase_if(rows, [&](const auto& entry) {
        const bool gone = entry.first.first == user && entry.first.second >= begin && entry.first.second < end;
        if (gone) batch->erase_changes(kTable, UserId(user), entry.second.seq, entry.second.seq);
        return gone;
      });
    }
    if (random() % 50 == 0) {
      const std::string& user = users[random() % users.size()];
      batch->erase_rows(kTable, UserId(user), "", "\xFF");
      batch->erase_changes(kTable, UserId(user), 1, seq);
      std::erase_if(rows, [&](const auto& entry) { return entry.first.first == user; });
    }
    ASSERT_TRUE(store_->write(*batch, ++seq, Sync::kNo));
    if (random() % 20 == 0) snapshots.emplace_back(store_->snapshot(), rows);
    if (snapshots.size() > 5) snapshots.erase(snapshots.begin());
    if (random() % 100 == 0) {
      snapshots.clear();
      reopen();
    }
    if (step % 10 != 0) continue;
    snapshots.emplace_back(nullptr, rows);
    for (const auto& [snapshot, model] : snapshots) {
      std::set<std::string> with_rows;
      for (const auto& entry : model) with_rows.insert(entry.first.first);
      std::vector<UserId> expected_users;
      for (const auto& user : with_rows) expected_users.emplace_back(user);
      ASSERT_EQ(*store_->users(kTable, snapshot), expected_users);
      for (const auto& user : users) {
        ASSERT_EQ(drain(store_->scan(kTable, UserId(user), "", "", true, snapshot)), show(model, user, false));
        ASSERT_EQ(drain(store_->scan_changes(kTable, UserId(user), 0, snapshot)), show(model, user, true));
      }
      const std::string key = std::to_string(random() % 200);
      const auto found = store_->get(kTable, UserId("a"), key, snapshot);
      const auto known = model.find({"a", key});
      ASSERT_EQ(found->has_value(), known != model.end());
      if (*found) {
        ASSERT_EQ((*found)->row, known->second.row);
      }
    }
    snapshots.pop_back();
  }
}

TEST_F(StoreTest, ADamagedLogIsAnErrorAndATornEndIsNot) {
  for (int i = 1; i <= 50; ++i) put(kAnn, std::to_string(100 + i), i, std::string(100, 'r'));
  // A copy taken while it runs is what a crash leaves.
  const std::string copy = directory_ + ".copy";
  const auto crash = [&] {
    std::error_code vanished;  // RocksDB removes files that it needs no more in the background
    do {
      std::filesystem::remove_all(copy);
      std::filesystem::copy(directory_, copy, std::filesystem::copy_options::recursive, vanished);
    } while (vanished);
    std::filesystem::remove(copy + "/LOCK");
    for (const auto& entry : std::filesystem::directory_iterator(copy)) {
      if (entry.path().extension() == ".log" && entry.file_size() > 0) return entry.path();
    }
    return std::filesystem::path();
  };
  const auto log = crash();
  ASSERT_FALSE(log.empty());
  std::filesystem::resize_file(log, std::filesystem::file_size(log) - 20);
  {
    auto torn = Store::open(copy, options_);
    ASSERT_TRUE(torn) << torn.error().message;
    EXPECT_EQ((*torn)->last_seq(), 49);
  }
  const auto whole = crash();
  FILE* file = std::fopen(whole.c_str(), "r+b");
  std::fseek(file, static_cast<long>(std::filesystem::file_size(whole) / 2), SEEK_SET);
  std::fputc('!', file);
  std::fputc('?', file);
  std::fclose(file);
  const auto damaged = Store::open(copy, options_);
  ASSERT_FALSE(damaged);
  EXPECT_EQ(damaged.error().code, ErrorCode::kCorruption) << damaged.error().message;
  std::filesystem::remove_all(copy);
}

}  // namespace
}  // namespace kalamdb::hot
