#include "duck/statement.h"

#include <gtest/gtest.h>

namespace kalamdb::duck {
namespace {

std::shared_ptr<const Statement> parsed(std::string_view sql) {
  auto statement = Statement::parse(sql);
  EXPECT_TRUE(statement) << sql << ": " << statement.error().message;
  return statement ? *statement : nullptr;
}

std::string error_of(std::string_view sql) {
  const auto statement = Statement::parse(sql);
  if (statement) return "accepted";
  EXPECT_EQ(statement.error().code, ErrorCode::kInvalidSql);
  return statement.error().message;
}

std::string shown(const TableName& table) {
  return table.schema.empty() ? table.name : table.schema + "." + table.name;
}

std::string shown(const Operand& operand) {
  switch (operand.kind) {
    case Operand::Kind::kParameter:
      return "$" + std::to_string(operand.parameter);
    case Operand::Kind::kDefault:
      return "DEFAULT";
    case Operand::Kind::kFunction:
      return operand.name + "()";
    case Operand::Kind::kExcluded:
      return "excluded." + operand.name;
    case Operand::Kind::kLiteral:
      break;
  }
  if (model::is_null(operand.literal)) return "NULL";
  if (const bool* value = std::get_if<bool>(&operand.literal)) return *value ? "true" : "false";
  if (const int64_t* value = std::get_if<int64_t>(&operand.literal)) return std::to_string(*value);
  if (const double* value = std::get_if<double>(&operand.literal)) return "double " + std::to_string(*value);
  return "'" + std::get<std::string>(operand.literal) + "'";
}

std::string shown(const std::vector<Equality>& where) {
  std::string out;
  for (const Equality& equality : where) {
    out += (out.empty() ? "" : ", ") + equality.column + "=" + shown(equality.value);
  }
  return out;
}

std::string shown(const std::vector<Assignment>& set) {
  std::string out;
  for (const Assignment& assignment : set) {
    out += (out.empty() ? "" : ", ") + assignment.column + "=" + (assignment.value ? shown(*assignment.value) : "…");
  }
  return out;
}

std::string tables(std::string_view sql) {
  const auto statement = parsed(sql);
  std::string out;
  for (const TableName& table : statement->tables()) out += (out.empty() ? "" : " ") + shown(table);
  return out;
}

std::string point(std::string_view sql) {
  const auto statement = parsed(sql);
  const auto& shape = statement->point_select();
  if (!shape) return "";
  std::string out = shown(shape->table) + ":" + (shape->star ? " *" : "");
  for (const auto& item : shape->columns) out += " " + item.column + (item.name == item.column ? "" : ">" + item.name);
  return out + " | " + shown(shape->where);
}

// The operands of the rows of an INSERT.
std::string rows(std::string_view sql) {
  const auto statement = parsed(sql);
  std::string out;
  for (const auto& row : statement->insert()->rows) {
    out += out.empty() ? "(" : " (";
    for (size_t i = 0; i < row.size(); ++i) out += (i > 0 ? ", " : "") + shown(row[i]);
    out += ")";
  }
  return out;
}

TEST(Statement, Kinds) {
  EXPECT_EQ(parsed("SELECT 1")->kind(), StatementKind::kSelect);
  EXPECT_EQ(parsed("(SELECT 1)")->kind(), StatementKind::kSelect);
  EXPECT_EQ(parsed("FROM t")->kind(), StatementKind::kSelect);
  EXPECT_EQ(parsed("VALUES (1, 2)")->kind(), StatementKind::kSelect);
  EXPECT_EQ(parsed("TABLE t;")->kind(), StatementKind::kSelect);
  EXPECT_EQ(parsed("WITH x AS (SELECT 1) INSERT INTO t FROM x")->kind(), StatementKind::kInsert);
  EXPECT_EQ(parsed("UPDATE t SET a = 1")->kind(), StatementKind::kUpdate);
  EXPECT_EQ(parsed("delete from t")->kind(), StatementKind::kDelete);
  EXPECT_EQ(parsed("EXPLAIN ANALYZE UPDATE t SET a = 1")->kind(), StatementKind::kExplain);
}

TEST(Statement, Parameters) {
  EXPECT_EQ(parsed("SELECT 1")->parameter_count(), 0u);
  EXPECT_EQ(parsed("SELECT ?, ?")->parameter_count(), 2u);
  EXPECT_EQ(parsed("SELECT $3")->parameter_count(), 3u);
  EXPECT_EQ(parsed("EXPLAIN SELECT 1 WHERE EXISTS (SELECT $2 LIMIT $4)")->parameter_count(), 4u);
  EXPECT_NE(error_of("SELECT $name").find("$name"), std::string::npos);
}

TEST(Statement, SyntaxErrors) {
  EXPECT_EQ(error_of(""), "There is no SQL statement");
  EXPECT_EQ(error_of("SELECT 1; SELECT 2"), "Only one statement is allowed here");
  EXPECT_EQ(error_of("SELECT *\nFROM t WHERE >"), "syntax error at or near \">\" (line 2, column 14)");
  EXPECT_EQ(error_of("SELECT 'a"), "Unterminated quoted string in SQL batch");
  EXPECT_EQ(error_of(std::string_view("SELECT 1\0; COPY", 15)), "SQL text contains a NUL byte");
  EXPECT_EQ(error_of("SELECT '\xff'"), "SQL text is not valid UTF-8");
  EXPECT_EQ(error_of("SELECT X'ABC'"), "X'…' needs an even number of hexadecimal digits");
}

TEST(Statement, Tables) {
  EXPECT_EQ(tables("SELECT * FROM NS.T, \"Other\" JOIN kalam.ns.u ON true, ns.t AS again"), "ns.t other ns.u");
  EXPECT_EQ(
      tables("SELECT (SELECT 1 FROM a), b IN (SELECT 1 FROM c) FROM (SELECT * FROM d) ORDER BY (SELECT 1 FROM e)"),
      "a c d e");
  EXPECT_EQ(tables("INSERT INTO a SELECT * FROM b ON CONFLICT (k) DO UPDATE SET v = (SELECT 1 FROM c) WHERE "
                   "EXISTS (FROM d) RETURNING (SELECT 1 FROM e)"),
            "a b d c e");
  EXPECT_EQ(tables("UPDATE a SET x = (SELECT 1 FROM b) FROM c WHERE y IN (FROM d) RETURNING (SELECT 1 FROM e)"),
            "a c d b e");
  EXPECT_EQ(tables("DELETE FROM a USING b, LATERAL (FROM c) WHERE EXISTS (FROM d)"), "a b c d");
  EXPECT_EQ(tables("SELECT * FROM a POSITIONAL JOIN b ASOF JOIN c ON b.x >= c.x"), "a b c");
  EXPECT_EQ(tables("EXPLAIN FROM a UNION ALL (FROM b EXCEPT FROM c)"), "a b c");
  EXPECT_EQ(tables("SELECT list_transform(l, x -> (SELECT 1 FROM a)), sum(z ORDER BY (SELECT 1 FROM b)) FILTER (WHERE "
                   "EXISTS (FROM c)) OVER (PARTITION BY (SELECT 1 FROM d) ROWS (SELECT 1 FROM e) PRECEDING)"),
            "a d c e b");
  EXPECT_EQ(tables("SELECT * FROM range(1, 5), '/etc/passwd'"), "/etc/passwd");
}

TEST(Statement, CteScopes) {
  EXPECT_EQ(tables("WITH x AS (FROM a) SELECT * FROM X, b"), "a b");
  EXPECT_EQ(tables("WITH t AS (FROM t) SELECT * FROM t"), "t");
  EXPECT_EQ(tables("WITH x AS (FROM y), y AS (FROM x) FROM x, y"), "y");
  EXPECT_EQ(tables("WITH RECURSIVE r AS (SELECT 1 n UNION ALL SELECT n + 1 FROM r, a) FROM r"), "a");
  EXPECT_EQ(tables("SELECT * FROM (WITH x AS (SELECT 1) FROM x), x"), "x");
  EXPECT_EQ(tables("WITH x AS (SELECT 1) SELECT * FROM a WHERE b IN (SELECT c FROM x, d) UNION FROM x"), "a d");
  EXPECT_EQ(tables("WITH x AS MATERIALIZED (SELECT 1) SELECT * FROM ns.x"), "ns.x");
  EXPECT_EQ(tables("WITH t AS (SELECT 1) INSERT INTO t FROM t"), "t");
  EXPECT_EQ(tables("WITH x AS (FROM a) DELETE FROM t WHERE k IN (FROM x)"), "t a");
  EXPECT_EQ(tables("WITH x AS (FROM a) UPDATE t SET v = 1 FROM x"), "t a");
}

TEST(Statement, PointSelects) {
  EXPECT_EQ(point("SELECT * FROM ns.T WHERE id = 5"), "ns.t: * | id=5");
  EXPECT_EQ(point("SELECT a, t.B AS x FROM t WHERE 'k' = t.id AND c = -3 AND d = $2 LIMIT 1"),
            "t: a B>x | id='k', c=-3, d=$2");
  EXPECT_EQ(point("SELECT x.a FROM ns.t x WHERE x.id = now()"), "ns.t: a | id=NOW()");
  EXPECT_EQ(point("SELECT ns.t.a FROM ns.t WHERE ns.t.id = true"), "ns.t: a | id=true");
  EXPECT_EQ(point("FROM t WHERE id = CURRENT_USER"), "t: * | id=CURRENT_USER()");
  for (const char* other : {"SELECT * FROM t",
                            "SELECT * FROM t WHERE id > 5",
                            "SELECT * FROM t WHERE id = 5 OR id = 6",
                            "SELECT * FROM t WHERE id = 5 LIMIT 0",
                            "SELECT * FROM t WHERE id = 5 LIMIT 1 OFFSET 1",
                            "SELECT * FROM t WHERE id = 5 ORDER BY a",
                            "SELECT DISTINCT * FROM t WHERE id = 5",
                            "SELECT a + 1 FROM t WHERE id = 5",
                            "SELECT *, a FROM t WHERE id = 5",
                            "SELECT * FROM t WHERE id = NULL",
                            "SELECT * FROM t WHERE id = other",
                            "SELECT * FROM t, u WHERE id = 5",
                            "SELECT count(*) FROM t WHERE id = 5",
                            "SELECT a FROM t WHERE id = 5 GROUP BY ALL",
                            "SELECT a FROM t WHERE id = 5 HAVING a = 1",
                            "SELECT * EXCLUDE (a) FROM t WHERE id = 5",
                            "SELECT * FROM t x WHERE t.id = 5",
                            "SELECT * FROM t AS t(z) WHERE z = 5",
                            "WITH t AS (SELECT 1 id) SELECT * FROM t WHERE id = 1",
                            "SELECT * FROM t TABLESAMPLE 10% WHERE id = 5",
                            "SELECT current_user FROM t WHERE id = 5",
                            "SELECT * FROM t WHERE id = 5 UNION SELECT * FROM t WHERE id = 6",
                            "SELECT * FROM t WHERE id = 1 + 1"}) {
    EXPECT_EQ(point(other), "") << other;
  }
}

TEST(Statement, InsertRows) {
  EXPECT_EQ(
      rows("INSERT INTO t VALUES (1, -2, 2147483648, -9223372036854775808, 9223372036854775808, 1.50, -0.5, 1e3)"),
      "(1, -2, 2147483648, -9223372036854775808, '9223372036854775808', '1.50', '-0.5', double 1000.000000)");
  EXPECT_EQ(rows("INSERT INTO t VALUES (true, FALSE, NULL, 'a''b', E'a\\nb', $$x$$, X'deAD', '\\xDE\\xAD'::BLOB)"),
            "(true, false, NULL, 'a'b', 'a\nb', 'x', '\\xDEAD', '\\xDEAD')");
  EXPECT_EQ(rows("INSERT INTO t VALUES (now(), CURRENT_TIMESTAMP, CURRENT_USER, CURRENT_USER(), SNOWFLAKE_ID(), "
                 "uuid_v7(), ulid(), DEFAULT)"),
            "(NOW(), NOW(), CURRENT_USER(), CURRENT_USER(), SNOWFLAKE_ID(), UUID_V7(), ULID(), DEFAULT)");
  EXPECT_EQ(
      rows("INSERT INTO t VALUES (DATE '2024-01-02', TIMESTAMP '2024-01-02 03:04:05', '1'::TEXT, [1, -2.5, 3e2])"),
      "('2024-01-02', '2024-01-02 03:04:05', '1', '[1, -2.5, 300.0]')");
  EXPECT_EQ(rows("INSERT INTO t (a, b) VALUES ($1, $2), (?, ?)"), "($1, $2) ($3, $4)");
  for (const char* computed :
       {"INSERT INTO t VALUES (1), (1 + 1)", "INSERT INTO t VALUES (lower('A'))", "INSERT INTO t VALUES ('5'::INT)",
        "INSERT INTO t VALUES (DATE 'tomorrow')", "INSERT INTO t SELECT 1", "INSERT INTO t VALUES (1) LIMIT 1",
        "INSERT INTO t VALUES ((SELECT 1))", "INSERT INTO t VALUES (['a'])",
        "INSERT INTO t VALUES (TRY_CAST('a' AS DATE))"}) {
    EXPECT_EQ(rows(computed), "") << computed;
  }
}

TEST(Statement, Inserts) {
  auto statement = parsed(
      "INSERT INTO Ns.T (a, \"B\") VALUES (1, 2) ON CONFLICT (a) DO UPDATE SET b = excluded.b, "
      "c = 5, d = d + 1 WHERE t.x > 1 RETURNING *");
  const InsertShape& insert = *statement->insert();
  EXPECT_EQ(shown(insert.table), "ns.t");
  EXPECT_EQ(insert.columns, (std::vector<std::string>{"a", "B"}));
  EXPECT_EQ(insert.on_conflict, InsertShape::OnConflict::kUpdate);
  EXPECT_EQ(insert.conflict_target, std::vector<std::string>{"a"});
  EXPECT_EQ(shown(insert.conflict_set), "b=excluded.b, c=5, d=…");
  EXPECT_TRUE(insert.conflict_has_where);
  ASSERT_EQ(statement->returning().size(), 1u);
  EXPECT_EQ(statement->returning()[0].kind, ReturningItem::Kind::kStar);
  EXPECT_FALSE(statement->change() || statement->point_select());

  statement = parsed("INSERT INTO t DEFAULT VALUES");
  EXPECT_TRUE(statement->insert()->default_values && statement->insert()->rows.empty());
  EXPECT_EQ(parsed("INSERT OR IGNORE INTO t VALUES (1)")->insert()->on_conflict, InsertShape::OnConflict::kNothing);
  statement = parsed("INSERT INTO t VALUES (1) ON CONFLICT DO NOTHING");
  EXPECT_EQ(statement->insert()->on_conflict, InsertShape::OnConflict::kNothing);
  EXPECT_TRUE(statement->insert()->conflict_target.empty());
  EXPECT_EQ(parsed("INSERT INTO t VALUES (1)")->insert()->on_conflict, InsertShape::OnConflict::kFail);
}

TEST(Statement, Changes) {
  auto statement = parsed("UPDATE ns.t SET a = 1, b = b + 1, c = DEFAULT, d = $1 WHERE id = 3 AND t.k = 'x'");
  EXPECT_EQ(shown(statement->change()->table), "ns.t");
  EXPECT_EQ(shown(statement->change()->set), "a=1, b=…, c=DEFAULT, d=$1");
  EXPECT_EQ(shown(statement->change()->where.value()), "id=3, k='x'");
  EXPECT_TRUE(statement->returning().empty());

  statement = parsed("UPDATE t SET a = 1");
  EXPECT_FALSE(statement->change()->has_where || statement->change()->where);
  statement = parsed("UPDATE t SET a = u.a FROM u WHERE t.id = 3");
  EXPECT_TRUE(statement->change()->has_where);
  EXPECT_FALSE(statement->change()->where);

  statement = parsed("DELETE FROM t WHERE id = 3 RETURNING id, t.a AS b, _seq, lower(c)");
  EXPECT_EQ(shown(statement->change()->where.value()), "id=3");
  const auto& returning = statement->returning();
  ASSERT_EQ(returning.size(), 4u);
  EXPECT_TRUE(returning[0].kind == ReturningItem::Kind::kColumn && returning[0].name == "id");
  EXPECT_TRUE(returning[1].column == "a" && returning[1].name == "b");
  EXPECT_EQ(returning[2].column, "_seq");
  EXPECT_EQ(returning[3].kind, ReturningItem::Kind::kExpression);
  EXPECT_FALSE(parsed("DELETE FROM t USING u WHERE t.id = 3")->change()->where);
  EXPECT_FALSE(parsed("DELETE FROM t WHERE id > 3")->change()->where);
}

Result<LiveShape> live(std::string_view sql) { return parsed(sql)->live(); }

std::string live_error(std::string_view sql) {
  const auto shape = live(sql);
  if (shape) return "accepted";
  EXPECT_EQ(shape.error().code, ErrorCode::kInvalidSql);
  return shape.error().message;
}

TEST(Statement, Live) {
  const auto shape = live("SELECT id, Body FROM app.Messages m WHERE m.room = 5 AND owner = CURRENT_USER()");
  ASSERT_TRUE(shape) << shape.error().message;
  EXPECT_EQ(shown(shape->table), "app.messages");
  EXPECT_EQ(shape->columns, (std::vector<std::string>{"id", "Body"}));
  EXPECT_TRUE(shape->has_where && shape->uses_current_user);

  const auto all = live("SELECT * FROM app.messages");
  ASSERT_TRUE(all);
  EXPECT_TRUE(all->columns.empty());
  EXPECT_FALSE(all->has_where || all->uses_current_user);
  EXPECT_EQ(live("select  *\nfrom app.t where a=1 -- c\n")->normalized,
            live("SELECT * FROM app.t WHERE a = 1")->normalized);
  EXPECT_NE(live("SELECT * FROM app.t WHERE a = 1")->normalized, live("SELECT * FROM app.t WHERE a = 2")->normalized);
  EXPECT_TRUE(live("SELECT * FROM app.t WHERE a = current_user")->uses_current_user);
}

TEST(Statement, LiveErrors) {
  const auto no = [](const std::string& clause) {
    return "Subscription query does not support " + clause + ". Only SELECT ... FROM ... [WHERE ...] is supported.";
  };
  const std::string only = "Subscription query supports only SELECT ... FROM ... [WHERE ...].";
  EXPECT_EQ(live_error("SELECT * FROM a.t JOIN a.u ON true"), no("JOIN"));
  EXPECT_EQ(live_error("SELECT * FROM a.t, a.u"), no("JOIN"));
  EXPECT_EQ(live_error("SELECT * FROM a.t ORDER BY id"), "Subscription query with ORDER BY needs a LIMIT.");
  EXPECT_EQ(live_error("SELECT id FROM a.t GROUP BY id LIMIT 1"), no("ORDER BY or LIMIT with aggregates"));
  EXPECT_EQ(live_error("WITH x AS (SELECT 1) SELECT * FROM a.t"), no("WITH"));
  EXPECT_EQ(live_error("SELECT id FROM a.t HAVING id > 1"), no("HAVING"));
  EXPECT_EQ(live_error("SELECT DISTINCT id FROM a.t"), no("DISTINCT"));
  EXPECT_EQ(live_error("SELECT * FROM a.t UNION SELECT * FROM a.t"), no("UNION"));
  EXPECT_EQ(live_error("SELECT * FROM a.t EXCEPT SELECT * FROM a.t"), no("EXCEPT"));
  EXPECT_EQ(live_error("SELECT * FROM a.t INTERSECT SELECT * FROM a.t"), no("INTERSECT"));
  EXPECT_EQ(live_error("SELECT * FROM a.t WHERE id IN (SELECT 1)"), no("subqueries"));
  EXPECT_EQ(live_error("SELECT * FROM (SELECT * FROM a.t)"), no("subqueries"));
  EXPECT_EQ(live_error("SELECT * FROM a.t LIMIT 1"), only);
  EXPECT_EQ(live_error("SELECT * FROM a.t OFFSET 1"), only);
  EXPECT_EQ(live_error("SELECT 1"), only);
  EXPECT_EQ(live_error("SELECT * FROM range(5)"), only);
  EXPECT_EQ(live_error("VALUES (1)"), only);
  EXPECT_EQ(live_error("SELECT * FROM a.t TABLESAMPLE 10%"), only);
  EXPECT_EQ(live_error("SELECT * FROM t"), "Query must use namespace.table format");
  EXPECT_EQ(live_error("DELETE FROM a.t"), "Subscription query must be a SELECT");
  EXPECT_EQ(live_error("SELECT * FROM a.t WHERE id = $1"), "Subscription query does not support parameters");
  for (const char* projection :
       {"id + 1", "count(*) + 1", "id AS x", "*, id", "* EXCLUDE (id)", "_seq", "id, _DELETED"}) {
    EXPECT_NE(live_error(std::string("SELECT ") + projection + " FROM a.t"), "accepted") << projection;
  }
  EXPECT_NE(live_error("SELECT * FROM a.t WHERE id = '" + std::string(70'000, 'x') + "'"), "accepted");
}

TEST(Statement, LiveShapesOfResults) {
  const auto shape = [](const char* sql) { return *(*Statement::parse(sql))->live(); };
  EXPECT_EQ(shape("SELECT * FROM a.t WHERE id > 1").kind, LiveKind::kRows);
  const LiveShape top = shape("SELECT id FROM a.t ORDER BY x DESC, lower(y) LIMIT 20");
  EXPECT_EQ(top.kind, LiveKind::kTop);
  EXPECT_EQ(top.limit, 20u);
  EXPECT_EQ(top.columns, std::vector<std::string>{"id"});
  using Kind = LiveItem::Kind;
  const auto kinds = [&](const char* sql) {
    std::vector<Kind> all;
    for (const LiveItem& item : shape(sql).items) all.push_back(item.kind);
    return all;
  };
  EXPECT_EQ(kinds("SELECT g, count(*), avg(x) FROM a.t GROUP BY g"),
            (std::vector{Kind::kKey, Kind::kCount, Kind::kAvg}));
  EXPECT_EQ(kinds("SELECT min(x), x % 2 AS odd FROM a.t GROUP BY 2"), (std::vector{Kind::kMin, Kind::kKey}));
  EXPECT_EQ(kinds("SELECT sum(x), x % 2 AS odd FROM a.t GROUP BY odd"), (std::vector{Kind::kSum, Kind::kKey}));
  EXPECT_EQ(kinds("SELECT max(x) FILTER (WHERE y) FROM a.t"), std::vector{Kind::kMax});
  EXPECT_NE(shape("SELECT * FROM a.t ORDER BY x LIMIT 2").normalized,
            shape("SELECT * FROM a.t ORDER BY x LIMIT 3").normalized);
}

}  // namespace
}  // namespace kalamdb::duck
