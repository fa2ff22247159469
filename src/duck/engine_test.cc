#include "duck/engine.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <filesystem>

#include "duck/engine_test_tables.h"
#include "duck/session.h"
#include "model/convert.h"
#include "model/random_value.h"

namespace kalamdb::duck {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::SizeIs;

class EngineTest : public ::testing::Test {
 protected:
  void SetUp() override {
    auto engine = Engine::create({.threads = 2,
                                  .memory_bytes = 512 << 20,
                                  .temp_directory = files_.path() + "/temp",
                                  .generators = {.snowflake_id = [this] { return ++last_id_; }}});
    ASSERT_TRUE(engine.has_value()) << engine.error().message;
    engine_ = *std::move(engine);
    context_.current_user = "ann";
    context_.current_role = "user";
    context_.now_us = 1'700'000'000'000'000;
  }

  // The result as lines of cells joined by '|', or "error: …".
  std::vector<std::string> sql(std::string_view text) { return lines_of(text, nullptr); }

  std::vector<std::string> lines_of(std::string_view text, std::vector<ResultColumn>* columns) {
    auto statement = Statement::parse(text);
    if (!statement) return {"error: " + statement.error().message};
    auto result = engine_->query(**statement, tables_, context_);
    if (!result) return {"error: " + result.error().message};
    if (columns) *columns = (*result)->columns();
    return lines(**result);
  }

  static std::vector<std::string> lines(QueryResult& result) {
    std::vector<std::string> out;
    for (;;) {
      auto batch = result.next();
      if (!batch) return {"error: " + batch.error().message};
      if (!*batch) return out;
      for (size_t row = 0; row < (*batch)->row_count(); ++row) {
        std::string line;
        for (size_t i = 0; i < result.columns().size(); ++i) {
          line += (i ? "|" : "") + text((*batch)->cell(row, i), result.columns()[i].type);
        }
        out.push_back(std::move(line));
      }
    }
  }

  static std::vector<std::string> lines(const EvaluatedRows& evaluated) {
    std::vector<std::string> out;
    for (const auto& row : evaluated.rows) {
      std::string line;
      for (size_t i = 0; i < row.size(); ++i) {
        line += (i ? "|" : "") + text(model::view(row[i]), evaluated.columns[i].type);
      }
      out.push_back(std::move(line));
    }
    return out;
  }

  static std::string text(const model::ValueView& cell, const model::DataType& type) {
    return model::is_null(cell) ? "NULL" : model::to_text(cell, type);
  }

  // Moves rows of a table into a new segment.
  void flush(TestTable& table, const std::vector<model::Row>& rows) {
    std::filesystem::create_directories(files_.path() + "/storage");
    ASSERT_EQ(table.flush(*engine_, files_.path() + "/storage", rows), "");
  }

