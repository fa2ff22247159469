// For tests: a database in a directory of its own, tables in it, and everything that they hold as text.
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "hot/keys.h"
#include "model/key_codec.h"
#include "model/row_codec.h"
#include "platform/fault_file_system.h"
#include "storage/storage.h"
#include "storage/test_engine.h"

namespace kalamdb::storage {

inline constexpr int64_t kTestStartUs = 1'780'000'000'000'000;

// A table with `id` BIGINT PRIMARY KEY and `v` BIGINT.
inline model::TablePtr test_table(uint32_t id, model::TableType type, const std::string& name,
                                  uint64_t ttl_seconds = 0) {
  auto table = std::make_shared<model::TableDefinition>();
  table->id = TableId(id);
  table->namespace_id = "app";
  table->name = name;
  table->type = type;
  table->options.ttl_seconds = ttl_seconds;
  model::ColumnDefinition key{.name = "id", .ordinal = 1, .type = {model::TypeTag::kBigInt}, .nullable = false};
  key.primary_key_position = 1;
  table->columns = {key, {.name = "v", .ordinal = 2, .type = {model::TypeTag::kBigInt}}};
  return table;
}

// The same, whose users share segments, in two shards.
inline model::TablePtr sharing_table() {
  auto table = std::make_shared<model::TableDefinition>(*test_table(4, model::TableType::kUser, "steps"));
  table->options.shares_segments = true;
  table->options.user_shards = 2;
  return table;
}

inline std::string test_key(int64_t id) {
  std::string key;
  model::append_key(key, id, {model::TypeTag::kBigInt});
  return key;
}

inline std::string test_row(const model::TablePtr& table, int64_t id, int64_t v) {
  model::Row row(table->columns.size());
  row[0] = id;
  row[1] = v;
  return model::encode_row(*table, row);
}

inline int64_t test_value(std::string_view row) {
  return std::get<int64_t>(*model::RowView::open(row)->get(2, {model::TypeTag::kBigInt}));
}

class DatabaseTest : public testing::Test {
 protected:
  using Rows = std::map<int64_t, int64_t>;  // id → v

  void SetUp() override {
    directory_ = testing::TempDir() + "/storage_test." + std::to_string(getpid()) + "." +
                 testing::UnitTest::GetInstance()->current_test_info()->name();
    std::filesystem::remove_all(directory_);
    open();
    create_tables();
  }
  // Those that every test has; none where the catalog makes them, which counts from 1 too.
  virtual void create_tables() {
    create(shared_);
    create(user_table_);
    create(stream_);
  }
  void TearDown() override {
    database_.reset();
    std::filesystem::remove_all(directory_);
  }

  Result<> try_open() {
    database_.reset();
    StorageOptions options;
    options.data_directory = directory_;
    options.durability = durability_;
    options.max_segment_rows = max_segment_rows_;
    options.hot = {.block_cache_bytes = 1 << 20, .write_buffer_bytes = 256 << 10};
    options.storages.allow_private_endpoints = true;
    KALAM_TRY(database_, Storage::open(options, files_, clock_, random_, engine()));
    return {};
  }
  void open() {
    const auto opened = try_open();
    ASSERT_TRUE(opened) << opened.error().message;
  }
  virtual duck::Engine& engine() { return engine_; }

  void create(const model::TablePtr& table) {
    CommitRequest request;
    request.records.push_back(
        {hot::RecordSpace::kTable, table->qualified_name(), model::encode(*table, {}), std::nullopt});
    request.table_changes.push_back({table->id, table->schema_version});
    const auto done = database_->committer().commit(std::move(request));
    ASSERT_TRUE(done) << done.error().message;
  }

  static RowWrite insert(const model::TablePtr& table, const UserId& user, int64_t id, int64_t v) {
    return {
        .table = table, .user = user, .key = test_key(id), .kind = WriteKind::kInsert, .row = test_row(table, id, v)};
  }
  static RowWrite update(const model::TablePtr& table, const UserId& user, int64_t id, int64_t v,
                         const FoundRow& found) {
    return {.table = table,
            .user = user,
            .key = test_key(id),
            .kind = WriteKind::kUpdate,
            .row = test_row(table, id, v),
            .read_seq = found.seq,
            .cold = found.cold,
            .old_row = found.row};
  }
  static RowWrite erase(const model::TablePtr& table, const UserId& user, int64_t id, const FoundRow& found) {
    RowWrite write = update(table, user, id, 0, found);
    write.kind = WriteKind::kDelete;
    write.row.clear();
    return write;
  }
  Result<ChangeSetPtr> commit(RowWrite write) {
    CommitRequest request;
    request.rows.push_back(std::move(write));
    return database_->committer().commit(std::move(request));
  }

