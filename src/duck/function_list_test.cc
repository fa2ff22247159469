// Every function of the DuckDB that is linked has been looked at: it is on the allow-list and can be called, or it is
// refused by a rule below that says why.
#include <gtest/gtest.h>

#include <set>

#include "duck/allow_list.h"
#include "duck/engine_test_tables.h"
#include "duck/instance.h"
#include "duck/tokens.h"

namespace kalamdb::duck {
namespace {

struct Refused {
  const char* why;
  std::set<std::string_view> names;
  std::vector<std::string_view> prefixes = {};
};

const Refused kRefused[] = {
    {"files and the network",
     {"arrow_scan", "arrow_scan_dumb", "glob", "sniff_csv", "inet_client_addr", "inet_client_port", "inet_server_addr",
      "inet_server_port"},
     {"read_", "parquet_"}},
    {"runs SQL that is given as text, or shows plans and parsers",
     {"check_peg_parser", "json_deserialize_sql", "json_execute_serialized_sql", "json_serialize_plan",
      "json_serialize_sql", "query", "query_table", "sql_auto_complete"}},
    {"settings, variables, sequences, secrets, logs and the process",
     {"checkpoint", "current_setting", "currval", "disable_logging", "enable_logging", "force_checkpoint",
      "get_block_size", "getvariable", "nextval", "parse_duckdb_log_message", "setseed", "truncate_duckdb_logs",
      "version", "which_secret", "write_log"}},
    {"DuckDB's catalog",
     {"col_description", "current_catalog", "current_database", "current_schema", "current_schemas", "format_pg_type",
      "format_type", "histogram_values", "icu_calendar_names", "in_search_path", "map_to_pg_oid", "obj_description",
      "shobj_description", "seq_scan", "summary", "histogram"},
     {"pg_", "duckdb_", "pragma_", "has_"}},
    {"other queries and connections",
     {"current_connection_id", "current_query", "current_query_id", "current_transaction_id", "txid_current"}},
    {"the engine's own parts, which fail or crash on what users may give them",
     {"can_cast_implicitly",
      "cast_to_type",
      "combine",
      "constant_or_null",
      "create_sort_key",
      "error",
      "finalize",
      "icu_sort_key",
      "is_histogram_other_bin",
      "kalamdb_scan",
      "remap_struct",
      "replace_type",
      "stats",
      "sum_no_overflow",
      "test_all_types",
      "test_vector_types",
      "timetz_byte_comparable",
      "unpivot_list",
      "variant_extract",
      "variant_typeof",
      "vector_type"},
     {"__internal_", "icu_collate_"}},
};

const char* why_refused(std::string_view name) {
  for (const Refused& group : kRefused) {
    if (group.names.contains(name)) return group.why;
    for (const std::string_view prefix : group.prefixes) {
      if (name.starts_with(prefix)) return group.why;
    }
  }
  return nullptr;
}

// What follows the name in a call; a function is callable if it takes one of these.
const char* kArguments[] = {
    "()",
    "(1)",
    "('a')",
    "(1, 2)",
    "('a', 'b')",
    "('a', 1)",
    "([1, 2])",
    "([true, false])",
    "('0101')",
    "('0101', 8)",
    "('YQ==')",
    "([1, 2], 1)",
    "(1, [1, 2])",
    "([1, 2], [1, 2])",
    "(DATE '2024-01-02')",
    "(TIMESTAMP '2024-01-02 03:04:05')",
    "(TIMESTAMPTZ '2024-01-02 03:04:05Z')",
    "(DATE '2024-01-02', DATE '2024-01-03')",
    "(INTERVAL 1 DAY)",
    "('day', DATE '2024-01-02')",
    "('day', DATE '2024-01-02', DATE '2024-01-03')",
    "(INTERVAL 1 DAY, DATE '2024-01-02')",
    "(TIMETZ '03:04:05+02')",
    "('2024', '%Y')",
    "(DATE '2024-01-02', '%Y')",
    "(1, 2, 3)",
    "(2024, 1, 2, 3, 4, 5.5)",
    "('a', 'b', 'c')",
    "('a', 'b', 1)",
    "('a', 1, 1)",
    "('a', 2, 'b')",
    "([1, 2], 1, 2)",
    "(0, 10, 2, true)",
    "('{\"a\": [1]}')",
    "('{\"a\": [1]}', '$.a')",
    "('{\"a\": 1}', '{\"a\": \"INTEGER\"}')",
    "('[1, 2]', '[3, 4]')",
    "('\\xAA'::BLOB)",
    "(uuidv7())",
    "('101'::BIT, 1)",
    "('101'::BIT, 1, 0)",
    "('1'::BIT, '101'::BIT)",
    "(1, 0.5)",
    "(1, 0.5, 10)",
    "(1, 1, 0, 2)",
    "([1, 2], 'sum')",
    "(['a', 'b'])",
    "(['a', 'b'], ',')",
    "([[1], [2]])",
    "([1, 2], [true, false])",
    "([1, 2], x -> x > 1)",
    "([1, 2], (x, y) -> x + y)",
    "([1.0, 2.0]::FLOAT[2], [1.0, 2.0]::FLOAT[2])",
    "([1.0, 2.0, 3.0]::FLOAT[3], [1.0, 2.0, 3.0]::FLOAT[3])",
    "([1.0, 2.0], [1.0, 2.0])",
    "(['a'], [1])",
    "({'a': 1})",
    "({'a': 1}, 'a')",
    "({'a': 1}, {'b': 2})",
    "(row(1), 1)",
    "(row(1, 'a'), 'a')",
    "({'a': 1}, b := 2)",
    "(a := 1)",
    "([{'k': 1, 'v': 2}])",
    "(MAP {'a': 1})",
    "(MAP {'a': 1}, 'a')",
    "(MAP {'a': 1}, 1)",
    "(MAP {'a': 1}, 'a', 1)",
    "(MAP {'a': 1}, MAP {'b': 2})",
    "(union_value(a := 1))",
    "(union_value(a := 1), 'a')",
    "('a'::ENUM ('a', 'b'))",
    "('a'::ENUM ('a', 'b'), 'b'::ENUM ('a', 'b'))",
    "('a', 'b', 'c', 'd')",
    "(true)",
    "(true, false)",
    "('a', [1])",
    "('a', ['b'])",
    "('{} {}', 1, 2)",
    "(1) OVER (ORDER BY x)",
    "() OVER (ORDER BY x)",
    "(x) OVER (ORDER BY x)",
    "(x, 1) OVER (ORDER BY x)",
};

class FunctionList : public ::testing::Test {
 protected:
  void SetUp() override {
    const EngineOptions options = {.threads = 1,
                                   .memory_bytes = 512 << 20,
                                   .temp_directory = files_.path() + "/temp",
                                   .generators = {.snowflake_id = [] { return int64_t{1}; },
                                                  .uuid_v7 = [] { return model::Uuid{}; },
                                                  .ulid = [] { return std::string("ulid"); }}};
    instance_ = *Instance::open(options);
    engine_ = *Engine::create(options);
  }