  TemporaryFolder files_;
  int64_t last_id_ = 0;
  std::unique_ptr<Engine> engine_;
  TestTables tables_;
  QueryContext context_;
};

TestTable& add_people(TestTables& tables) {
  return tables.add("app", "people", {{"id", "BIGINT", 1}, {"name", "TEXT"}, {"age", "INT"}});
}

model::Row person(int64_t id, std::string name, model::Value age, Seq seq, bool deleted = false) {
  return {id, std::move(name), std::move(age), seq, deleted};
}

TEST_F(EngineTest, ReadsHotAndColdRowsAsOneTable) {
  auto& people = add_people(tables_);
  flush(people, {person(1, "ann", int64_t{30}, 10), person(3, "bob", int64_t{40}, 11)});
  people.put(person(2, "cay", model::Null{}, 12));
  EXPECT_THAT(sql("SELECT * FROM app.people"),
              ElementsAre("1|ann|30|10|false", "2|cay|NULL|12|false", "3|bob|40|11|false"));
  EXPECT_THAT(sql("SELECT count(*), sum(age) FROM people"), ElementsAre("3|70"));
  EXPECT_THAT(sql("SELECT name FROM people WHERE id = 3"), ElementsAre("bob"));
  EXPECT_THAT(sql("SELECT name FROM people WHERE id >= 2 ORDER BY name DESC"), ElementsAre("cay", "bob"));
  EXPECT_THAT(sql("SELECT name FROM people WHERE age IS NULL"), ElementsAre("cay"));
  EXPECT_THAT(sql("SELECT name FROM people WHERE id IN (1, 2, 77)"), ElementsAre("ann", "cay"));
  EXPECT_THAT(sql("SELECT name FROM people WHERE length(name) = 3 AND upper(name) LIKE 'B%'"), ElementsAre("bob"));
  EXPECT_THAT(sql("SELECT name FROM people ORDER BY age DESC NULLS LAST LIMIT 1"), ElementsAre("bob"));
}

TEST_F(EngineTest, PositionsInADeletionVectorAreNotRead) {
  auto& people = add_people(tables_);
  std::vector<model::Row> rows;
  for (int64_t id = 0; id < 5000; ++id) rows.push_back(person(id, "p" + std::to_string(id), id % 90, 10 + id));
  flush(people, rows);
  people.delete_positions(0, {0, 2048, 4999});
  people.put(person(2048, "new", int64_t{1}, 9999));
  EXPECT_THAT(sql("SELECT count(*), min(id), max(id) FROM people"), ElementsAre("4998|1|4998"));
  EXPECT_THAT(sql("SELECT name FROM people WHERE id = 2048"), ElementsAre("new"));
  EXPECT_THAT(sql("SELECT name FROM people WHERE id < 2"), ElementsAre("p1"));
  EXPECT_THAT(sql("SELECT count(*) FROM people WHERE age = 0"), ElementsAre("55"));
}

TEST_F(EngineTest, FiltersNarrowWhatIsRead) {
  auto& people = add_people(tables_);
  for (int64_t id = -50; id < 50; ++id) people.put(person(id, "p", id, 1000 + id));
  EXPECT_THAT(sql("SELECT id FROM people WHERE id = 7"), ElementsAre("7"));
  EXPECT_EQ(people.rows_read(), 1u);
  EXPECT_THAT(sql("SELECT count(*) FROM people WHERE id > -3 AND id <= 4"), ElementsAre("7"));
  EXPECT_EQ(people.rows_read(), 7u);
  EXPECT_THAT(sql("SELECT count(*) FROM people WHERE id < -48"), ElementsAre("2"));
  EXPECT_EQ(people.rows_read(), 2u);
  EXPECT_THAT(sql("SELECT count(*) FROM people WHERE age < -48"), ElementsAre("2"));
  EXPECT_EQ(people.rows_read(), 100u);
}

TEST_F(EngineTest, HotRowsAreReadOnceToBeCounted) {
  auto& people = add_people(tables_);
  flush(people, {person(1, "ann", int64_t{30}, 10)});
  for (int64_t id = 2; id < 5000; ++id) people.put(person(id, "p", id % 2, 10 + id));
  EXPECT_THAT(sql("SELECT count(*) FROM people WHERE age = 1"), ElementsAre("2499"));
  EXPECT_THAT(sql("SELECT id FROM people LIMIT 3"), SizeIs(3));
  EXPECT_EQ(people.known_hot_rows(), std::nullopt) << "neither has read them all";
  EXPECT_THAT(sql("SELECT count(*) FROM people"), ElementsAre("4999"));
  EXPECT_EQ(people.known_hot_rows(), 4998u);

  people.fail_reads({ErrorCode::kCorruption, "rows are read"});
  EXPECT_THAT(sql("SELECT count(*) FROM people"), ElementsAre("4999"));
  EXPECT_THAT(sql("SELECT count(*) FROM people a, people b"), ElementsAre("24990001"));
  EXPECT_THAT(sql("SELECT count(age) FROM people"), ElementsAre(HasSubstr("rows are read")));
  EXPECT_THAT(sql("SELECT count(*) FROM people WHERE age = 1"), ElementsAre(HasSubstr("rows are read")));
}

TEST_F(EngineTest, SegmentsOutsideTheFilterAreNotOpened) {
  auto& people = add_people(tables_);
  flush(people, {person(1, "a", int64_t{1}, 10)});
  flush(people, {person(5, "b", int64_t{1}, 20)});
  people.break_segment(0);  // its file is gone
  EXPECT_THAT(sql("SELECT name FROM people WHERE id > 3"), ElementsAre("b"));
  EXPECT_THAT(sql("SELECT name FROM people WHERE _seq > 15"), ElementsAre("b"));
  const auto broken = sql("SELECT name FROM people");
  ASSERT_EQ(broken.size(), 1u);
  EXPECT_THAT(broken[0], HasSubstr("error: "));
  EXPECT_THAT(broken[0], Not(HasSubstr(files_.path())));
}

TEST_F(EngineTest, SegmentsWhoseColumnsRuleTheFilterOutAreNotOpened) {
  auto& people = add_people(tables_);
  flush(people, {person(1, "anna", int64_t{10}, 10), person(4, "berta", int64_t{20}, 11)});
  flush(people, {person(2, "carl", int64_t{30}, 12), person(3, "dora", int64_t{40}, 13)});
  flush(people, {person(5, "emil", model::Null{}, 14), person(6, "frida", model::Null{}, 15)});
  people.break_segment(0);
  for (const char* where : {"age > 20", "age >= 30", "age = 35", "age BETWEEN 25 AND 100", "age IN (30, 50)",
                            "name > 'berta'", "name LIKE 'c%'", "age IS NULL", "age = 30 AND name = 'carl'"}) {
    const auto rows = sql(std::string("SELECT id FROM people WHERE ") + where);
    EXPECT_FALSE(rows.size() == 1 && rows[0].starts_with("error")) << where << ": " << rows[0];
  }
  EXPECT_THAT(sql("SELECT id FROM people WHERE age IS NULL"), ElementsAre("5", "6"));
  EXPECT_THAT(sql("SELECT id FROM people WHERE age >= 30 ORDER BY id"), ElementsAre("2", "3"));
  for (const char* where : {"age > 19", "age <= 10", "age IS NOT NULL", "name < 'b'", "age <> 10", "age % 7 = 2"}) {
    EXPECT_THAT(sql(std::string("SELECT id FROM people WHERE ") + where)[0], HasSubstr("error")) << where;
  }
  people.break_segment(2);  // where no age can match
  EXPECT_THAT(sql("SELECT id FROM people WHERE age > 35"), ElementsAre("3"));
  // Under another type it has another slot, and a new column has none there.
  people.alter([](model::TableDefinition& table) {
    auto& age = *std::find_if(table.columns.begin(), table.columns.end(), [](auto& c) { return c.name == "age"; });
    age.older_rows.edit().former = {{age.slot(), age.type}};
    age.own_slot = 9;
    age.type = {model::TypeTag::kText};
  });
  EXPECT_THAT(sql("SELECT id FROM people WHERE age = '99'")[0], HasSubstr("error"));
}

// With what is known of the columns, queries give what they give without.
TEST_F(EngineTest, LeavingSegmentsOutChangesNoResult) {
  const uint32_t seed = std::random_device()();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  auto& facts = tables_.add(
      "app", "facts", {{"id", "BIGINT", 1}, {"n", "INT"}, {"d", "DOUBLE"}, {"t", "TEXT"}, {"x", "DECIMAL(12,2)"}});
  const std::vector<double> doubles = {std::nan(""), -0.0, 0.0, std::numeric_limits<double>::infinity(), -1e300, 2.5};
  const auto maybe = [&](model::Value value) { return random() % 5 == 0 ? model::Value() : std::move(value); };
  int64_t id = 0;
  for (int segment = 0; segment < 12; ++segment) {
    std::vector<model::Row> rows;
    const int64_t base = random() % 50;
    const bool empty = random() % 4 == 0;
    for (int row = 0; row < 4; ++row) {
      const int64_t n = base + random() % 5;
      const double d = random() % 3 == 0 ? doubles[random() % doubles.size()] : static_cast<double>(n) / 4;
      const std::string t = std::string(random() % 100, 'q') + static_cast<char>('a' + n % 26);
      rows.push_back(
          {++id, empty ? model::Value() : maybe(n), maybe(d), maybe(t), maybe(model::Decimal{n * 25}), Seq{id}, false});
    }
    flush(facts, rows);
    facts.delete_positions(segment, {static_cast<uint32_t>(random() % 4)});
  }
  std::vector<std::string> queries;
  const std::vector<std::string> comparisons = {"=", "<", "<=", ">", ">=", "<>", "IS DISTINCT FROM"};
  for (int i = 0; i < 150; ++i) {
    const std::string n = std::to_string(random() % 50);
    const std::vector<std::pair<std::string, std::string>> sides = {
        {"n", n},
        {"d", n + " / 4.0"},
        {"d", "'NaN'::DOUBLE"},
        {"d", "-0.0::DOUBLE"},
        {"x", n + ".25"},
        {"t", "'" + std::string(random() % 100, 'q') + static_cast<char>('a' + random() % 26) + "'"}};
    const auto& [column, constant] = sides[random() % sides.size()];
    std::string where = column + " " + comparisons[random() % comparisons.size()] + " " + constant;
    if (random() % 3 == 0) where += (random() % 2 == 0 ? " AND n > " : " OR n < ") + n;
    if (random() % 5 == 0) where = column + (random() % 2 == 0 ? " IS NULL" : " IS NOT NULL");
    if (random() % 8 == 0) where = "n IN (" + n + ", 7, 45)";
    queries.push_back("SELECT id FROM facts WHERE " + where + " ORDER BY id");
  }
  std::vector<std::vector<std::string>> with;
  for (const auto& query : queries) with.push_back(sql(query));
  facts.forget_stats();
  for (size_t i = 0; i < queries.size(); ++i) EXPECT_EQ(with[i], sql(queries[i])) << queries[i];
}

TEST_F(EngineTest, TombstonesShowOnlyWhenAskedFor) {
  auto& people = add_people(tables_);
  people.put(person(1, "live", int64_t{1}, 10));
  people.put(person(2, "dead", int64_t{1}, 11, true));
  flush(people, {person(3, "cold", int64_t{1}, 5)});
  EXPECT_THAT(sql("SELECT name FROM people"), ElementsAre("live", "cold"));
  EXPECT_THAT(sql("SELECT name FROM people WHERE _deleted = true"), ElementsAre("dead"));
  EXPECT_THAT(sql("SELECT name FROM people WHERE _deleted"), ElementsAre("dead"));
  EXPECT_THAT(sql("SELECT name FROM people WHERE _deleted IN (true, false) ORDER BY id"),
              ElementsAre("live", "dead", "cold"));
  EXPECT_THAT(sql("SELECT name FROM people WHERE _deleted = false"), ElementsAre("live", "cold"));
  EXPECT_THAT(sql("SELECT count(*) FROM people WHERE NOT _deleted"), ElementsAre("2"));
}

TEST_F(EngineTest, EveryTypeIsLosslessHotAndCold) {
  auto& table = tables_.add("app", "everything",
                            {{"id", "BIGINT", 1},
                             {"a", "BOOLEAN"},
                             {"b", "SMALLINT"},
                             {"c", "INT"},
                             {"d", "BIGINT"},
                             {"e", "FLOAT"},
                             {"f", "DOUBLE"},
                             {"g", "TEXT"},
                             {"h", "TIMESTAMP"},
                             {"i", "DATETIME"},
                             {"j", "DATE"},
                             {"k", "TIME"},
                             {"l", "JSON"},
                             {"m", "BYTES"},
                             {"n", "EMBEDDING(3)"},
                             {"o", "UUID"},
                             {"p", "DECIMAL(4,2)"},
                             {"q", "DECIMAL(38,10)"},
                             {"r", "FILE"}});
  const auto uuid = *model::parse_uuid("01890a5d-ac96-774b-bcce-b302099a8057");
  const model::Int128 wide = static_cast<model::Int128>(INT64_MAX) * 1'000'000'007;
  const auto row = [&](int64_t id) {
    return model::Row{id,
                      true,
                      int64_t{-32768},
                      int64_t{INT32_MIN},
                      int64_t{INT64_MIN},
                      1.5f,
                      -0.0,
                      std::string("naïve \xF0\x9F\x98\x80"),
                      int64_t{-1'000'001},
                      int64_t{1'700'000'000'000'001},
                      int64_t{-719162},
                      int64_t{86'399'999'999},
                      std::string(R"({"k": [1, "two"]})"),
                      std::string("\x00\xFF\x01", 3),
                      std::vector<float>{0.1f, -2.0f, 3e10f},
                      uuid,
                      model::Decimal{-50},
                      model::Decimal{-wide},
                      std::string(R"({"id":"1"})"),
                      Seq{7},
                      false};
  };
  model::Row nulls(row(0).size(), model::Null{});
  nulls[0] = int64_t{3};
  nulls[nulls.size() - 2] = Seq{9};
  nulls[nulls.size() - 1] = false;
  table.put(row(1));
  flush(table, {row(2), nulls});
  table.put([&] {
    auto hot = nulls;
    hot[0] = int64_t{4};
    return hot;
  }());

  auto statement = Statement::parse("SELECT * FROM everything ORDER BY id");
  ASSERT_TRUE(statement.has_value());
  auto result = engine_->query(**statement, tables_, context_);
  ASSERT_TRUE(result.has_value()) << result.error().message;
  size_t seen = 0;
  for (;;) {
    auto batch = (*result)->next();
    ASSERT_TRUE(batch.has_value()) << batch.error().message;
    if (!*batch) break;
    for (size_t r = 0; r < (*batch)->row_count(); ++r) {
      ++seen;
      auto expected = seen <= 2 ? row(static_cast<int64_t>(seen)) : nulls;
      expected[0] = static_cast<int64_t>(seen);
      for (size_t i = 0; i < expected.size(); ++i) {
        EXPECT_EQ((*result)->columns()[i].type, table.definition()->columns[i].type);
        EXPECT_EQ((*result)->columns()[i].source->name, table.definition()->columns[i].name);
        EXPECT_TRUE(model::same((*batch)->cell(r, i), model::view(expected[i])))
            << "row " << seen << " column " << table.definition()->columns[i].name << ": "
            << model::to_text((*batch)->cell(r, i), (*result)->columns()[i].type);
      }
    }
  }
  EXPECT_EQ(seen, 4u);
}

TEST_F(EngineTest, SegmentsFollowTheSchema) {
  auto& people = add_people(tables_);
  flush(people, {person(1, "old", int64_t{30}, 10)});
  people.alter([](model::TableDefinition& table) {
    std::erase_if(table.columns, [](const auto& column) { return column.name == "age"; });
    for (auto& column : table.columns)
      if (column.name == "name") column.name = "full_name";
    model::ColumnDefinition added{.name = "city", .ordinal = 6};
    added.older_rows.edit().missing = std::string("Oslo");
    table.columns.push_back(added);
    table.columns.push_back({.name = "note", .ordinal = 7});
  });
  people.put({int64_t{2}, std::string("new"), Seq{20}, false, std::string("Rome"), std::string("n")});
  EXPECT_THAT(sql("SELECT id, full_name, city, note FROM people"), ElementsAre("1|old|Oslo|NULL", "2|new|Rome|n"));
  EXPECT_THAT(sql("SELECT id FROM people WHERE city = 'Oslo'"), ElementsAre("1"));
  EXPECT_THAT(sql("SELECT id FROM people WHERE note IS NULL"), ElementsAre("1"));
  EXPECT_THAT(sql("SELECT id FROM people WHERE full_name = 'old'"), ElementsAre("1"));
  EXPECT_THAT(sql("SELECT age FROM people"), ElementsAre("error: Column 'age' does not exist"));
}

TEST_F(EngineTest, SegmentsOfAFormerTypeReadAsTheCurrentOne) {
  auto& people = add_people(tables_);
  flush(people, {person(1, "a", int64_t{30}, 10), person(2, "b", model::Null{}, 11), person(3, "c", int64_t{7}, 12)});
  people.alter([](model::TableDefinition& table) {
    auto& age = *std::find_if(table.columns.begin(), table.columns.end(), [](auto& c) { return c.name == "age"; });
    age.older_rows.edit().former = {{age.slot(), age.type}};
    age.own_slot = 9;
    age.type = {model::TypeTag::kText};
    model::ColumnDefinition ok{.name = "ok", .ordinal = 10, .type = {model::TypeTag::kBoolean}};
    ok.older_rows.edit().missing = true;
    table.columns.push_back(ok);
  });
  EXPECT_THAT(sql("SELECT id, age, ok FROM people ORDER BY id"), ElementsAre("1|30|true", "2|NULL|true", "3|7|true"));
  EXPECT_THAT(sql("SELECT id FROM people WHERE age = '30'"), ElementsAre("1"));
  EXPECT_THAT(sql("SELECT id FROM people WHERE age IS NULL AND ok"), ElementsAre("2"));
  EXPECT_THAT(sql("SELECT count(*), count(age), max(age) FROM people"), ElementsAre("3|2|7"));
  EXPECT_THAT(sql("SELECT id FROM people WHERE NOT ok"), ElementsAre());
}

// Stored rows read as model::convert() says (model/row_codec_test.cc); segments must too, for every pair of types.
TEST_F(EngineTest, EveryFormerTypeConvertsInSegmentsAsInRows) {
  std::mt19937_64 random(11);
  int number = 0;
  for (const auto& from : model::all_types()) {
    for (const auto& to : model::all_types()) {
      if (from == to || model::conversion(from, to) == model::Conversion::kNone) continue;
      const std::string name = "t" + std::to_string(++number);
      auto& table = tables_.add("app", name, {{"id", "BIGINT", 1}, {"v", model::sql_name(from)}});
      std::vector<model::Row> rows;
      std::vector<std::string> expected;
      for (int i = 0; i < 300 && rows.size() < 20; ++i) {
        const model::Value value = i == 0 ? model::Value() : model::random_value(random, from);
        const auto converted = model::convert(model::view(value), from, to);
        if (!converted) continue;
        const auto id = static_cast<int64_t>(rows.size());
        rows.push_back({id, value, Seq{10 + id}, false});
        expected.push_back(model::to_text(model::view(*converted), to));
      }
      flush(table, rows);
      table.alter([&](model::TableDefinition& definition) {
        auto& column = definition.columns[1];
        column.older_rows.edit().former = {{column.slot(), from}};
        column.own_slot = 9;
        column.type = to;
      });
      EXPECT_EQ(sql("SELECT v FROM " + name + " ORDER BY id"), expected)
          << model::sql_name(from) << " as " << model::sql_name(to);
    }
  }
  EXPECT_GT(number, 60);
}

TEST_F(EngineTest, HiddenColumnsCanBeNamedButAreNotInStar) {
  auto& notes = tables_.add("app", "notes", {{"_key", "BIGINT", 1}, {"text", "TEXT"}});
  const Seq seq = ((1'700'000'000'000 - kSeqEpochMs) << 22);
  flush(notes, {{int64_t{1}, std::string("cold"), seq, false}});
  notes.put({int64_t{2}, std::string("hot"), seq + (Seq{1000} << 22), false});
  EXPECT_THAT(sql("SELECT text, _key FROM notes"), ElementsAre("cold|1", "hot|2"));
  EXPECT_THAT(sql("SELECT text FROM notes WHERE _key = 2"), ElementsAre("hot"));
  std::vector<ResultColumn> columns;
  lines_of("SELECT * FROM notes", &columns);
  EXPECT_EQ(columns.size(), 3u);
  EXPECT_THAT(sql("SELECT text, _updated FROM notes ORDER BY _updated DESC"),
              ElementsAre("hot|2023-11-14 22:13:21", "cold|2023-11-14 22:13:20"));
  EXPECT_THAT(sql("SELECT text FROM notes n WHERE n._updated > '2023-11-14 22:13:20.5'"), ElementsAre("hot"));
  lines_of("SELECT *, n._updated FROM notes n", &columns);
  EXPECT_EQ(columns.size(), 4u);
}

TEST_F(EngineTest, NamesBindAsWritten) {
  auto& people = add_people(tables_);
  people.put(person(1, "ann", int64_t{30}, 10));
  EXPECT_THAT(sql("SELECT people.id FROM app.people"), ElementsAre("1"));
  EXPECT_THAT(sql("SELECT app.people.id FROM app.people WHERE app.people.id = 1"), ElementsAre("1"));
  EXPECT_THAT(sql("SELECT app.people.id FROM people"), ElementsAre("1"));
  EXPECT_THAT(sql("SELECT p.id FROM app.people AS p"), ElementsAre("1"));
  EXPECT_THAT(sql("SELECT p.* FROM app.people p"), ElementsAre("1|ann|30|10|false"));
  EXPECT_THAT(sql("SELECT x FROM people AS p(x, y)"), ElementsAre("1"));
  EXPECT_THAT(sql("WITH people AS (SELECT 5 AS id) SELECT id FROM people"), ElementsAre("5"));
  EXPECT_THAT(sql("WITH p AS (SELECT * FROM people) SELECT a.name FROM p a JOIN p b USING (id)"), ElementsAre("ann"));
  EXPECT_THAT(sql("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3) SELECT * FROM n"),
              ElementsAre("1", "2", "3"));
  EXPECT_THAT(sql("SELECT (SELECT name FROM people p WHERE p.id = o.id) FROM people o"), ElementsAre("ann"));
  EXPECT_THAT(sql("SELECT name FROM people WHERE EXISTS (SELECT 1 FROM app.people)"), ElementsAre("ann"));
  EXPECT_THAT(sql("SELECT nope FROM people"), ElementsAre("error: Column 'nope' does not exist"));
  EXPECT_THAT(sql("SELECT p.nope FROM people p"), ElementsAre("error: Column 'nope' does not exist"));
  EXPECT_THAT(sql("SELECT * FROM other"), ElementsAre("error: Table 'other' does not exist"));
}

TEST_F(EngineTest, ColumnsKnowWhatTheyShow) {
  auto& files = tables_.add("app", "files", {{"id", "BIGINT", 1}, {"body", "FILE"}});
  files.put({int64_t{1}, std::string("{}"), Seq{1}, false});
  std::vector<ResultColumn> columns;
  const auto source_of_first = [&](const char* text) -> std::string {
    lines_of(text, &columns);
    return columns[0].source ? columns[0].source->name : "-";
  };
  EXPECT_EQ(source_of_first("SELECT body AS b FROM files"), "body");
  EXPECT_EQ(columns[0].type.tag, model::TypeTag::kFile);
  EXPECT_EQ(source_of_first("SELECT b FROM (SELECT body AS b FROM files ORDER BY 1) x"), "body");
  EXPECT_EQ(source_of_first("WITH x AS (SELECT body FROM files) SELECT * FROM x"), "body");
  EXPECT_EQ(source_of_first("SELECT body FROM files GROUP BY body"), "body");
  EXPECT_EQ(source_of_first("SELECT body FROM files UNION SELECT 'x'"), "body");
  EXPECT_EQ(source_of_first("SELECT body || '' FROM files"), "-");
  EXPECT_EQ(source_of_first("SELECT max(body) FROM files"), "-");
}

TEST_F(EngineTest, ComputedRowsJoinStoredOnes) {
  auto& people = add_people(tables_);
  people.put(person(1, "ann", int64_t{30}, 10));
  tables_.add_computed("system", "roles", {{"name", "TEXT", 1}, {"role", "TEXT"}},
                       {{std::string("ann"), std::string("dba")}, {std::string("bob"), std::string("user")}});
  EXPECT_THAT(sql("SELECT p.id, r.role FROM people p JOIN system.roles r ON r.name = p.name"), ElementsAre("1|dba"));
  EXPECT_THAT(sql("SELECT * FROM system.roles WHERE role = 'user'"), ElementsAre("bob|user"));
}

TEST_F(EngineTest, StatementConstantsComeFromTheContext) {
  EXPECT_THAT(sql("SELECT now(), NOW() = current_timestamp, current_user, current_role"),
              ElementsAre("2023-11-14 22:13:20|true|ann|user"));
  EXPECT_THAT(sql("SELECT current_date, current_user()"), ElementsAre("2023-11-14|ann"));
  EXPECT_THAT(sql("SELECT snowflake_id() FROM range(2)"), ElementsAre("1", "2"));
}

TEST_F(EngineTest, VectorFunctions) {
  auto& table = tables_.add("app", "docs", {{"id", "BIGINT", 1}, {"v", "EMBEDDING(2)"}});
  table.put({int64_t{1}, std::vector<float>{1, 0}, Seq{1}, false});
  flush(table, {{int64_t{2}, std::vector<float>{0, 2}, Seq{2}, false}, {int64_t{3}, model::Null{}, Seq{3}, false}});
  EXPECT_THAT(sql("SELECT id, cosine_distance(v, '[0, 1]') FROM docs ORDER BY 2 NULLS LAST"),
              ElementsAre("2|0.0", "1|1.0", "3|NULL"));
  EXPECT_THAT(sql("SELECT id FROM docs ORDER BY l2_distance(v, [0.0, 2.5]) LIMIT 1"), ElementsAre("2"));
  EXPECT_THAT(sql("SELECT inner_product(v, v) FROM docs WHERE id = 2"), ElementsAre("4.0"));
  EXPECT_THAT(sql("SELECT cosine_distance(v, '[1]') FROM docs WHERE id = 1"),
              ElementsAre("error: COSINE_DISTANCE() dimension mismatch: row has 2, query has 1"));
}

TEST_F(EngineTest, JsonGetters) {
  EXPECT_THAT(sql(R"(SELECT json_get('{"a": [1, {"b": "x"}]}', 'a', 1), json_as_text('{"a": "x"}', 'a'))"),
              ElementsAre(R"({"b":"x"}|x)"));
}

TEST_F(EngineTest, ParametersAreValuesNotText) {
  auto& people = add_people(tables_);
  people.put(person(1, "ann' OR '1'='1", int64_t{30}, 10));
  const std::vector<model::Value> parameters = {std::string("ann' OR '1'='1"), int64_t{1}};
  context_.parameters = parameters;
  EXPECT_THAT(sql("SELECT id + $2 FROM people WHERE name = $1 LIMIT $2"), ElementsAre("2"));
  EXPECT_THAT(sql("SELECT $3"), ElementsAre(HasSubstr("error: ")));
  const std::vector<model::Value> text_number = {std::string("1")};
  context_.parameters = text_number;
  EXPECT_THAT(sql("SELECT id FROM people WHERE id = $1"), ElementsAre("1"));
}

TEST_F(EngineTest, WideIntegersAreBigIntWhileTheyFit) {
  std::vector<ResultColumn> columns;
  EXPECT_THAT(lines_of("SELECT sum(i) FROM range(10) t(i)", &columns), ElementsAre("45"));
  EXPECT_EQ(columns[0].type.tag, model::TypeTag::kBigInt);
  EXPECT_THAT(lines_of("SELECT sum(9223372036854775807) FROM range(3)", &columns), ElementsAre("27670116110564327421"));
  EXPECT_EQ(columns[0].type, (model::DataType{.tag = model::TypeTag::kDecimal, .precision = 38, .scale = 0}));
  EXPECT_THAT(lines_of("SELECT [1, 2], INTERVAL 1 DAY, {'a': 1}", &columns), ElementsAre("[1,2]|1 day|{\"a\":1}"));
  EXPECT_EQ(columns[2].type.tag, model::TypeTag::kText);
}

TEST_F(EngineTest, LongQueriesAreStopped) {
  context_.timeout_ms = 100;
  const auto statement =
      Statement::parse("SELECT count(*) FROM range(100000000) a, range(100000) b WHERE a.range + b.range = -1");
  ASSERT_TRUE(statement.has_value()) << statement.error().message;
  auto result = engine_->query(**statement, tables_, context_);
  if (result) {
    auto batch = (*result)->next();
    ASSERT_FALSE(batch.has_value());
    EXPECT_EQ(batch.error().code, ErrorCode::kTimeout);
  } else {
    EXPECT_EQ(result.error().code, ErrorCode::kTimeout);
  }
}

TEST_F(EngineTest, MemoryIsBounded) {
  const auto statement = Statement::parse("SELECT array_agg(repeat('x', 1000) || range) FROM range(10000000)");
  ASSERT_TRUE(statement.has_value()) << statement.error().message;
  auto result = engine_->query(**statement, tables_, context_);
  Error error(ErrorCode::kInternal, "none");
  if (!result) {
    error = result.error();
  } else if (auto batch = (*result)->next(); !batch) {
    error = batch.error();
  }
  EXPECT_EQ(error.code, ErrorCode::kQueryMemoryExceeded) << error.message;
  EXPECT_THAT(sql("SELECT 1"), ElementsAre("1"));
}

TEST_F(EngineTest, ErrorsOfACursorComeThrough) {
  auto& people = add_people(tables_);
  people.put(person(1, "ann", int64_t{30}, 10));
  people.fail_reads({ErrorCode::kCorruption, "row 1 is damaged"});
  EXPECT_THAT(sql("SELECT * FROM people"), ElementsAre("error: row 1 is damaged"));
}

TEST_F(EngineTest, ChangesGiveEveryTouchedRowOnce) {
  auto& people = add_people(tables_);
  flush(people, {person(1, "ann", int64_t{30}, 10), person(2, "bob", int64_t{40}, 11)});
  people.put(person(3, "cay", int64_t{50}, 12));
  people.put(person(4, "dead", int64_t{50}, 13, true));
  auto update = Statement::parse("UPDATE people SET age = age + 1, name = DEFAULT WHERE age >= 40");
  ASSERT_TRUE(update.has_value()) << update.error().message;
  auto touched = engine_->changes(**update, tables_, context_);
  ASSERT_TRUE(touched.has_value()) << touched.error().message;
  auto& rows = touched->rows;
  std::sort(rows.begin(), rows.end(), [](const auto& a, const auto& b) { return a.seq < b.seq; });
  ASSERT_EQ(rows.size(), 2u);
  EXPECT_TRUE(rows[0].cold);
  EXPECT_EQ(rows[0].segment_id, people.segments()[0].id);
  EXPECT_EQ(rows[0].position, 1u);
  EXPECT_EQ(rows[0].current, person(2, "bob", int64_t{40}, 11));
  EXPECT_EQ(rows[0].assigned, (model::Row{int64_t{41}, model::Null{}}));
  EXPECT_EQ(touched->assigned_types.size(), 2u);
  EXPECT_FALSE(rows[1].cold);
  EXPECT_EQ(rows[1].seq, 12);

  auto removal = Statement::parse("DELETE FROM people USING range(3) r WHERE id = 1");
  ASSERT_TRUE(removal.has_value()) << removal.error().message;
  touched = engine_->changes(**removal, tables_, context_);
  ASSERT_TRUE(touched.has_value()) << touched.error().message;
  ASSERT_EQ(touched->rows.size(), 1u);
  EXPECT_EQ(touched->rows[0].position, 0u);
}

TEST_F(EngineTest, ReturningIsEvaluatedRowByRow) {
  auto& people = add_people(tables_);
  people.put(person(1, "ann", int64_t{30}, 10));
  const auto returned = [&](const std::string& list) -> std::vector<std::string> {
    auto change = Statement::parse("UPDATE people AS p SET age = 1 WHERE id = 1 RETURNING " + list);
    if (!change) return {change.error().message};
    auto rows = engine_->returning(**change, people.table(),
                                   {person(3, "cay", int64_t{50}, 0), person(2, "bob", {}, 0)}, tables_, context_);
    if (!rows) return {rows.error().message};
    return lines(*rows);
  };
  EXPECT_THAT(returned("id, p.age + 1, upper(name)"), ElementsAre("51|CAY", "NULL|BOB"));
  EXPECT_THAT(returned("id + (SELECT max(id) FROM people), _deleted::INT"), ElementsAre("4|0", "3|0"));
  EXPECT_THAT(returned("_seq + 1"), ElementsAre(HasSubstr("RETURNING gives _seq as it is")));
  EXPECT_THAT(returned("abs(_updated)"), ElementsAre(HasSubstr("RETURNING gives _updated as it is")));
  EXPECT_THAT(returned("sum(age)"), ElementsAre(HasSubstr("Aggregate functions are not allowed in RETURNING")));
  EXPECT_THAT(returned("unnest([1, 2])"), ElementsAre(HasSubstr("several rows")));
  EXPECT_THAT(returned("row_number() OVER ()"), ElementsAre(HasSubstr("Window functions")));
  EXPECT_THAT(returned("* EXCLUDE (age)"), ElementsAre(HasSubstr("* stands on its own")));
  EXPECT_THAT(returned("people.age"), ElementsAre(HasSubstr("'people.age' is not one of them")));
  EXPECT_THAT(returned("nope + 1"), ElementsAre("Column 'nope' does not exist"));
}

TEST_F(EngineTest, ConflictsSeeBothRows) {
  auto& people = add_people(tables_);
  people.put(person(1, "ann", int64_t{30}, 10));
  const auto updated = [&](const std::string& set) -> std::vector<std::string> {
    auto insert = Statement::parse("INSERT INTO people AS p VALUES (1, 'x', 5) ON CONFLICT (id) DO UPDATE SET " + set);
    if (!insert) return {insert.error().message};
    std::vector<ConflictRow> rows;
    rows.push_back({person(1, "ann", int64_t{30}, 10), person(1, "x", int64_t{5}, 0)});
    rows.push_back({person(2, "bob", int64_t{40}, 11), person(2, "y", {}, 0)});
    auto result = engine_->conflict_updates(**insert, people.table(), std::move(rows), tables_, context_);
    if (!result) return {result.error().message};
    return lines(*result);
  };
  EXPECT_THAT(updated("age = p.age + excluded.age"), ElementsAre("35", "NULL"));
  EXPECT_THAT(updated("age = age + 1, name = DEFAULT"), ElementsAre("31|NULL", "41|NULL"));
  EXPECT_THAT(updated("name = p.name || excluded.name WHERE p.age > 30"), ElementsAre("annx|false", "boby|true"));
  EXPECT_THAT(updated("age = (SELECT max(q.age) FROM people q WHERE q.name < excluded.name)"), ElementsAre("30", "30"));
  EXPECT_THAT(updated("age = excluded.nope"), ElementsAre("Column 'excluded.nope' does not exist"));
  EXPECT_THAT(updated("age = sum(age)"), ElementsAre(HasSubstr("not allowed in ON CONFLICT DO UPDATE")));
}

TEST_F(EngineTest, InsertFromSelectLeavesSystemColumnsOut) {
  auto& people = add_people(tables_);
  people.put(person(1, "ann", int64_t{30}, 10));
  const auto rows_of = [&](const char* text) -> std::vector<std::string> {
    auto insert = Statement::parse(text);
    if (!insert) return {insert.error().message};
    auto rows = engine_->insert_rows(**insert, {"id", "name", "age"}, tables_, context_);
    if (!rows) return {rows.error().message};
    return lines(**rows);
  };
  EXPECT_THAT(rows_of("INSERT INTO people SELECT * FROM people"), ElementsAre("1|ann|30"));
  EXPECT_THAT(rows_of("INSERT INTO people VALUES (1 + 1, upper('x'), DEFAULT)"), ElementsAre("2|X|NULL"));
  EXPECT_THAT(rows_of("INSERT INTO people SELECT id FROM people"), ElementsAre(HasSubstr("3 column(s) but gives 1")));
  EXPECT_THAT(rows_of("WITH x AS (SELECT 9 AS id) INSERT INTO people SELECT id, 'n', 1 FROM x"), ElementsAre("9|n|1"));
}

TEST_F(EngineTest, LiveRowsAscendBySequence) {
  auto& people = add_people(tables_);
  flush(people, {person(5, "a", int64_t{1}, 50)});
  for (int64_t id = 1; id < 5; ++id) people.put(person(id, "p" + std::to_string(id), id, 100 - id));
  const auto live = [&](const char* text, Seq after, uint64_t newest) -> std::vector<std::string> {
    auto statement = Statement::parse(text);
    if (!statement) return {statement.error().message};
    auto rows = engine_->live_rows(**statement, tables_, context_, after, newest);
    if (!rows) return {rows.error().message};
    return lines(**rows);
  };
  EXPECT_THAT(live("SELECT name FROM app.people WHERE id <> 2", 0, 0), ElementsAre("a|50", "p4|96", "p3|97", "p1|99"));
  EXPECT_THAT(live("SELECT name FROM app.people", 96, 2), ElementsAre("p2|98", "p1|99"));
  EXPECT_THAT(live("SELECT * FROM app.people", 98, 0), ElementsAre("1|p1|1|99|false"));
}

TEST_F(EngineTest, FindsRowsInSegmentsByKey) {
  auto& people = add_people(tables_);
  flush(people, {person(1, "a", int64_t{1}, 10), person(2, "b", int64_t{2}, 11), person(3, "c", int64_t{3}, 12)});
  people.delete_positions(0, {1});
  flush(people, {person(7, "d", int64_t{4}, 20)});
  const auto& table = *people.definition();
  std::vector<std::string> keys;
  for (int64_t id : {1, 2, 7, 9}) keys.push_back(model::encode_key(table, person(id, "", int64_t{0}, 0)));
  auto found = engine_->find_in_segments(people.definition(), people.segments(), keys);
  ASSERT_TRUE(found.has_value()) << found.error().message;
  ASSERT_EQ(found->size(), 2u);
  std::sort(found->begin(), found->end(), [](const auto& a, const auto& b) { return a.key < b.key; });
  EXPECT_EQ((*found)[0].key, keys[0]);
  EXPECT_EQ((*found)[0].seq, 10);
  EXPECT_EQ((*found)[0].position, 0u);
  EXPECT_EQ((*found)[1].segment_id, people.segments()[1].id);
  EXPECT_EQ((*found)[1].row, model::encode_row(table, person(7, "d", int64_t{4}, 20)));
  found = engine_->find_in_segments(people.definition(), people.segments(), std::span(keys).subspan(0, 1));
  ASSERT_TRUE(found.has_value()) << found.error().message;
  EXPECT_EQ(found->size(), 1u);
}

// The predicate of a subscription and the WHERE of a SELECT agree on random rows.
TEST_F(EngineTest, PredicatesMeanWhatSelectMeans) {
  auto& people = add_people(tables_);
  std::vector<model::Row> rows;
  uint32_t random = 12345;
  for (int64_t id = 0; id < 3000; ++id) {
    random = random * 1664525 + 1013904223;
    const model::Value age = random % 7 == 0 ? model::Value(model::Null{}) : model::Value(int64_t{random >> 8} % 100);
    rows.push_back(person(id, std::string(1 + (random >> 4) % 5, static_cast<char>('a' + random % 26)), age, id + 1));
    people.put(rows.back());
  }
  for (const char* where :
       {"age > 50", "age IS NULL OR name LIKE 'a%'", "id % 3 = 0 AND age BETWEEN 10 AND 20", "length(name) = 2",
        "name IN ('aa', 'b', 'ccc')", "NOT (age < 90)", "_seq > 2990", "_updated < now()", "1 = 0", "true",
        "coalesce(age, 0) + 1 = 1", "name = current_user OR age = 7",
        "age(TIMESTAMP '2000-01-01' + to_days(id)) > INTERVAL 5 YEAR"}) {
    const std::string text = std::string("SELECT * FROM people WHERE ") + where;
    auto statement = Statement::parse(text);
    ASSERT_TRUE(statement.has_value()) << text << ": " << statement.error().message;
    auto predicate = engine_->bind_predicate(**statement, people.definition(), context_);
    ASSERT_TRUE(predicate.has_value()) << text << ": " << predicate.error().message;
    std::vector<std::string> encoded;
    for (const auto& row : rows) encoded.push_back(model::encode_row(*people.definition(), row));
    std::vector<model::RowRecord> records;
    for (size_t i = 0; i < rows.size(); ++i) records.push_back({.seq = static_cast<Seq>(i) + 1, .row = encoded[i]});
    std::vector<char> matches;
    ASSERT_TRUE((*predicate)->evaluate(records, matches).has_value());
    const auto count = std::count(matches.begin(), matches.end(), 1);
    EXPECT_THAT(sql(std::string("SELECT count(*) FROM people WHERE ") + where), ElementsAre(std::to_string(count)))
        << where;
  }
  for (const char* where : {"id = (SELECT max(id) FROM people)", "random() < 0.5", "snowflake_id() = 1"}) {
    auto statement = Statement::parse(std::string("SELECT * FROM people WHERE ") + where);
    if (!statement) continue;
    auto predicate = engine_->bind_predicate(**statement, people.definition(), context_);
    ASSERT_FALSE(predicate.has_value()) << where;
    EXPECT_EQ(predicate.error().code, ErrorCode::kInvalidSql);
  }
  auto all = Statement::parse("SELECT * FROM people");
  auto none = engine_->bind_predicate(**all, people.definition(), context_);
  ASSERT_TRUE(none.has_value());
  EXPECT_EQ(*none, nullptr);
}

TEST_F(EngineTest, ViewsStandForTheirQuery) {
  auto& people = add_people(tables_);
  people.put(person(1, "ann", int64_t{30}, 10));
  tables_.add_view("app", "adults", "SELECT * FROM people WHERE age >= 18", {"id", "name"}, {"number", "name"});
  EXPECT_THAT(sql("SELECT number, name FROM adults"), ElementsAre("1|ann"));
  EXPECT_THAT(sql("SELECT a.name FROM adults a JOIN people p ON p.id = a.number"), ElementsAre("ann"));
}

TEST_F(EngineTest, DmlIsExplainedAsTheQueryThatFindsItsRows) {
  auto& people = add_people(tables_);
  people.put(person(1, "a", int64_t{1}, 10));
  for (const char* text :
       {"EXPLAIN UPDATE people SET age = 2 WHERE id = 1", "EXPLAIN DELETE FROM app.people WHERE id = 1",
        "EXPLAIN INSERT INTO people SELECT * FROM people"}) {
    const auto plan = sql(text);
    ASSERT_EQ(plan.size(), 1u);
    EXPECT_THAT(plan[0], HasSubstr("app.people")) << text;
  }
}

// Whatever the allow-lists let through, DuckDB itself has no way out.
TEST(InstanceTest, DuckDbCannotReachFilesExtensionsOrSettings) {
  auto instance = Instance::open({});
  ASSERT_TRUE(instance.has_value()) << instance.error().message;
  Session session(*instance, {});
  for (const char* text :
       {"SELECT * FROM read_csv('/etc/passwd')", "SELECT * FROM read_text('/etc/passwd')",
        "SELECT * FROM '/etc/passwd'", "SELECT * FROM glob('/etc/*')", "COPY (SELECT 1) TO '/tmp/out.csv'",
        "ATTACH '/tmp/other.db'", "INSTALL httpfs", "LOAD '/tmp/x.duckdb_extension'", "SET threads = 1",
        "SET enable_external_access = true", "SET lock_configuration = false", "RESET allowed_directories",
        "SELECT * FROM read_parquet('https://example.com/x.parquet')",
        "SELECT * FROM read_text('kalam:/1//etc/passwd')", "SELECT * FROM glob('kalam:/*')"}) {
    EXPECT_TRUE(session.context().Query(text, false)->HasError()) << text;
  }
}

TEST_F(EngineTest, ExplainNamesTablesButNoFiles) {
  auto& people = add_people(tables_);
  flush(people, {person(1, "a", int64_t{1}, 10)});
  const auto plan = sql("EXPLAIN SELECT * FROM people WHERE id = 1");
  ASSERT_EQ(plan.size(), 1u);
  EXPECT_THAT(plan[0], HasSubstr("app.people"));
  EXPECT_THAT(plan[0], Not(HasSubstr(files_.path())));
}

}  // namespace
}  // namespace kalamdb::duck
