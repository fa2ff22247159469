// The SQL engine over hot rows and segments beside DuckDB's read_parquet over the same files without updates, in one
// process: prints a line for each query with both medians and their ratio.
//
//   cold_scan [ROUNDS]
#include <duckdb.hpp>

#include "stored_tables.h"

namespace {

using namespace kalamdb;
using namespace kalamdb::bench;

constexpr int64_t kSegments = 20;
constexpr int64_t kRowsPerSegment = 50'000;
constexpr int64_t kUpdatedEvery = 100;

double run_bare(duckdb::Connection& connection, const std::string& sql) {
  return milliseconds([&] {
    auto result = connection.SendQuery(sql);
    if (result->HasError()) die(result->GetError());
    while (result->Fetch()) {
    }
  });
}

}  // namespace

int main(int argc, char** argv) {
  const int rounds = argc > 1 ? std::atoi(argv[1]) : 15;
  StoredTables tables;
  const auto messages = tables.create("messages", kMessageColumns);
  for (int64_t segment = 0; segment < kSegments; ++segment) {
    tables.write(messages, segment * kRowsPerSegment, 1, (segment + 1) * kRowsPerSegment,
                 [](int64_t id) { return message(id); });
    tables.flush(messages);
  }
  const auto hot = tables.create("hot", {{"id", "BIGINT", 1}, {"body", "TEXT"}});
  tables.write(hot, 0, 1, 10'000, [](int64_t id) {
    return model::Row{id, "body " + std::to_string(id), Seq{id + 1}, false};
  });

  duckdb::DuckDB database(nullptr);
  duckdb::Connection connection(database);
  connection.Query("SET GLOBAL parquet_metadata_cache = true");
  const std::string files = "read_parquet('" + tables.folder() + "/storage/**/*.parquet')";
  // They become hot, and their old versions deleted positions of the segments.
  tables.write(messages, 7, kUpdatedEvery, kSegments * kRowsPerSegment, [](int64_t id) { return message(id); });

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
  for (const auto& asked : queries) {
    std::vector<double> ours, bare;
    for (int round = -2; round < rounds; ++round) {  // two rounds to warm up
      const double a = query(tables.engine(), tables, asked.before + "app.messages" + asked.after);
      const double b = run_bare(connection, asked.before + files + asked.after);
      if (round < 0) continue;
      ours.push_back(a);
      bare.push_back(b);
    }
    std::printf("%-26s %10.3f %14.3f %7.2f\n", asked.name, median(ours), median(bare), median(ours) / median(bare));
  }
  // What the manifest knows of columns, beside the same without: one of 400 small segments, by a column that grows with
  // time, for a server that has opened no file yet and for one that has.
  duck::TestTables event_tables;
  auto& events = event_tables.add("app", "events", kMessageColumns);
  duck::TemporaryFolder folder;
  for (int64_t segment = 0; segment < 400; ++segment) {
    std::vector<model::Row> rows;
    for (int64_t i = 0; i < 500; ++i) rows.push_back(message(segment * 500 + i));
    if (const auto error = events.flush(tables.engine(), folder.path(), rows); !error.empty()) die(error);
  }
  const std::string recent =
      "SELECT count(*), sum(score) FROM app.events WHERE created BETWEEN "
      "'2023-11-14 22:15:00.1' AND '2023-11-14 22:15:00.4'";
  const auto measure = [&](bool first) {
    std::vector<double> times;
    for (int round = -2; round < rounds; ++round) {
      const auto fresh = check(duck::Engine::create({}));
      if (!first) query(*fresh, event_tables, recent);
      const double time = query(*fresh, event_tables, recent);
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
  for (const auto& asked : hot_queries) {
    std::vector<double> ours, bare;
    for (int round = 0; round < rounds * 20; ++round) {
      ours.push_back(query(tables.engine(), tables, asked.before + "app.hot" + asked.after));
      bare.push_back(run_bare(connection, asked.before + "hot" + asked.after));
    }
    std::printf("%-26s %10.0f %14.0f %7.2f\n", asked.name, median(ours) * 1000, median(bare) * 1000,
                median(ours) / median(bare));
  }
}