  // The names of DuckDB's functions of a kind ("scalar", "table", …), or of all but tables.
  std::set<std::string> names(const std::string& condition) {
    duckdb::Connection connection(*instance_->database);
    auto result = connection.Query("SELECT DISTINCT lower(function_name) FROM duckdb_functions() WHERE function_type " +
                                   condition);
    EXPECT_FALSE(result->HasError()) << result->GetError();
    std::set<std::string> found;
    for (size_t row = 0; row < result->RowCount(); ++row) found.insert(result->GetValue(0, row).ToString());
    return found;
  }

  bool runs(const std::string& sql) {
    const auto statement = Statement::parse(sql);
    if (!statement) return false;
    auto result = engine_->query(**statement, tables_, {.current_user = "ann", .current_role = "user"});
    return result && (*result)->next();
  }

  TemporaryFolder files_;
  std::shared_ptr<Instance> instance_;
  std::unique_ptr<Engine> engine_;
  TestTables tables_;
};

TEST_F(FunctionList, EveryFunctionIsAllowedOrRefusedForAReason) {
  const auto scalar = names("IN ('scalar', 'aggregate', 'macro')");
  const auto table = names("IN ('table', 'table_macro')");
  ASSERT_GT(scalar.size(), 600u);
  ASSERT_GT(table.size(), 50u);
  for (const auto& name : scalar) {
    // histogram() is an aggregate and a table macro.
    const bool refused = name != "histogram" && why_refused(name) != nullptr;
    EXPECT_NE(is_allowed_function(name), refused) << name << (refused ? " is allowed and refused" : " is unreviewed");
  }
  for (const auto& name : table) {
    EXPECT_NE(is_allowed_table_function(name), why_refused(name) != nullptr) << name;
  }
}

TEST_F(FunctionList, WhatIsRefusedCannotBeCalled) {
  for (const std::string& name : names("<> 'pragma'")) {
    if (why_refused(name) == nullptr || name == "histogram") continue;
    const std::string quoted = "\"" + name + "\"";
    for (const std::string& call : {quoted, "main." + quoted, "system.main." + quoted, "pg_catalog." + quoted}) {
      for (const char* arguments : {"()", "('/etc/passwd')", "('a', 1)"}) {
        for (const std::string& sql : {"SELECT " + call + arguments, "FROM " + call + arguments,
                                       "SELECT " + call + arguments + " OVER ()", "SELECT (1)." + quoted + arguments}) {
          const auto statement = Statement::parse(sql);
          ASSERT_FALSE(statement) << sql;
          EXPECT_EQ(statement.error().code, ErrorCode::kInvalidSql) << sql;
        }
      }
    }
  }
  for (const std::string& name : names("= 'pragma'")) {
    for (const std::string& sql : {"PRAGMA " + name, "PRAGMA " + name + "('a')", "CALL " + name + "()"}) {
      EXPECT_FALSE(Statement::parse(sql)) << sql;
    }
  }
}

TEST_F(FunctionList, WhatIsAllowedCanBeCalled) {
  for (const std::string_view name : allowed_functions()) {
    // Quoted where it would be an operator or a word of the grammar.
    const bool is_word = split_statements(name).has_value() && std::isalpha(static_cast<unsigned char>(name.front()));
    bool callable = false;
    for (const bool quoted : {true, false}) {
      const std::string call = quoted ? "\"" + std::string(name) + "\"" : std::string(name);
      if (!quoted && !is_word) continue;
      for (const char* arguments : kArguments) {
        callable = runs("SELECT " + call + arguments + " FROM (VALUES (1), (2)) t(x)");
        if (callable) break;
      }
      if (callable) break;
    }
    EXPECT_TRUE(callable) << name;
  }
}

// A function that answers differently each time must be one that is known to do so.
TEST_F(FunctionList, WhatIsAllowedIsPure) {
  duckdb::Connection connection(*instance_->database);
  auto result = connection.Query("SELECT DISTINCT lower(function_name) FROM duckdb_functions() WHERE has_side_effects");
  const std::set<std::string_view> random = {"gen_random_uuid", "random", "snowflake_id", "ulid", "uuid",
                                             "uuid_v7",         "uuidv4", "uuidv7"};
  for (size_t row = 0; row < result->RowCount(); ++row) {
    const std::string name = result->GetValue(0, row).ToString();
    EXPECT_TRUE(random.contains(name) || !is_allowed_function(name)) << name;
  }
}

}  // namespace
}  // namespace kalamdb::duck
