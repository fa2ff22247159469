#include "model/table.h"

#include <gtest/gtest.h>

#include "model/random_value.h"

namespace kalamdb::model {
namespace {

ColumnDefinition column(std::string name, uint32_t ordinal, DataType type) {
  ColumnDefinition column;
  column.name = std::move(name);
  column.ordinal = ordinal;
  column.type = type;
  return column;
}

struct Stored {
  TableDefinition table;
  std::vector<SchemaVersion> history;
};

// A table that uses everything a definition can hold, with its history.
Stored rich_table() {
  std::mt19937_64 random(1);
  Stored stored;
  TableDefinition& table = stored.table;
  table.id = TableId(4'000'000'000);
  table.namespace_id = "app";
  table.name = "notes";
  table.type = TableType::kUser;
  for (const DataType& type : all_types()) {
    for (int i = 0; i < 10; ++i) {
      ColumnDefinition next =
          column("c" + std::to_string(table.columns.size()), static_cast<uint32_t>(table.columns.size() + 1), type);
      next.default_value = {ColumnDefault::Kind::kLiteral, random_value(random, type), ""};
      table.columns.push_back(next);
    }
  }
  table.columns[0].primary_key_position = 2;
  table.columns[1].primary_key_position = 1;
  table.columns[1].nullable = false;
  table.columns[2].default_value = {ColumnDefault::Kind::kFunction, Null{}, "SNOWFLAKE_ID"};
  table.columns[3].default_value = {ColumnDefault::Kind::kLiteral, Null{}, ""};
  table.columns[4].default_value = {};
  table.columns[5].partition_key = true;
  table.columns[5].comment = "a \"comment\"\nwith é";
  table.schema_version = 2;
  stored.history = {{1, 10, "CREATE TABLE", table.columns}, {2, 20, "DROP COLUMN c169", table.columns}};
  table.columns.pop_back();
  stored.history[1].columns.pop_back();
  table.options.storage_id = "s3-main";
  table.options.use_user_storage = true;
  table.options.flush_policy = FlushPolicy{100, 60};
  table.options.deleted_retention_hours = 0;
  table.options.access_level = AccessLevel::kDba;
  table.options.ttl_seconds = 30;
  table.options.max_rows_per_user = 1000;
  table.options.user_shards = 3;
  table.options.shares_segments = true;
  table.options.max_stream_size_bytes = uint64_t{1} << 40;
  table.options.compression = "lz4";
  table.options.extra = {{"enable_cache", "true"}};
  table.comment = "notes of users";
  table.created_by = "ann";
  table.created_at_us = 1'704'164'645'000'000;
  table.updated_at_us = -1;
  return stored;
}

// NaN defaults are not equal to themselves, so that columns are compared field by field.
void expect_equal(const std::vector<ColumnDefinition>& a, const std::vector<ColumnDefinition>& b) {
  ASSERT_EQ(a.size(), b.size());
  for (size_t i = 0; i < a.size(); ++i) {
    ColumnDefinition x = a[i];
    ColumnDefinition y = b[i];
    EXPECT_TRUE(same(view(*x.default_value.literal), view(*y.default_value.literal))) << x.name;
    x.default_value.literal = y.default_value.literal = Null{};
    EXPECT_EQ(x, y) << x.name;
  }
}

TEST(TableTest, DefinitionsRoundTrip) {
  const auto [table, history] = rich_table();
  const std::string json = encode(table, history);
  auto decoded = decode_table(json);
  ASSERT_TRUE(decoded) << decoded.error().message;
  EXPECT_EQ(decoded->id, table.id);
  EXPECT_EQ(decoded->qualified_name(), "app.notes");
  EXPECT_EQ(decoded->type, table.type);
  expect_equal(decoded->columns, table.columns);
  EXPECT_EQ(decoded->schema_version, table.schema_version);
  EXPECT_EQ(decoded->options, table.options);
  EXPECT_EQ(decoded->comment, table.comment);
  EXPECT_EQ(decoded->created_by, "ann");
  EXPECT_EQ(decoded->created_at_us, table.created_at_us);
  EXPECT_EQ(decoded->updated_at_us, -1);

  const auto versions = decode_history(json);
  ASSERT_TRUE(versions) << versions.error().message;
  ASSERT_EQ(versions->size(), 2u);
  expect_equal((*versions)[0].columns, history[0].columns);
  EXPECT_EQ((*versions)[1].changes, "DROP COLUMN c169");
  EXPECT_EQ((*versions)[1].created_at_us, 20);
}

TEST(TableTest, WhatAlterTableLeavesRoundTrips) {
  TableDefinition table;
  table.columns = {column("a", 1, {TypeTag::kText}), column("b", 5, {TypeTag::kDecimal, 0, 6, 2})};
  table.columns[0].own_slot = 7;
  table.columns[0].older_rows.edit().former = {{6, {TypeTag::kDecimal, 0, 10, 4}}, {1, {TypeTag::kInt}}};
  table.columns[1].older_rows.edit().missing = Decimal{-150};
  table.checks = {{"positive", "b > 0 -- \"quoted\"", {5}}};
  auto decoded = decode_table(encode(table, {}));
  ASSERT_TRUE(decoded) << decoded.error().message;
  EXPECT_EQ(decoded->columns, table.columns);
  EXPECT_EQ(decoded->checks, table.checks);
  EXPECT_EQ(decoded->max_slot(), 7u);
  EXPECT_EQ(decoded->max_ordinal(), 5u);
}

TEST(TableTest, RecordsFromBeforeAlterTableLoad) {
  TableDefinition table;
  table.columns = {column("a", 3, {TypeTag::kText})};
  std::string json = encode(table, {});
  const std::string added = "\"checks\":[],";
  ASSERT_NE(json.find(added), std::string::npos);
  json.erase(json.find(added), added.size());
  auto decoded = decode_table(json);
  ASSERT_TRUE(decoded) << decoded.error().message;
  EXPECT_EQ(decoded->columns, table.columns);
  EXPECT_EQ(decoded->columns[0].slot(), 3u);
}

TEST(TableTest, DefaultsOfOptionsRoundTrip) {
  auto decoded = decode_table(encode(TableDefinition{}, {}));
  ASSERT_TRUE(decoded);
  EXPECT_EQ(decoded->options, TableOptions{});
}

TEST(TableTest, DamagedDefinitionsAreCorruption) {
  TableDefinition table;
  table.columns = {column("a", 1, {TypeTag::kInt})};
  table.columns[0].default_value = {ColumnDefault::Kind::kLiteral, Value(int64_t{5}), ""};
  std::string json = encode(table, {});
  for (size_t length = 0; length < json.size(); ++length) {
    auto decoded = decode_table(std::string_view(json).substr(0, length));
    ASSERT_FALSE(decoded);
    EXPECT_EQ(decoded.error().code, ErrorCode::kCorruption);
  }
  for (auto [from, to] : {std::pair{"\"INT\"", "\"INTERVAL\""},
                          {"\"literal\":\"5\"", "\"literal\":\"x\""},
                          {"\"shared\"", "\"shard\""},
                          {"\"kind\":\"literal\"", "\"kind\":\"guess\""},
                          {"\"ordinal\":1", "\"ordinal\":\"1\""}}) {
    std::string damaged = json;
    size_t at = damaged.find(from);
    ASSERT_NE(at, std::string::npos) << from;
    damaged.replace(at, std::string_view(from).size(), to);
    EXPECT_FALSE(decode_table(damaged)) << to;
  }
}

TEST(TableTest, ColumnsAreFoundInAnyLetterCase) {
  TableDefinition table;
  table.columns = {column("SentAt", 1, {TypeTag::kInt})};
  ASSERT_NE(table.find_column("sentat"), nullptr);
  EXPECT_EQ(table.find_column("SENTAT"), &table.columns[0]);
  EXPECT_EQ(table.find_column("sent"), nullptr);
}

TEST(TableTest, PrimaryKeyIsInKeyOrderOrHidden) {
  const TableDefinition table = rich_table().table;
  auto key = table.primary_key();
  ASSERT_EQ(key.size(), 2u);
  EXPECT_EQ(key[0], &table.columns[1]);
  EXPECT_EQ(key[1], &table.columns[0]);
  TableDefinition keyless;
  keyless.columns = {column("a", 1, {TypeTag::kInt}), column("_key", 2, {TypeTag::kBigInt})};
  ASSERT_EQ(keyless.primary_key().size(), 1u);
  EXPECT_EQ(keyless.primary_key()[0]->name, "_key");
}

TEST(TableTest, OrdinalsAndSlotsOfDroppedColumnsAreRemembered) {
  auto [table, history] = rich_table();
  history[0].columns[7].own_slot = 180;
  EXPECT_EQ(table.columns.back().ordinal, 169u);
  const auto decoded = decode_table(encode(table, history));
  ASSERT_TRUE(decoded);
  EXPECT_EQ(decoded->max_ordinal(), 170u);
  EXPECT_EQ(decoded->max_slot(), 180u);
  EXPECT_EQ(TableDefinition{}.max_ordinal(), 0u);
}

TEST(TableTest, NamespacesRoundTrip) {
  NamespaceDefinition definition{"app", R"({"owner":"ann"})", 7};
  auto decoded = decode_namespace(encode(definition));
  ASSERT_TRUE(decoded);
  EXPECT_EQ(decoded->name, "app");
  EXPECT_EQ(decoded->options_json, definition.options_json);
  EXPECT_EQ(decoded->created_at_us, 7);
  EXPECT_EQ(decode_namespace("{}").error().code, ErrorCode::kCorruption);
}

TEST(TableTest, Names) {
  EXPECT_EQ(lower_name(TableType::kStream), "stream");
  EXPECT_EQ(upper_name(TableType::kUser), "USER");
  EXPECT_EQ(pascal_name(TableType::kSystem), "System");
  EXPECT_EQ(lower_name(AccessLevel::kDba), "dba");
  EXPECT_EQ(pascal_name(AccessLevel::kPublic), "Public");
}

}  // namespace
}  // namespace kalamdb::model
