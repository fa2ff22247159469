// A table of 1,000,000 rows in 20 segments of which 30% were updated and flushed again, beside the same table once it
// is compacted: prints how fast flush and compaction are, and of each query both medians and their ratio.
//
//   compaction [ROUNDS]
#include "stored_tables.h"

namespace {

using namespace kalamdb;
using namespace kalamdb::bench;

constexpr int64_t kSegments = 20;
constexpr int64_t kRowsPerSegment = 50'000;
constexpr int64_t kRows = kSegments * kRowsPerSegment;

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

std::vector<double> medians(StoredTables& tables, int rounds) {
  std::vector<double> result;
  for (const auto& [name, sql] : kQueries) {
    std::vector<double> times;
    for (int round = -2; round < rounds; ++round) {  // two rounds to warm up
      const double time = query(tables.engine(), tables, sql);
      if (round >= 0) times.push_back(time);
    }
    result.push_back(median(times));
  }
  return result;
}

}  // namespace

int main(int argc, char** argv) {
  const int rounds = argc > 1 ? std::atoi(argv[1]) : 15;
  StoredTables tables;
  const auto table = tables.create("messages", kMessageColumns);
  double flushed = 0;
  for (int64_t s = 0; s < kSegments; ++s) {
    tables.write(table, s * kRowsPerSegment, 1, (s + 1) * kRowsPerSegment, [](int64_t id) { return message(id); });
    flushed += tables.flush(table);
  }
  std::printf("flush: %.0f rows/s\n", kRows / flushed * 1000);
  for (const int64_t first : {0, 3, 7})  // 30%
    tables.write(table, first, 10, kRows, [](int64_t id) { return message(id, 1); });
  tables.flush(table);
  const auto before = check(tables.storage().stats(table));
  const auto updated = medians(tables, rounds);
  const double time =
      milliseconds([&] { check(tables.storage().compact(table, std::nullopt, storage::CompactKind::kOptimize)); });
  const auto after = check(tables.storage().stats(table));
  std::printf("compaction: %.0f rows/s, %llu segments of %.1f MB before, %llu of %.1f MB after\n", kRows / time * 1000,
              static_cast<unsigned long long>(before.segments), static_cast<double>(before.segment_bytes) / 1e6,
              static_cast<unsigned long long>(after.segments), static_cast<double>(after.segment_bytes) / 1e6);
  const auto fresh = medians(tables, rounds);
  std::printf("%-26s %12s %14s %7s\n", "query", "updated, ms", "compacted, ms", "ratio");
  for (size_t i = 0; i < kQueries.size(); ++i) {
    std::printf("%-26s %12.3f %14.3f %7.2f\n", kQueries[i].first, updated[i], fresh[i], updated[i] / fresh[i]);
  }
}
