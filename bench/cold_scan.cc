// The SQL engine over hot rows and segments beside DuckDB's read_parquet over the same files without updates, in one
// process: prints a line for each query with both medians and their ratio.
//
//   cold_scan [ROUNDS]
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <duckdb.hpp>
#include <functional>

#include "duck/engine_test_tables.h"

namespace {

using namespace kalamdb;

constexpr int64_t kSegments = 20;
constexpr int64_t kRowsPerSegment = 50'000;
constexpr int64_t kUpdatedEvery = 100;

model::Row message(int64_t id, Seq seq) {
  const uint64_t hash = static_cast<uint64_t>(id) * 0x9E3779B97F4A7C15;
  return {id,
          int64_t{static_cast<int32_t>(hash >> 54)},
          "message number " + std::to_string(hash % 100'000),
          static_cast<double>(hash % 1'000'003),
          int64_t{1'700'000'000'000'000 + id * 1000},
          seq,
          false};
}

[[noreturn]] void die(const std::string& message) {
  std::fprintf(stderr, "cold_scan: %s\n", message.c_str());
  std::exit(1);
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

void run_ours(duck::Engine& engine, duck::TestTables& tables, const std::string& sql) {
  const auto statement = duck::Statement::parse(sql);
  if (!statement) die(statement.error().message);
  auto result = engine.query(**statement, tables, {});
  if (!result) die(result.error().message);
  for (;;) {
    auto batch = (*result)->next();
    if (!batch) die(batch.error().message);
    if (!*batch) return;
  }
}

void run_bare(duckdb::Connection& connection, const std::string& sql) {
  auto result = connection.SendQuery(sql);
  if (result->HasError()) die(result->GetError());
  while (result->Fetch()) {
  }
}

}  // namespace

int main(int argc, char** argv) {
  const int rounds = argc > 1 ? std::atoi(argv[1]) : 15;
  duck::TemporaryFolder folder;
  auto engine = duck::Engine::create({});
  if (!engine) die(engine.error().message);
  duck::TestTables tables;
  auto& messages = tables.add(
      "app", "messages",
      {{"id", "BIGINT", 1}, {"author", "INT"}, {"body", "TEXT"}, {"score", "DOUBLE"}, {"created", "TIMESTAMP"}});
  for (int64_t segment = 0; segment < kSegments; ++segment) {
    std::vector<model::Row> rows;
    std::vector<uint32_t> updated;
    for (int64_t i = 0; i < kRowsPerSegment; ++i) {
      const int64_t id = segment * kRowsPerSegment + i;
      rows.push_back(message(id, 1 + id));
      if (id % kUpdatedEvery != 7) continue;
      updated.push_back(static_cast<uint32_t>(i));
      messages.put(message(id, 10'000'000 + id));
    }
    if (const auto error = messages.flush(**engine, folder.path(), rows); !error.empty()) die(error);
    messages.delete_positions(segment, updated);
  }
  auto& hot = tables.add("app", "hot", {{"id", "BIGINT", 1}, {"body", "TEXT"}});
  for (int64_t id = 0; id < 10'000; ++id) hot.put({id, "body " + std::to_string(id), Seq{id + 1}, false});

  duckdb::DuckDB database(nullptr);
  duckdb::Connection connection(database);
  connection.Query("SET GLOBAL parquet_metadata_cache = true");
  const std::string files = "read_parquet('" + folder.path() + "/*.parquet')";

  struct Query {
    const char* name;
    std::string before, after;  // the table's name goes between
  };
  const Query queries[] = {
      {"COUNT", "SELECT count(*) FROM ", ""},
      {"COUNT of a filter", "SELECT count(*) FROM ", " WHERE score < 500000"},
      {"GROUP BY", "SELECT author, count(*), avg(score) FROM ", " GROUP BY author"},
      {"filter giving 4,000 rows", "SELECT id, body FROM ", " WHERE score < 4000"},
      {"all rows, two columns", "SELECT id, score FROM ", ""},
      {"top 10 of all columns", "SELECT * FROM ", " ORDER BY score DESC LIMIT 10"},
      {"top 10, two columns", "SELECT id, score FROM ", " ORDER BY score DESC LIMIT 10"},
      {"one row by key", "SELECT * FROM ", " WHERE id = 765432"},
      {"key range of 1,000", "SELECT count(*), sum(score) FROM ", " WHERE id BETWEEN 500000 AND 500999"},
      {"DISTINCT text", "SELECT count(DISTINCT body) FROM ", ""},
  };
  std::printf("%-26s %10s %14s %7s\n", "query", "ours, ms", "read_parquet", "ratio");
  for (const auto& query : queries) {
    std::vector<double> ours, bare;
    for (int round = -2; round < rounds; ++round) {  // two rounds to warm up
      const double a = milliseconds([&] { run_ours(**engine, tables, query.before + "app.messages" + query.after); });
      const double b = milliseconds([&] { run_bare(connection, query.before + files + query.after); });
      if (round < 0) continue;
      ours.push_back(a);
      bare.push_back(b);
    }
    std::printf("%-26s %10.3f %14.3f %7.2f\n", query.name, median(ours), median(bare), median(ours) / median(bare));
  }
  // What the manifest knows of columns, beside the same without: one of 400 small segments, by a column that grows with
  // time, for a server that has opened no file yet and for one that has.
  auto& events = tables.add(
      "app", "events",
      {{"id", "BIGINT", 1}, {"author", "INT"}, {"body", "TEXT"}, {"score", "DOUBLE"}, {"created", "TIMESTAMP"}});
  duck::TemporaryFolder events_folder;
  for (int64_t segment = 0; segment < 400; ++segment) {
    std::vector<model::Row> rows;
    for (int64_t i = 0; i < 500; ++i) rows.push_back(message(segment * 500 + i, 1 + segment * 500 + i));
    if (const auto error = events.flush(**engine, events_folder.path(), rows); !error.empty()) die(error);
  }
  const std::string recent =
      "SELECT count(*), sum(score) FROM app.events WHERE created BETWEEN "
      "'2023-11-14 22:15:00.1' AND '2023-11-14 22:15:00.4'";
  const auto measure = [&](bool first) {
    std::vector<double> times;
    for (int round = -2; round < rounds; ++round) {
      const auto fresh = duck::Engine::create({});
      if (!fresh) die(fresh.error().message);
      if (!first) run_ours(**fresh, tables, recent);
      const double time = milliseconds([&] { run_ours(**fresh, tables, recent); });
      if (round >= 0) times.push_back(time);
    }
    return median(times);
  };
  const double first_with = measure(true), with = measure(false);
  events.forget_stats();
  const double first_without = measure(true), without = measure(false);
  std::printf("%-26s %10s %14s %7s\n", "1 of 400 segments", "ours, ms", "no statistics", "ratio");
  std::printf("%-26s %10.3f %14.3f %7.2f\n", "first query", first_with, first_without, first_with / first_without);
  std::printf("%-26s %10.3f %14.3f %7.2f\n", "next query", with, without, with / without);
  connection.Query("CREATE TABLE hot (id BIGINT PRIMARY KEY, body VARCHAR)");
  connection.Query("INSERT INTO hot SELECT range, 'body ' || range FROM range(10000)");
  const Query hot_queries[] = {
      {"hot: one row by key", "SELECT id, body FROM ", " WHERE id = 4711"},
      {"hot: 200 rows", "SELECT id, body FROM ", " LIMIT 200"},
      {"hot: COUNT of a filter", "SELECT count(*) FROM ", " WHERE body LIKE '%77%'"},
      {"hot: top 10", "SELECT id, body FROM ", " ORDER BY body LIMIT 10"},
  };
  std::printf("%-26s %10s %14s %7s\n", "query", "ours, µs", "DuckDB table", "ratio");
  for (const auto& query : hot_queries) {
    std::vector<double> ours, bare;
    for (int round = 0; round < rounds * 20; ++round) {
      ours.push_back(milliseconds([&] { run_ours(**engine, tables, query.before + "app.hot" + query.after); }));
      bare.push_back(milliseconds([&] { run_bare(connection, query.before + "hot" + query.after); }));
    }
    std::printf("%-26s %10.0f %14.0f %7.2f\n", query.name, median(ours) * 1000, median(bare) * 1000,
                median(ours) / median(bare));
  }
}