  // What a statement does: reads, then writes what it read. Errors are the commit's.
  Result<ChangeSetPtr> put(const model::TablePtr& table, const UserId& user, int64_t id, int64_t v) {
    KALAM_TRY(const auto found, database_->find(table, user, test_key(id), nullptr));
    if (found) return commit(update(table, user, id, v, *found));
    CommitRequest request;
    request.rows.push_back(insert(table, user, id, v));
    const std::string key = test_key(id);
    KALAM_TRY(const auto cold, database_->cold_keys(table, user, std::span(&key, 1), nullptr));
    if (!cold.taken.empty()) return fail(ErrorCode::kConflict, "the row has come meanwhile");
    request.segments_read.push_back({table, user, cold.segments_version});
    return database_->committer().commit(std::move(request));
  }
  Result<ChangeSetPtr> remove(const model::TablePtr& table, const UserId& user, int64_t id) {
    KALAM_TRY(const auto found, database_->find(table, user, test_key(id), nullptr));
    if (!found) return nullptr;
    return commit(erase(table, user, id, *found));
  }

  // All rows of a scan; fails the test if one comes twice, or if there are not as many hot ones as is known.
  Result<Rows> scan(const model::TablePtr& table, const UserId& user, const hot::SnapshotPtr& snapshot = nullptr) {
    Rows rows;
    KALAM_TRY(const auto scan, database_->scan(table, user, snapshot));
    const auto known = scan->known_hot_rows();
    const auto hot = scan->hot({}, false);
    const auto add = [&](std::string_view key, std::string_view row) {
      const auto id = std::get<int64_t>(*model::read_key(key, {model::TypeTag::kBigInt}));
      EXPECT_TRUE(rows.emplace(id, test_value(row)).second) << "row " << id << " comes twice";
    };
    while (true) {
      KALAM_TRY(const auto record, hot->next());
      if (!record) break;
      add(record->key, record->row);
    }
    EXPECT_EQ(known.value_or(rows.size()), rows.size());
    scan->learn_hot_rows(rows.size());
    for (const duck::Segment& segment : scan->segments()) {
      KALAM_TRY(const auto stored, read_test_segment(segment.path));
      EXPECT_EQ(stored.size(), segment.row_count);
      for (uint32_t position = segment.visible.begin; position < segment.visible.end; ++position) {
        if (segment.deleted && segment.deleted->contains(position)) continue;
        add(stored[position].key, stored[position].row);
      }
    }
    return rows;
  }

  Result<FlushResult> flush(const model::TablePtr& table) { return database_->flush(table); }

  void fill(const model::TablePtr& table, const UserId& user, int64_t first, int64_t last) {
    CommitRequest request;
    for (int64_t id = first; id <= last; ++id) request.rows.push_back(insert(table, user, id, id * 10));
    const auto done = database_->committer().commit(std::move(request));
    ASSERT_TRUE(done) << done.error().message;
  }
  Rows filled(int64_t first, int64_t last) {
    Rows rows;
    for (int64_t id = first; id <= last; ++id) rows[id] = id * 10;
    return rows;
  }
  // Every hot row has exactly one entry in the change index, and every entry a row.
  void check_change_index(const model::TablePtr& table, const UserId& user) {
    const auto count = [](std::unique_ptr<model::RowCursor> cursor) {
      size_t rows = 0;
      while (true) {
        const auto record = cursor->next();
        if (!record) {
          ADD_FAILURE() << record.error().message;
          return rows;
        }
        if (!*record) return rows;
        ++rows;
      }
    };
    ASSERT_EQ(count(database_->hot().scan_changes(table->id, user, 0, nullptr)),
              count(database_->hot().scan(table->id, user, "", "", true, nullptr)));
  }
  // Commits are answered before they are published: by the time the next one is answered, they are.
  void wait_until_published() {
    CommitRequest request;
    request.records.push_back({hot::RecordSpace::kSetting, "next", "1", std::nullopt});
    ASSERT_TRUE(database_->committer().commit(std::move(request)));
  }
  std::vector<std::string> stored_files() {
    while (true) {  // what is removed while it is listed makes it fail
      if (auto files = real_files_.list_recursive(storage_directory())) return *std::move(files);
    }
  }
  // Everything that is on the disk at this moment, as a crash leaves it.
  void copy_directory(const std::string& to) {
    std::error_code vanished;  // RocksDB removes files that it needs no more in the background
    do {
      std::filesystem::remove_all(to);
      std::filesystem::copy(directory_, to, std::filesystem::copy_options::recursive, vanished);
    } while (vanished);
  }
  // Of what happens on another thread.
  static void wait_until(const std::function<bool()>& condition) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (!condition()) {
      ASSERT_LT(std::chrono::steady_clock::now(), end) << "it did not happen";
      std::this_thread::yield();
    }
  }

  std::string storage_directory() const { return directory_ + "/storage"; }

  const model::TablePtr shared_ = test_table(1, model::TableType::kShared, "notes");
  const model::TablePtr user_table_ = test_table(2, model::TableType::kUser, "messages");
  const model::TablePtr sharing_ = sharing_table();  // create() makes it
  const model::TablePtr stream_ = test_table(3, model::TableType::kStream, "events", 10);
  const UserId nobody_;
  const UserId ann_{"ann"};

  std::string directory_;
  Durability durability_ = Durability::kOs;
  uint64_t max_segment_rows_ = 200'000;
  platform::RealFileSystem real_files_;
  platform::FaultFileSystem files_{real_files_};
  platform::ManualClock clock_{kTestStartUs};
  platform::SystemRandom random_;
  TestEngine engine_;
  std::unique_ptr<Storage> database_;
};

}  // namespace kalamdb::storage
