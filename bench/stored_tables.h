// For programs that measure the SQL engine over what storage holds: tables in a temporary folder, and the table of
// messages that they ask.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "duck/engine_test_tables.h"
#include "platform/random.h"
#include "storage/storage.h"

namespace kalamdb::bench {

[[noreturn]] inline void die(const std::string& message) {
  std::fprintf(stderr, "%s\n", message.c_str());
  std::exit(1);
}

template <typename T>
T check(Result<T> result) {
  if (!result) die(result.error().message);
  if constexpr (!std::is_void_v<T>) return *std::move(result);
}

inline double milliseconds(const std::function<void()>& work) {
  const auto start = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count();
}

inline double median(std::vector<double> values) {
  std::nth_element(values.begin(), values.begin() + values.size() / 2, values.end());
  return values[values.size() / 2];
}

// How long `engine` takes for all rows of a statement.
inline double query(duck::Engine& engine, duck::SourceResolver& tables, const std::string& sql) {
  const auto statement = check(duck::Statement::parse(sql));
  return milliseconds([&] {
    auto result = check(engine.query(*statement, tables, {}));
    while (check(result->next()) != nullptr) {
    }
  });
}

inline const std::vector<duck::TestColumn> kMessageColumns = {
    {"id", "BIGINT", 1}, {"author", "INT"}, {"body", "TEXT"}, {"score", "DOUBLE"}, {"created", "TIMESTAMP"}};

inline model::Row message(int64_t id, int64_t version = 0) {
  const uint64_t hash = static_cast<uint64_t>(id + version * 1'000'000) * 0x9E3779B97F4A7C15;
  return {id,
          int64_t{static_cast<int32_t>(hash >> 54)},
          "message number " + std::to_string(hash % 100'000),
          static_cast<double>(hash % 1'000'003),
          int64_t{1'700'000'000'000'000 + id * 1000},
          Seq{id + 1},
          false};
}

// SHARED tables of the namespace `app`, as the server has them.
class StoredTables : public duck::SourceResolver {
 public:
  StoredTables() {
    storage::StorageOptions options;
    options.data_directory = folder_.path();
    options.durability = storage::Durability::kOs;
    storage_ = check(storage::Storage::open(options, files_, clock_, random_, *engine_));
  }

  duck::Engine& engine() { return *engine_; }
  storage::Storage& storage() { return *storage_; }
  const std::string& folder() const { return folder_.path(); }

  model::TablePtr create(const std::string& name, const std::vector<duck::TestColumn>& columns) {
    auto table = std::make_shared<model::TableDefinition>(*duck::TestTable("app", name, columns).definition());
    table->id = TableId(static_cast<uint32_t>(tables_.size() + 1));
    storage::CommitRequest request;
    request.table_changes.push_back({table->id, table->schema_version});
    check(storage_->committer().commit(std::move(request)));
    return tables_[name] = table;
  }
  // The rows of all ids from `first` on, in steps of `step`; those that are there already are updated.
  void write(const model::TablePtr& table, int64_t first, int64_t step, int64_t end,
             const std::function<model::Row(int64_t id)>& row) {
    constexpr int64_t kBatch = 5000;
    for (int64_t id = first; id < end;) {
      storage::CommitRequest request;
      std::vector<std::string> keys;
      std::vector<model::Row> rows;
      for (; id < end && static_cast<int64_t>(rows.size()) < kBatch; id += step) {
        rows.push_back(row(id));
        keys.push_back(model::encode_key(*table, rows.back()));
      }
      const auto found = check(storage_->find_all(table, UserId(), keys, storage_->hot().snapshot()));
      for (size_t i = 0; i < rows.size(); ++i) {
        storage::RowWrite write{.table = table, .key = keys[i], .row = model::encode_row(*table, rows[i])};
        if (found[i]) {
          write.kind = storage::WriteKind::kUpdate;
          write.read_seq = found[i]->seq;
          write.cold = found[i]->cold;
          write.old_row = found[i]->row;
        }
        request.rows.push_back(std::move(write));
      }
      check(storage_->committer().commit(std::move(request)));
    }
  }
  // Milliseconds.
  double flush(const model::TablePtr& table) {
    return milliseconds([&] { check(storage_->flush(table)); });
  }

  Result<duck::TableSource> open(const duck::TableName& name) override {
    duck::TableSource source;
    KALAM_TRY(source.scan, storage_->scan(tables_.at(name.name), UserId(), nullptr));
    return source;
  }

 private:
  duck::TemporaryFolder folder_;
  std::unique_ptr<duck::Engine> engine_ = check(duck::Engine::create({.temp_directory = folder_.path() + "/tmp"}));
  platform::RealFileSystem files_;
  platform::SystemClock clock_;
  platform::SystemRandom random_;
  std::unique_ptr<storage::Storage> storage_;
  std::map<std::string, model::TablePtr> tables_;
};

}  // namespace kalamdb::bench
