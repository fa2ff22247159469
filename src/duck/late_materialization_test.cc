// Top rows of a table with much that is cold are read in two passes; they must be what one pass reads.
#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "duck/engine.h"
#include "duck/engine_test_tables.h"
#include "model/convert.h"

namespace kalamdb::duck {
namespace {

constexpr int64_t kSegments = 3;
constexpr int64_t kRowsPerSegment = 40'000;

class LateMaterializationTest : public ::testing::Test {
 protected:
  static model::Row message(int64_t id, Seq seq) {
    std::mt19937_64 random(static_cast<uint64_t>(seq));
    return {id,
            static_cast<int64_t>(random() % 1000),
            static_cast<double>(random() % 1'000'003),
            "body " + std::to_string(random() % 100),
            seq,
            false};
  }

  void SetUp() override {
    auto engine = Engine::create({});
    ASSERT_TRUE(engine.has_value()) << engine.error().message;
    engine_ = *std::move(engine);
    table_ = &tables_.add("app", "t", {{"id", "BIGINT", 1}, {"author", "INT"}, {"score", "DOUBLE"}, {"body", "TEXT"}});
    std::mt19937_64 random(1);
    for (int64_t segment = 0; segment < kSegments; ++segment) {
      std::vector<model::Row> rows;
      std::vector<uint32_t> updated;
      for (int64_t i = 0; i < kRowsPerSegment; ++i) {
        const int64_t id = segment * kRowsPerSegment + i;
        rows.push_back(message(id, id + 1));
        if (random() % 50 != 0) continue;
        updated.push_back(static_cast<uint32_t>(i));
        if (random() % 2 == 0) table_->put(message(id, 10'000'000 + id));
      }
      ASSERT_EQ(table_->flush(*engine_, folder_.path(), rows), "");
      table_->delete_positions(segment, updated);
    }
    // Positions of segments are `_seq`s of hot rows too: they must not be taken for each other.
    for (int64_t id = 0; id < 200; ++id) table_->put(message(kSegments * kRowsPerSegment + id, id));
  }

  std::vector<std::string> sql(const std::string& text) {
    std::vector<std::string> lines;
    const auto statement = Statement::parse(text);
    if (!statement) return {statement.error().message};
    const auto result = engine_->query(**statement, tables_, {});
    if (!result) return {result.error().message};
    while (true) {
      const auto batch = (*result)->next();
      if (!batch) return {batch.error().message};
      if (*batch == nullptr) return lines;
      for (size_t row = 0; row < (*batch)->row_count(); ++row) {
        std::string line;
        for (size_t i = 0; i < (*result)->columns().size(); ++i) {
          const auto cell = (*batch)->cell(row, i);
          line += (model::is_null(cell) ? "NULL" : model::to_text(cell, (*result)->columns()[i].type)) + "|";
        }
        lines.push_back(std::move(line));
      }
    }
  }

  bool is_late(const std::string& query) {
    const auto plan = sql("EXPLAIN " + query);
    return std::ranges::any_of(plan, [](const std::string& line) { return line.find("SEMI") != std::string::npos; });
  }

  void expect_same(const std::string& before_limit) {
    const std::string query = before_limit + " LIMIT 10";
    EXPECT_TRUE(is_late(query)) << query;
    const auto late = sql(query);
    EXPECT_EQ(late.size(), 10) << query;
    // More rows than DuckDB reads in two passes.
    const std::string whole = before_limit + " LIMIT 500";
    EXPECT_FALSE(is_late(whole)) << whole;
    auto expected = sql(whole);
    expected.resize(std::min<size_t>(expected.size(), 10));
    EXPECT_EQ(late, expected) << query;
  }

  TemporaryFolder folder_;
  std::unique_ptr<Engine> engine_;
  TestTables tables_;
  TestTable* table_ = nullptr;
};

TEST_F(LateMaterializationTest, ReadsWhatOnePassReads) {
  expect_same("SELECT * FROM t ORDER BY score DESC, id");
  expect_same("SELECT * FROM t ORDER BY score, id");
  expect_same("SELECT body, id, upper(body) FROM t WHERE author > 500 ORDER BY score, id");
  expect_same("SELECT * FROM t WHERE id >= 119990 ORDER BY body, id");
  expect_same("SELECT *, _seq FROM t ORDER BY author, body DESC, id");
  expect_same("SELECT * FROM (SELECT id, score * 2 AS twice, body FROM t) ORDER BY twice, id");
}

TEST_F(LateMaterializationTest, LeavesLimitsWithoutOrderAlone) {
  for (const char* query : {"SELECT * FROM t LIMIT 1000", "SELECT * FROM t LIMIT 10 OFFSET 5",
                            "SELECT * FROM (SELECT * FROM t LIMIT 1000) ORDER BY score"}) {
    EXPECT_FALSE(is_late(query)) << query;
  }
}

TEST_F(LateMaterializationTest, ReadsSegmentsOfAnOlderSchema) {
  table_->alter([](model::TableDefinition& definition) {
    auto& body = definition.columns[3];
    body.name = "text";
    model::ColumnDefinition added{.name = "added", .ordinal = 7, .type = {.tag = model::TypeTag::kBigInt}};
    definition.columns.insert(definition.columns.begin() + 4, added);
  });
  expect_same("SELECT * FROM t ORDER BY score DESC, id");
  expect_same("SELECT * FROM t WHERE added IS NULL ORDER BY score DESC, id");
}

TEST_F(LateMaterializationTest, ReadsRangesOfSegments) {
  for (size_t segment = 0; segment < kSegments; ++segment) table_->show_only(segment, {777, 39'000});
  expect_same("SELECT * FROM t ORDER BY score DESC, id");
}

TEST_F(LateMaterializationTest, LeavesTablesAloneThatAreMostlyHot) {
  for (int64_t id = 0; id < 20'000; ++id) table_->put(message(1'000'000 + id, 20'000'000 + id));
  EXPECT_FALSE(is_late("SELECT * FROM t ORDER BY score LIMIT 10"));
}

}  // namespace
}  // namespace kalamdb::duck
