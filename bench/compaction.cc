// A table of 1,000,000 rows in 20 segments of which 30% were updated and flushed again, beside the same table once it
// is compacted: prints how fast flush and compaction are, and of each query both medians and their ratio.
//
//   compaction [ROUNDS]
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <functional>

#include "duck/engine_test_tables.h"
#include "platform/random.h"
#include "storage/storage.h"

namespace {

using namespace kalamdb;

constexpr int64_t kSegments = 20;
constexpr int64_t kRowsPerSegment = 50'000;
constexpr int64_t kRows = kSegments * kRowsPerSegment;

[[noreturn]] void die(const std::string& message) {
  std::fprintf(stderr, "compaction: %s\n", message.c_str());
  std::exit(1);
}

template <typename T>
T check(Result<T> result) {
  if (!result) die(result.error().message);
  if constexpr (!std::is_void_v<T>) return *std::move(result);
}

double milliseconds(const std::function<void()>& work) {
  const auto start = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count();
}

double median(std::vector<double> values) {
  std::nth_element(values.begin(), values.begin() + values.size() / 2, values.end());
  return values[values.size() / 2];
}

model::TablePtr messages() {
  const duck::TestTable shape(
      "app", "messages",
      {{"id", "BIGINT", 1}, {"author", "INT"}, {"body", "TEXT"}, {"score", "DOUBLE"}, {"created", "TIMESTAMP"}});
  auto table = std::make_shared<model::TableDefinition>(*shape.definition());
  table->id = TableId(1);
  return table;
}

model::Row message(int64_t id, int64_t version) {
  const uint64_t hash = static_cast<uint64_t>(id + version * kRows) * 0x9E3779B97F4A7C15;
  return {id,
          int64_t{static_cast<int32_t>(hash >> 54)},
          "message number " + std::to_string(hash % 100'000),
          static_cast<double>(hash % 1'000'003),
          int64_t{1'700'000'000'000'000 + id * 1000},
          Seq{0},
          false};
}

class OneTable : public duck::SourceResolver {
 public:
  OneTable(storage::Storage& storage, model::TablePtr table) : storage_(storage), table_(std::move(table)) {}
  Result<duck::TableSource> open(const duck::TableName&) override {
    duck::TableSource source;
    KALAM_TRY(source.scan, storage_.scan(table_, UserId(), nullptr));
    return source;
  }

 private:
  storage::Storage& storage_;
  model::TablePtr table_;
};

class Bench {
 public:
  Bench(duck::Engine& engine, storage::Storage& storage) : engine_(engine), storage_(storage), table_(messages()) {
    storage::CommitRequest create;
    create.table_changes.push_back({table_->id, table_->schema_version});
    check(storage_.committer().commit(std::move(create)));
  }

  // Rows of all ids from `first` on, in steps of `step`.
  void write(int64_t first, int64_t step, int64_t end, int64_t version) {
    constexpr int64_t kBatch = 5000;
    for (int64_t id = first; id < end;) {
      storage::CommitRequest request;
      std::vector<std::string> keys;
      std::vector<model::Row> rows;
      for (; id < end && static_cast<int64_t>(rows.size()) < kBatch; id += step) {
        rows.push_back(message(id, version));
        keys.push_back(model::encode_key(*table_, rows.back()));
      }
      const auto snapshot = storage_.hot().snapshot();
      const auto found = check(storage_.find_all(table_, UserId(), keys, snapshot));
      for (size_t i = 0; i < rows.size(); ++i) {
        storage::RowWrite write{.table = table_, .key = keys[i], .row = model::encode_row(*table_, rows[i])};
        if (found[i]) {
          write.kind = storage::WriteKind::kUpdate;
          write.read_seq = found[i]->seq;
          write.cold = found[i]->cold;
          write.old_row = found[i]->row;
        }
        request.rows.push_back(std::move(write));
      }
      check(storage_.committer().commit(std::move(request)));
    }
  }
  void flush() { check(storage_.flush(table_)); }
  storage::CompactResult compact() {
    return check(storage_.compact(table_, std::nullopt, storage::CompactKind::kOptimize));
  }
  storage::TableStats stats() { return check(storage_.stats(table_)); }

  double run(const std::string& sql) {
    const auto statement = check(duck::Statement::parse(sql));
    OneTable tables(storage_, table_);
    return milliseconds([&] {
      auto result = check(engine_.query(*statement, tables, {}));
      while (check(result->next()) != nullptr) {
      }
    });
  }

 private:
  duck::Engine& engine_;
  storage::Storage& storage_;
  model::TablePtr table_;
};

const std::vector<std::pair<const char*, std::string>> kQueries = {
    {"COUNT", "SELECT count(*) FROM app.messages"},
    {"COUNT of a filter", "SELECT count(*) FROM app.messages WHERE score < 500000"},
    {"GROUP BY", "SELECT author, count(*), avg(score) FROM app.messages GROUP BY author"},
    {"filter giving 4,000 rows", "SELECT id, body FROM app.messages WHERE score < 4000"},
    {"top 10 of all columns", "SELECT * FROM app.messages ORDER BY score DESC LIMIT 10"},
    {"key range of 1,000", "SELECT count(*), sum(score) FROM app.messages WHERE id BETWEEN 500000 AND 500999"},
    {"one row by key", "SELECT * FROM app.messages WHERE id = 765432"},
    {"a second of a timestamp",
     "SELECT count(*), sum(score) FROM app.messages WHERE created BETWEEN '2023-11-14 22:21:40' AND '2023-11-14 "
     "22:21:41'"},
};

std::vector<double> medians(Bench& bench, int rounds) {
  std::vector<double> result;
  for (const auto& [name, sql] : kQueries) {
    std::vector<double> times;
    for (int round = -2; round < rounds; ++round) {  // two rounds to warm up
      const double time = bench.run(sql);
      if (round >= 0) times.push_back(time);
    }
    result.push_back(median(times));
  }
  return result;
}

}  // namespace

int main(int argc, char** argv) {
  const int rounds = argc > 1 ? std::atoi(argv[1]) : 15;
  duck::TemporaryFolder folder;
  const auto engine = check(duck::Engine::create({.temp_directory = folder.path() + "/tmp"}));
  platform::RealFileSystem files;
  platform::SystemClock clock;
  platform::SystemRandom random;
  storage::StorageOptions options;
  options.data_directory = folder.path();
  options.durability = storage::Durability::kOs;
  const auto storage = check(storage::Storage::open(options, files, clock, random, *engine));
  Bench bench(*engine, *storage);
  double flushed = 0;
  for (int64_t s = 0; s < kSegments; ++s) {
    bench.write(s * kRowsPerSegment, 1, (s + 1) * kRowsPerSegment, 0);
    flushed += milliseconds([&] { bench.flush(); });
  }
  std::printf("flush: %.0f rows/s\n", kRows / flushed * 1000);
  for (const int64_t first : {0, 3, 7}) bench.write(first, 10, kRows, 1);  // 30%
  bench.flush();
  const auto before = bench.stats();
  const auto updated = medians(bench, rounds);
  storage::CompactResult compacted;
  const double time = milliseconds([&] { compacted = bench.compact(); });
  const auto after = bench.stats();
  std::printf("compaction: %.0f rows/s, %llu segments of %.1f MB before, %llu of %.1f MB after\n", kRows / time * 1000,
              static_cast<unsigned long long>(before.segments), static_cast<double>(before.segment_bytes) / 1e6,
              static_cast<unsigned long long>(after.segments), static_cast<double>(after.segment_bytes) / 1e6);
  const auto fresh = medians(bench, rounds);
  std::printf("%-26s %12s %14s %7s\n", "query", "updated, ms", "compacted, ms", "ratio");
  for (size_t i = 0; i < kQueries.size(); ++i) {
    std::printf("%-26s %12.3f %14.3f %7.2f\n", kQueries[i].first, updated[i], fresh[i], updated[i] / fresh[i]);
  }
}
