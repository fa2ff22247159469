// Every door out of the SQL engine, in every place where it could be hidden, must be refused by name.
#include "duck/allow_list.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "duck/statement.h"
#include "duckdb.hpp"

namespace kalamdb::duck {
namespace {

std::string replaced(std::string text, const std::string& what, const std::string& by) {
  for (size_t at = text.find(what); at != std::string::npos; at = text.find(what, at + by.size())) {
    text.replace(at, what.size(), by);
  }
  return text;
}

void expect_refused(const std::string& sql, std::string_view named = "") {
  const auto statement = Statement::parse(sql);
  ASSERT_FALSE(statement) << "accepted: " << sql;
  EXPECT_EQ(statement.error().code, ErrorCode::kInvalidSql);
  EXPECT_NE(statement.error().message.find(named), std::string::npos) << sql << ": " << statement.error().message;
}

void expect_accepted(const std::string& sql) {
  const auto statement = Statement::parse(sql);
  EXPECT_TRUE(statement) << sql << ": " << statement.error().message;
}

// Each takes an expression at @.
const std::vector<std::string> kExpressionPlaces = {
    "SELECT @",
    "SELECT 1 + @",
    "SELECT -(@)",
    "SELECT @ IS NULL",
    "SELECT NOT @",
    "SELECT a = @ FROM t",
    "SELECT * FROM t WHERE @",
    "SELECT * FROM t WHERE a IN (1, @)",
    "SELECT * FROM t WHERE a BETWEEN 1 AND @",
    "SELECT a FROM t GROUP BY @",
    "SELECT a FROM t GROUP BY GROUPING SETS ((@), ())",
    "SELECT a FROM t HAVING @",
    "SELECT a FROM t QUALIFY @",
    "SELECT * FROM t ORDER BY @",
    "SELECT * FROM t LIMIT @",
    "SELECT * FROM t LIMIT 1 OFFSET @",
    "SELECT * FROM t LIMIT (@) %",
    "SELECT DISTINCT ON (@) a FROM t",
    "SELECT CASE WHEN @ THEN 1 END",
    "SELECT CASE WHEN a THEN @ END FROM t",
    "SELECT CASE a WHEN 1 THEN 1 ELSE @ END FROM t",
    "SELECT CAST(@ AS TEXT)",
    "SELECT TRY_CAST(@ AS INT)",
    "SELECT TRY(@)",
    "SELECT COALESCE(NULL, @)",
    "SELECT IFNULL(NULL, @)",
    "SELECT IF(true, @, 1)",
    "SELECT NULLIF(1, @)",
    "SELECT @ COLLATE nocase",
    "SELECT [1, @]",
    "SELECT ARRAY[@]",
    "SELECT {'a': @}",
    "SELECT MAP {'a': @}",
    "SELECT (1, @)",
    "SELECT l[@] FROM t",
    "SELECT l[1:@] FROM t",
    "SELECT (@).a",
    "SELECT (1).add(@)",
    "SELECT upper(@)",
    "SELECT concat('a', lower(@))",
    "SELECT list_transform([1], x -> @)",
    "SELECT list_transform([1], lambda x: @)",
    "SELECT list_filter([1], x -> x = @)",
    "SELECT list_reduce([1], lambda x, y: @)",
    "SELECT [@ for x in [1]]",
    "SELECT [x for x in [1] if @]",
    "SELECT a -> @ FROM t",
    "SELECT a ->> @ FROM t",
    "SELECT 'x' || @",
    "SELECT 'x' LIKE @",
    "SELECT 'x' SIMILAR TO @",
    "SELECT sum(@) FROM t",
    "SELECT sum(a ORDER BY @) FROM t",
    "SELECT sum(a) FILTER (WHERE @) FROM t",
    "SELECT sum(DISTINCT @) FROM t",
    "SELECT quantile_cont(a, 0.5 ORDER BY @) FROM t",
    "SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY @) FROM t",
    "SELECT sum(@) OVER () FROM t",
    "SELECT sum(a) OVER (PARTITION BY @) FROM t",
    "SELECT sum(a) OVER (ORDER BY @) FROM t",
    "SELECT sum(a) OVER (ROWS BETWEEN @ PRECEDING AND CURRENT ROW) FROM t",
    "SELECT sum(a) OVER (ROWS BETWEEN CURRENT ROW AND @ FOLLOWING) FROM t",
    "SELECT sum(a) FILTER (WHERE @) OVER () FROM t",
    "SELECT lag(a, @) OVER () FROM t",
    "SELECT lag(a, 1, @) OVER () FROM t",
    "SELECT first_value(a ORDER BY @) OVER () FROM t",
    "SELECT sum(a) OVER w FROM t WINDOW w AS (ORDER BY @)",
    "SELECT * REPLACE (@ AS a) FROM t",
    "SELECT COLUMNS(c -> @) FROM t",
    "SELECT COLUMNS(*)::TEXT || @ FROM t",
    "SELECT (SELECT @)",
    "SELECT EXISTS (SELECT @)",
    "SELECT 1 IN (SELECT @)",
    "SELECT @ IN (SELECT 1)",
    "SELECT 1 = ANY (SELECT @)",
    "SELECT 1 = ANY (@)",
    "SELECT @ > ALL (SELECT 1)",
    "SELECT ARRAY(SELECT @)",
    "SELECT ARRAY(SELECT 1 ORDER BY @)",
    "SELECT * FROM (SELECT @)",
    "SELECT * FROM a JOIN b ON @",
    "SELECT * FROM a ASOF JOIN b ON a.x >= b.x AND @",
    "SELECT * FROM a, LATERAL (SELECT @)",
    "SELECT * FROM (VALUES (1), (@))",
    "VALUES (@)",
    "SELECT * FROM range(@)",
    "SELECT * FROM unnest([@])",
    "SELECT * FROM range((SELECT @))",
    "SELECT 1 UNION SELECT @",
    "SELECT 1 UNION ALL BY NAME SELECT @",
    "SELECT 1 EXCEPT SELECT @",
    "(SELECT 1) ORDER BY @",
    "WITH x AS (SELECT @) SELECT 1",
    "WITH x AS MATERIALIZED (SELECT @) FROM x",
    "WITH x AS (WITH y AS (SELECT @) FROM y) FROM x",
    "WITH RECURSIVE r AS (SELECT 1 UNION ALL SELECT @ FROM r) FROM r",
    "WITH RECURSIVE r AS (SELECT @ UNION SELECT 1) FROM r",
    "WITH RECURSIVE r AS (WITH z AS (SELECT @) SELECT 1 UNION SELECT 2) FROM r",
    "INSERT INTO t VALUES (@)",
    "INSERT INTO t SELECT @",
    "INSERT INTO t VALUES (1) RETURNING @",
    "INSERT INTO t VALUES (1) ON CONFLICT (a) DO UPDATE SET a = @",
    "INSERT INTO t VALUES (1) ON CONFLICT (a) DO UPDATE SET a = 1 WHERE @",
    "WITH x AS (SELECT @) INSERT INTO t FROM x",
    "UPDATE t SET a = @",
    "UPDATE t SET (a, b) = (1, @)",
    "UPDATE t SET a = 1 WHERE @",
    "UPDATE t SET a = 1 RETURNING @",
    "UPDATE t SET a = 1 FROM (SELECT @) x",
    "WITH x AS (SELECT @) UPDATE t SET a = 1 FROM x",
    "DELETE FROM t WHERE @",
    "DELETE FROM t USING (SELECT @) x",
    "DELETE FROM t RETURNING @",
    "WITH x AS (SELECT @) DELETE FROM t WHERE EXISTS (FROM x)",
    "EXPLAIN SELECT @",
    "EXPLAIN ANALYZE SELECT @",
    "FROM t SELECT @",
    "SELECT a: @",
};

TEST(AllowList, RefusesFunctionsEverywhere) {
  for (const std::string& place : kExpressionPlaces) {
    expect_accepted(replaced(place, "@", "abs(1)"));
    for (const char* door : {"getenv('HOME')", "main.read_text('/etc/passwd')", "system.main.abs(1)"}) {
      expect_refused(replaced(place, "@", door), "is not available");
    }
    expect_refused(replaced(place, "@", "(SELECT 1 FROM read_csv('/etc/passwd'))"), "read_csv");
    expect_refused(replaced(place, "@", "current_schema"), "current_schema");
    expect_refused(replaced(place, "@", "(NULL::secret)"), "secret");
  }
}

TEST(AllowList, RefusesFunctions) {
  for (const char* function : {"getenv",
                               "current_setting",
                               "getvariable",
                               "currval",
                               "nextval",
                               "setseed",
                               "write_log",
                               "stats",
                               "error",
                               "current_schemas",
                               "current_database",
                               "current_query",
                               "txid_current",
                               "json_serialize_plan",
                               "json_serialize_sql",
                               "json_deserialize_sql",
                               "json_execute_serialized_sql",
                               "pg_get_viewdef",
                               "pg_table_is_visible",
                               "has_table_privilege",
                               "inet_server_addr",
                               "obj_description",
                               "read_text",
                               "read_csv",
                               "glob",
                               "in_search_path",
                               "combine",
                               "finalize",
                               "current_connection_id",
                               "query",
                               "parse_duckdb_log_message",
                               "no_such_function",
                               "\"READ_TEXT\"",
                               "cast_to_type"}) {
    expect_refused(std::string("SELECT ") + function + "('a')", "is not available");
    expect_refused(std::string("SELECT sum(a), ") + function + "(a) OVER () FROM t", "is not available");
  }
  expect_refused("SELECT sum(a) EXPORT_STATE FROM t", "EXPORT_STATE");
  expect_refused("SELECT t.col.lower() FROM t");
}

TEST(AllowList, RefusesTableFunctions) {
  for (const char* function : {"read_csv",
                               "read_csv_auto",
                               "read_parquet",
                               "parquet_scan",
                               "parquet_metadata",
                               "parquet_schema",
                               "read_json",
                               "read_json_auto",
                               "read_json_objects",
                               "read_ndjson",
                               "read_text",
                               "read_blob",
                               "glob",
                               "sniff_csv",
                               "query",
                               "query_table",
                               "duckdb_settings",
                               "duckdb_tables",
                               "duckdb_secrets",
                               "duckdb_extensions",
                               "duckdb_functions",
                               "pragma_table_info",
                               "pragma_version",
                               "pragma_database_size",
                               "which_secret",
                               "checkpoint",
                               "force_checkpoint",
                               "seq_scan",
                               "arrow_scan",
                               "test_all_types",
                               "summary",
                               "histogram",
                               "sql_auto_complete",
                               "enable_logging",
                               "json_execute_serialized_sql",
                               "pg_timezone_names",
                               "truncate_duckdb_logs",
                               "main.read_csv",
                               "system.main.range",
                               "main.range",
                               "READ_CSV",
                               "icu_calendar_names"}) {
    const std::string call = std::string(function) + "('/etc/passwd')";
    for (const char* place :
         {"SELECT * FROM @", "FROM @", "SELECT * FROM t JOIN @ ON true", "SELECT * FROM t, LATERAL @ x",
          "SELECT 1 IN (FROM @)", "SELECT 1 UNION FROM @", "WITH x AS (FROM @) SELECT 1", "INSERT INTO t FROM @",
          "UPDATE t SET a = 1 FROM @", "DELETE FROM t USING @", "EXPLAIN FROM @", "SELECT * FROM @ WITH ORDINALITY",
          "SELECT * FROM @ TABLESAMPLE 10%"}) {
      expect_refused(replaced(place, "@", call));
    }
  }
}

TEST(AllowList, RefusesStatements) {
  for (const char* sql : {"COPY t TO 'x.csv'",
                          "COPY (SELECT 1) TO 'x.parquet'",
                          "COPY t FROM 'x.csv'",
                          "ATTACH 'x.db'",
                          "DETACH x",
                          "USE x",
                          "PRAGMA database_list",
                          "PRAGMA enable_profiling",
                          "SET memory_limit = '1GB'",
                          "RESET ALL",
                          "LOAD httpfs",
                          "INSTALL httpfs",
                          "FORCE INSTALL x",
                          "UPDATE EXTENSIONS",
                          "CALL pragma_version()",
                          "EXPORT DATABASE 'x'",
                          "IMPORT DATABASE 'x'",
                          "CHECKPOINT",
                          "FORCE CHECKPOINT",
                          "VACUUM",
                          "ANALYZE",
                          "PREPARE p AS SELECT 1",
                          "EXECUTE p",
                          "DEALLOCATE p",
                          "CREATE TABLE t (a INT)",
                          "CREATE TABLE t AS SELECT 1",
                          "CREATE VIEW v AS SELECT 1",
                          "CREATE MACRO m(a) AS a",
                          "CREATE SECRET s (TYPE s3)",
                          "CREATE TYPE t AS ENUM ('a')",
                          "CREATE SEQUENCE s",
                          "CREATE SCHEMA s",
                          "CREATE INDEX i ON t (a)",
                          "DROP TABLE t",
                          "ALTER TABLE t ADD a INT",
                          "TRUNCATE t",
                          "BEGIN",
                          "COMMIT",
                          "ROLLBACK",
                          "DESCRIBE t",
                          "SHOW TABLES",
                          "SUMMARIZE t",
                          "PIVOT t ON a USING sum(b)",
                          "UNPIVOT t ON a, b INTO NAME n VALUE v",
                          "COMMENT ON TABLE t IS 'x'",
                          "MERGE INTO t USING s ON (t.a = s.a) WHEN MATCHED THEN DELETE",
                          "EXPLAIN COPY t TO 'x'",
                          "EXPLAIN CREATE TABLE t (a INT)",
                          "EXPLAIN ATTACH 'x'",
                          "EXPLAIN PRAGMA version",
                          "\"SELECT\" 1"}) {
    expect_refused(sql, "");
  }
  expect_refused("/* x */ copy t TO 'x'", "Unsupported statement type: COPY");
  expect_refused("FOO BAR", "Unsupported statement type: FOO");
}

TEST(AllowList, RefusesConstructs) {
  expect_refused("SELECT * FROM (PIVOT t ON a USING sum(b))", "PIVOT");
  expect_refused("SELECT * FROM t PIVOT (sum(b) FOR a IN (1, 2))", "PIVOT");
  expect_refused("SELECT * FROM t UNPIVOT (v FOR n IN (a, b))", "PIVOT");
  expect_refused("WITH x AS (UNPIVOT t ON a) FROM x", "PIVOT");
  expect_refused("SELECT * FROM (DESCRIBE t)", "DESCRIBE");
  expect_refused("SELECT * FROM (SHOW TABLES)", "SHOW");
  expect_refused("SELECT * FROM (SHOW ALL TABLES)", "SHOW");
  expect_refused("SELECT * FROM (SUMMARIZE t)", "SUMMARIZE");
  expect_refused("WITH x AS (DESCRIBE t) FROM x", "CTE");
  expect_refused("SELECT * FROM t AT (VERSION => 1)", "AT");
  expect_refused("INSERT INTO t BY NAME SELECT 1 AS a", "BY NAME");
  expect_refused("INSERT OR REPLACE INTO t VALUES (1)", "OR REPLACE");
  expect_refused("INSERT INTO t VALUES (1) ON CONFLICT (a) WHERE b DO NOTHING", "ON CONFLICT");
  expect_refused("SELECT 1::nowhere.integer", "integer");
  expect_refused("SELECT a::STRUCT(x INT, y secret[]) FROM t", "secret");
  expect_refused("SELECT a::MAP(INT, secret) FROM t", "secret");
  expect_refused("SELECT a::UNION(x secret) FROM t", "secret");
  expect_refused("SELECT NULL::INT[1000][1000]", "8192");
  expect_refused("SELECT NULL::STRUCT(a INT[90][2])[100]", "8192");
  expect_accepted("SELECT NULL::FLOAT[8192], '1'::JSON, '{}'::json, a::DECIMAL(10, 2)[], 'a'::ENUM ('a', 'b') FROM t");
}

TEST(AllowList, RefusesDuckDbCatalogs) {
  for (const char* table : {"sqlite_master", "duckdb_tables", "pg_catalog.pg_class", "pg_class", "pg_tables",
                            "pragma_database_list", "memory.main.t", "system.information_schema.tables", "temp.main.t",
                            "other.ns.t", "SQLITE_MASTER", "main.sqlite_master"}) {
    for (const char* place : {"SELECT * FROM @", "SELECT (SELECT 1 FROM @)", "INSERT INTO t FROM @",
                              "DELETE FROM t USING @", "WITH x AS (FROM @) FROM x", "SELECT 1 WHERE EXISTS (FROM @)"}) {
      expect_refused(replaced(place, "@", table));
    }
  }
  expect_refused("INSERT INTO memory.main.t VALUES (1)", "memory");
  expect_refused("UPDATE memory.main.t SET a = 1", "memory");
  expect_refused("DELETE FROM memory.main.t", "memory");
  expect_accepted("SELECT * FROM kalam.ns.t, information_schema.tables, system.jobs, 'file.csv', ns.pg_class");
}

}  // namespace
}  // namespace kalamdb::duck
