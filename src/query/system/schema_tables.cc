// system.namespaces, tables, schemas, columns, datatypes: the one model, as rows.
#include <array>
#include <map>
#include <nlohmann/json.hpp>

#include "query/system_rows.h"

namespace kalamdb::query {

using hot::RecordSpace;
using model::Row;
using model::Value;

namespace {

Row namespace_row(const model::NamespaceDefinition& definition, int64_t table_count) {
  return {definition.name, definition.name, definition.created_at_us, definition.options_json, table_count};
}

Result<std::vector<Row>> rows_of_namespace(const SystemRecord& record) {
  if (!record.value) return {};
  KALAM_TRY(const auto definition, model::decode_namespace(*record.value));
  const auto& counts = record.namespaces.table_counts;
  const auto count = counts.find(record.key);
  return std::vector<Row>{namespace_row(definition, count == counts.end() ? 0 : count->second)};
}

std::vector<Row> namespace_rows(const SystemInput& input) {
  std::map<std::string_view, int64_t> counts;
  for (const auto& table : input.tables()) {
    if (!table->is_view() && input.may_use(*table)) ++counts[table->namespace_id];
  }
  std::vector<Row> rows;
  for (const auto& [name, definition] : input.catalog->namespaces) {
    rows.push_back(namespace_row(definition, counts[name]));
  }
  return rows;
}

std::string options_json(const model::TableDefinition& table) {
  nlohmann::json json{{"table_type", upper_name(table.type)}};
  if (table.is_view()) {
    json["created_by"] = table.created_by;
    return json.dump();
  }
  const auto& options = table.options;
  if (options.ttl_seconds > 0) json["ttl_seconds"] = options.ttl_seconds;
  if (options.max_stream_size_bytes > 0) json["max_stream_size_bytes"] = options.max_stream_size_bytes;
  if (options.max_rows_per_user > 0) json["max_rows_per_user"] = options.max_rows_per_user;
  if (options.shares_segments) json["user_shards"] = options.user_shards;
  if (table.type == model::TableType::kShared) json["access_level"] = lower_name(options.access_level);
  if (table.type != model::TableType::kStream) json["compression"] = options.compression;
  if (options.flush_policy) {
    auto& policy = json["flush_policy"] = nlohmann::json::object();
    if (options.flush_policy->rows > 0) policy["rows"] = options.flush_policy->rows;
    if (options.flush_policy->interval_seconds > 0) policy["interval"] = options.flush_policy->interval_seconds;
  }
  if (options.deleted_retention_hours) json["deleted_retention_hours"] = *options.deleted_retention_hours;
  for (const auto& [name, value] : options.extra) {
    const bool is_flag = value == "true" || value == "false";
    json[name] = is_flag ? nlohmann::json(value == "true") : nlohmann::json(value);
  }
  if (table.type == model::TableType::kStream) {
    const bool by_size = options.max_stream_size_bytes > 0;
    json["eviction_strategy"] = !by_size ? "time" : options.ttl_seconds > 0 ? "hybrid" : "size";
  }
  for (const auto& check : table.checks) json["checks"][check.name] = check.expression;
  return json.dump();
}

Value storage_id(const model::TableDefinition& table) {
  return table.type == model::TableType::kStream || table.is_view() ? Value() : Value(table.options.storage_id);
}

void add_table(std::vector<Row>& rows, const model::TableDefinition& table) {
  rows.push_back({table.namespace_id, table.name, std::string(lower_name(table.type)), storage_id(table),
                  int64_t{table.schema_version}, options_json(table), text_or_null(table.comment), table.updated_at_us,
                  table.created_at_us});
}

void add_versions(std::vector<Row>& rows, const model::TableDefinition& table,
                  const std::vector<model::SchemaVersion>& history) {
  for (const auto& version : history) {
    nlohmann::json columns = nlohmann::json::array();
    for (const auto& column : version.columns) {
      if (column.name == model::kHiddenKeyColumn) continue;
      columns.push_back({{"column_name", column.name},
                         {"ordinal_position", column.ordinal},
                         {"data_type", sql_name(column.type)},
                         {"is_nullable", column.nullable},
                         {"is_primary_key", column.is_primary_key()}});
    }
    const bool shared = table.type == model::TableType::kShared;
    rows.push_back({table.namespace_id + ":" + table.name, table.name, table.namespace_id,
                    std::string(lower_name(table.type)), table.created_at_us, int64_t{version.version}, columns.dump(),
                    text_or_null(table.comment), version.created_at_us, options_json(table),
                    shared ? Value(std::string(lower_name(table.options.access_level))) : Value(),
                    version.version == table.schema_version, storage_id(table), table.options.use_user_storage});
  }
}

void add_columns(std::vector<Row>& rows, const model::TableDefinition& table) {
  for (const auto& column : table.columns) {
    if (column.name == model::kHiddenKeyColumn) continue;
    rows.push_back({table.namespace_id, table.name, int64_t{table.schema_version}, int64_t{column.ordinal}, column.name,
                    text_or_null(column.comment), sql_name(column.type), default_text(column), int64_t{column.ordinal},
                    column.nullable, column.is_primary_key(),
                    column.is_primary_key() ? Value(int64_t{column.primary_key_position}) : Value()});
  }
}

// Those of each table that the caller may use.
template <void (*add)(std::vector<Row>&, const model::TableDefinition&)>
std::vector<Row> rows_of_tables(const SystemInput& input) {
  std::vector<Row> rows;
  for (const auto& table : input.tables()) {
    if (input.may_use(*table)) add(rows, *table);
  }
  return rows;
}

std::vector<Row> schema_rows(const SystemInput& input) {
  std::vector<Row> rows;
  for (const auto& table : input.tables()) {
    if (input.may_use(*table)) add_versions(rows, *table, input.history(*table));
  }
  return rows;
}

Result<std::vector<Row>> versions_of_table(const SystemRecord& record) {
  std::vector<Row> rows;
  if (!record.value) return rows;
  KALAM_TRY(const auto table, model::decode_table(*record.value));
  KALAM_TRY(const auto history, model::decode_history(*record.value));
  add_versions(rows, table, history);
  return rows;
}

// Every type of Arrow with the type of ours that stands for it.
std::vector<Row> datatype_rows(const SystemInput&) {
  static constexpr std::array<std::array<const char*, 4>, 29> kTypes{{
      {"Boolean", "Boolean", "BOOLEAN", "true or false"},
      {"Int8", "SmallInt", "TINYINT", "Whole number of 8 bits"},
      {"Int16", "SmallInt", "SMALLINT", "Whole number of 16 bits"},
      {"Int32", "Int", "INT", "Whole number of 32 bits"},
      {"Int64", "BigInt", "BIGINT", "Whole number of 64 bits"},
      {"UInt8", "Int", "TINYINT UNSIGNED", "Whole number of 8 bits without sign"},
      {"UInt16", "Int", "SMALLINT UNSIGNED", "Whole number of 16 bits without sign"},
      {"UInt32", "BigInt", "INT UNSIGNED", "Whole number of 32 bits without sign"},
      {"UInt64", "BigInt", "BIGINT UNSIGNED", "Whole number of 64 bits without sign"},
      {"Float32", "Float", "FLOAT", "Floating-point number of 32 bits"},
      {"Float64", "Double", "DOUBLE", "Floating-point number of 64 bits"},
      {"Utf8", "Text", "TEXT", "Text in UTF-8"},
      {"LargeUtf8", "Text", "TEXT", "Text in UTF-8, with offsets of 64 bits"},
      {"Binary", "Bytes", "BYTES", "Bytes"},
      {"LargeBinary", "Bytes", "BYTES", "Bytes, with offsets of 64 bits"},
      {"Timestamp(Microsecond, None)", "Timestamp", "TIMESTAMP", "Date and time in microseconds"},
      {"Timestamp(Millisecond, None)", "Timestamp", "TIMESTAMP", "Date and time in milliseconds"},
      {"Timestamp(Nanosecond, None)", "Timestamp", "TIMESTAMP", "Date and time in nanoseconds"},
      {"Timestamp(Second, None)", "Timestamp", "TIMESTAMP", "Date and time in seconds"},
      {"Timestamp(Microsecond, Some(\"UTC\"))", "DateTime", "DATETIME", "Date and time in UTC, in microseconds"},
      {"Timestamp(Millisecond, Some(\"UTC\"))", "DateTime", "DATETIME", "Date and time in UTC, in milliseconds"},
      {"Date32", "Date", "DATE", "Date in days"},
      {"Date64", "Date", "DATE", "Date in milliseconds"},
      {"Time64(Microsecond)", "Time", "TIME", "Time of day in microseconds"},
      {"Time32(Second)", "Time", "TIME", "Time of day in seconds"},
      {"Time32(Millisecond)", "Time", "TIME", "Time of day in milliseconds"},
      {"FixedSizeBinary(16)", "Uuid", "UUID", "UUID of 16 bytes"},
      {"Decimal128", "Decimal", "DECIMAL", "Decimal number of up to 38 digits"},
      {"FixedSizeList(Float32)", "Embedding", "EMBEDDING", "Vector of floating-point numbers of 32 bits"},
  }};
  std::vector<Row> rows;
  for (const auto& type : kTypes) {
    rows.push_back({std::string(type[0]), std::string(type[1]), std::string(type[2]), std::string(type[3])});
  }
  return rows;
}

}  // namespace

std::vector<SystemTable> schema_tables() {
  return {
      {"system",
       "namespaces",
       true,
       {{"namespace_id", kText},
        {"name", kText},
        {"created_at", kTime},
        {"options", kJson, true},
        {"table_count", kInt}},
       namespace_rows,
       ShownRecords{RecordSpace::kNamespace, rows_of_namespace}},
      {"system",
       "tables",
       true,
       {{"namespace_id", kText},
        {"table_name", kText},
        {"table_type", kText},
        {"storage_id", kText, true},
        {"version", kBigInt},
        {"options", kText, true},
        {"comment", kText, true},
        {"updated_at", kTime},
        {"created_at", kTime}},
       rows_of_tables<add_table>,
       ShownRecords{RecordSpace::kTable, rows_of_record<model::decode_table, add_table>},
       {"namespace_id", "table_name"}},
      {"system",
       "schemas",
       false,
       {{"table_id", kText},
        {"table_name", kText},
        {"namespace_id", kText},
        {"table_type", kText},
        {"created_at", kTime},
        {"schema_version", kInt},
        {"columns", kJson},
        {"table_comment", kText, true},
        {"updated_at", kTime},
        {"options", kJson, true},
        {"access_level", kText, true},
        {"is_latest", kBoolean},
        {"storage_id", kText, true},
        {"use_user_storage", kBoolean, true}},
       schema_rows,
       ShownRecords{RecordSpace::kTable, versions_of_table},
       {"table_id", "schema_version"}},
      {"system",
       "columns",
       true,
       {{"namespace_id", kText},
        {"table_name", kText},
        {"version", kBigInt},
        {"column_id", kBigInt},
        {"column_name", kText},
        {"comment", kText, true},
        {"data_type", kText},
        {"default_value", kText, true},
        {"ordinal", kBigInt},
        {"nullable", kBoolean},
        {"primary_key", kBoolean},
        {"primary_key_pos", kBigInt, true}},
       rows_of_tables<add_columns>,
       ShownRecords{RecordSpace::kTable, rows_of_record<model::decode_table, add_columns>},
       {"namespace_id", "table_name", "column_id"}},
      {"system",
       "datatypes",
       true,
       {{"arrow_type", kText}, {"kalam_type", kText}, {"sql_name", kText}, {"description", kText}},
       datatype_rows},
  };
}

}  // namespace kalamdb::query
