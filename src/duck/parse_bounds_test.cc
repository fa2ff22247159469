// Hostile texts: whatever comes in, parsing ends soon, with a result or an error.
#include "duck/parse_bounds.h"

#include <gtest/gtest.h>

#include <chrono>
#include <random>

#include "duck/statement.h"
#include "duck/tokens.h"

namespace kalamdb::duck {
namespace {

std::string repeated(const std::string& text, size_t times) {
  std::string out;
  out.reserve(text.size() * times);
  for (size_t i = 0; i < times; ++i) out += text;
  return out;
}

std::string error_of(const std::string& sql) {
  const auto statement = Statement::parse(sql);
  return statement ? "accepted" : statement.error().message;
}

std::string nested_ctes(size_t depth, size_t width) {
  std::string sql = "SELECT 1";
  for (size_t i = 0; i < depth; ++i) {
    sql = "WITH a" + std::to_string(i) + " AS (" + sql + ")";
    for (size_t j = 1; j < width; ++j) sql += ", b" + std::to_string(j) + " AS (SELECT 1)";
    sql += " SELECT 1";
  }
  return sql;
}

TEST(ParseBounds, AllowsWhatPeopleWrite) {
  EXPECT_EQ(error_of("SELECT " + std::string(190, '(') + "1" + std::string(190, ')')), "accepted");
  EXPECT_EQ(error_of("SELECT a" + repeated(" || a", 500) + " FROM t"), "accepted");
  EXPECT_EQ(error_of("SELECT * FROM t WHERE a = 1" + repeated(" OR a = 2", 4'000)), "accepted");
  EXPECT_EQ(error_of("SELECT * FROM t WHERE a IN (1" + repeated(", 2", 100'000) + ")"), "accepted");
  EXPECT_EQ(error_of(nested_ctes(1, 40)), "accepted");
  EXPECT_EQ(error_of(nested_ctes(3, 4)), "accepted");
  EXPECT_EQ(error_of("SELECT a, b, sum(c) FROM t GROUP BY CUBE (a, b), ROLLUP (d, e)"), "accepted");
  EXPECT_EQ(error_of("UPDATE t SET (a, b, c) = (1, 2, 3) WHERE id = 1"), "accepted");
  EXPECT_EQ(error_of("SELECT sum(a) OVER w, avg(a) OVER w FROM t WINDOW w AS (ORDER BY b)"), "accepted");
  EXPECT_EQ(error_of("SELECT '" + repeated("(", 1000) + "', \"" + repeated("(", 1000) + "\" FROM t -- " +
                     repeated("(", 1000)),
            "accepted");
}

TEST(ParseBounds, NamesTheBound) {
  EXPECT_EQ(error_of("SELECT " + std::string(100'000, '(')), "SQL statement is nested more than 200 levels deep");
  EXPECT_EQ(error_of("SELECT " + repeated("[", 201)), "SQL statement is nested more than 200 levels deep");
  EXPECT_EQ(error_of("SELECT 1" + repeated(" AND a", 5'001)), "SQL statement has more than 5000 conditions (AND, OR)");
  EXPECT_EQ(error_of(nested_ctes(1, 65)), "SQL statement has more than 64 common table expressions (WITH)");
  EXPECT_EQ(error_of(nested_ctes(5, 1)), "SQL statement has more than 4 levels of WITH within WITH");
  const std::string deep = "SQL statement has expressions nested more than 1000 levels deep";
  EXPECT_EQ(error_of("SELECT 1" + repeated(" + 1", 2'000)), deep);
  EXPECT_EQ(error_of("SELECT " + repeated("NOT ", 100'000) + "a"), deep);
}

TEST(ParseBounds, HostileTextsEndSoon) {
  const std::string cube = "(SELECT 1 FROM t GROUP BY CUBE (a,b,c,d,e,f,g,h,i,j,k,l,m,n,o))";
  const std::vector<std::string> texts = {
      "SELECT " + repeated("- ", 500'000) + "1",
      "SELECT " + repeated("~", 1'000'000) + "1",
      "SELECT 1" + repeated("+1", 500'000),
      "SELECT 1" + repeated(" UNION SELECT 1", 60'000),
      "SELECT 1 FROM a" + repeated(" JOIN a ON true", 60'000),
      "SELECT 1 FROM a" + repeated(",a", 400'000),
      "SELECT 1" + repeated("::int", 200'000),
      "SELECT 1::int" + repeated("[]", 400'000),
      "SELECT a" + repeated("[1]", 300'000),
      "SELECT (a)" + repeated(".f()", 200'000),
      "SELECT " + repeated("CASE WHEN a THEN ", 60'000) + "1",
      "SELECT " + repeated("x -> ", 200'000) + "1",
      "SELECT " + repeated("{'a':", 200'000),
      "SELECT a" + repeated(" COLLATE x", 100'000),
      "SELECT 1 WHERE a" + repeated(" BETWEEN a AND a", 60'000),
      "SELECT 1" + repeated(" EXCEPT (SELECT 1", 60'000),
      nested_ctes(4, 15),
      nested_ctes(3, 60),
      "SELECT 1 FROM t" + repeated(" JOIN " + cube + " ON true", 300),
      "WITH a AS (WITH b AS (WITH c AS " + cube + " SELECT 1) SELECT 1) SELECT 1",
      "UPDATE t SET (a" + repeated(",a", 3'000) + ") = f(1" + repeated(",1", 3'000) + ")",
      "SELECT 1" + repeated(", sum(a) OVER w", 20'000) + " FROM t WINDOW w AS (ORDER BY a" + repeated(",a", 5'000) +
          ")",
      "INSERT INTO t VALUES (1)" + repeated(",(1)", 200'000),
      "SELECT '" + repeated("''", 500'000),
      "SELECT " + repeated("$a", 500'000),
      "SELECT " + repeated("/*", 500'000),
      "SELECT " + repeated("'a'\n", 200'000),
      repeated(";", 1'000'000),
  };
  std::string array = "SELECT a IN (1" + repeated(",1", 100'000) + ")";
  for (int i = 0; i < 12; ++i) array = "SELECT ARRAY(SELECT 1 ORDER BY (" + array + "))";
  for (size_t i = 0; i <= texts.size(); ++i) {
    const std::string& text = i < texts.size() ? texts[i] : array;
    const auto start = std::chrono::steady_clock::now();
    static_cast<void>(Statement::parse(text));
    static_cast<void>(split_statements(text));
    // What is copied without a bound takes minutes; this leaves room for sanitizers and busy machines.
    EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(10)) << text.substr(0, 60);
  }
}

// Mutations of sound statements: nothing may crash, and what is accepted once must be accepted again as it is.
TEST(ParseBounds, MutatedStatements) {
  const std::vector<std::string> seeds = {
      "SELECT a, b AS x, count(*) FROM ns.t JOIN u USING (id) WHERE a = $1 AND b IN (1, 'x') GROUP BY ALL ORDER BY 1 "
      "LIMIT 5",
      "INSERT INTO t (a, b) VALUES (1, 'it''s'), (?, X'DEAD') ON CONFLICT (a) DO UPDATE SET b = excluded.b RETURNING *",
      "UPDATE t SET a = a + 1, b = DEFAULT FROM u WHERE t.id = u.id AND c BETWEEN 1 AND 2",
      "DELETE FROM t USING u WHERE t.id = -1.5e3 RETURNING id",
      "WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r WHERE n < 5) SELECT * FROM r, LATERAL (SELECT n)",
      "SELECT list_transform([1, 2], x -> x + 1), {'a': 1}.a, a[1:2], a::DECIMAL(4, 2)[], sum(x) OVER (ORDER BY y ROWS "
      "2 PRECEDING)",
      "EXPLAIN SELECT * REPLACE (1 AS a) EXCLUDE (b), COLUMNS(c -> c LIKE 'x%') FROM t TABLESAMPLE 10% QUALIFY true",
      "SELECT E'\\x41', $$text$$, \"quoted\", /* c */ 1_000 -- end\n, DATE '2024-01-01', INTERVAL 1 DAY, CASE WHEN a "
      "THEN b END",
  };
  const std::vector<std::string> fragments = {
      "(", ")", "'", "\"", "--", "/*",   "$$",       ";",    ",",           "SELECT", "FROM", " AS ", "::", "\\",
      "[", "]", "{", "$1", "?",  "NOT ", "\xc2\xa0", "\xff", "WITH x AS (", "*",      ".",    "é",    "-"};
  std::mt19937 random(7);
  const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(4);
  size_t accepted = 0;
  for (int round = 0; round < 40'000 && std::chrono::steady_clock::now() < until; ++round) {
    std::string sql = seeds[random() % seeds.size()];
    for (size_t n = 1 + random() % 4; n > 0; --n) {
      const size_t at = random() % (sql.size() + 1);
      switch (random() % 4) {
        case 0:
          sql.insert(at, fragments[random() % fragments.size()]);
          break;
        case 1:
          sql.erase(at, 1 + random() % 8);
          break;
        case 2:
          sql.insert(at, seeds[random() % seeds.size()].substr(random() % 40, random() % 20));
          break;
        default:
          if (at < sql.size()) sql[at] = static_cast<char>(random() % 256);
      }
    }
    static_cast<void>(split_statements(sql));
    const auto statement = Statement::parse(sql);
    if (!statement) {
      ASSERT_EQ(statement.error().code, ErrorCode::kInvalidSql);
      ASSERT_FALSE(statement.error().message.empty());
      continue;
    }
    ++accepted;
    static_cast<void>((*statement)->live());
    ASSERT_TRUE(tokenize(sql)) << sql;
    ASSERT_EQ(split_statements(sql)->size(), 1u) << sql;
  }
  EXPECT_GT(accepted, 100u);
}

}  // namespace
}  // namespace kalamdb::duck
