#include "query/system_tables.h"

#include <algorithm>
#include <array>
#include <map>
#include <nlohmann/json.hpp>
#include <span>

#include "base/assert.h"
#include "query/views.h"

namespace kalamdb::query {

using model::Row;
using model::TypeTag;
using model::Value;

namespace {

struct Column {
  std::string_view name;
  TypeTag type;
  bool nullable = false;
};

struct Input {
  const Services& services;
  const Caller& caller;
  catalog::CatalogStatePtr catalog;
  // Loaded by tables().
  mutable std::optional<Result<std::vector<model::TablePtr>>> loaded = {};
  mutable UsableTables usable{services.catalog, caller.role};

  // All tables, usable or not; none when they cannot be read, which check() then tells.
  std::span<const model::TablePtr> tables() const {
    if (!loaded) loaded = services.catalog.tables();
    return *loaded ? std::span<const model::TablePtr>(**loaded) : std::span<const model::TablePtr>();
  }
  Result<> check() const {
    if (loaded && !*loaded) return fail(loaded->error());
    return {};
  }
  bool may_use(const model::TableDefinition& table) const { return usable.contains(table); }
};

Value text_or_null(const std::string& text) { return text.empty() ? Value() : Value(text); }
Value time_or_null(int64_t time_us) { return time_us == 0 ? Value() : Value(time_us); }

std::vector<Row> namespace_rows(const Input& input) {
  std::map<std::string_view, int64_t> counts;
  for (const auto& table : input.tables()) {
    if (!table->is_view() && input.may_use(*table)) ++counts[table->namespace_id];
  }
  std::vector<Row> rows;
  for (const auto& [name, definition] : input.catalog->namespaces) {
    rows.push_back({name, name, definition.created_at_us, definition.options_json, counts[name]});
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
  if (table.type == model::TableType::kStream) json["ttl_seconds"] = options.ttl_seconds;
  if (table.type == model::TableType::kShared) json["access_level"] = lower_name(options.access_level);
  if (table.type != model::TableType::kStream) json["compression"] = options.compression;
  if (options.flush_policy) {
    auto& policy = json["flush_policy"] = nlohmann::json::object();
    if (options.flush_policy->rows > 0) policy["rows"] = options.flush_policy->rows;
    if (options.flush_policy->interval_seconds > 0) policy["interval"] = options.flush_policy->interval_seconds;
  }
  if (options.deleted_retention_hours) json["deleted_retention_hours"] = *options.deleted_retention_hours;
  for (const auto& check : table.checks) json["checks"][check.name] = check.expression;
  return json.dump();
}

Value storage_id(const model::TableDefinition& table) {
  return table.type == model::TableType::kStream || table.is_view() ? Value() : Value(table.options.storage_id);
}

std::vector<Row> table_rows(const Input& input) {
  std::vector<Row> rows;
  for (const auto& table : input.tables()) {
    if (!input.may_use(*table)) continue;
    rows.push_back({table->namespace_id, table->name, std::string(lower_name(table->type)), storage_id(*table),
                    int64_t{table->schema_version}, options_json(*table), text_or_null(table->comment),
                    table->updated_at_us, table->created_at_us});
  }
  return rows;
}

std::vector<Row> schema_rows(const Input& input) {
  std::vector<Row> rows;
  for (const auto& table : input.tables()) {
    if (!input.may_use(*table)) continue;
    for (const auto& version : table->history) {
      nlohmann::json columns = nlohmann::json::array();
      for (const auto& column : version.columns) {
        if (column.name == model::kHiddenKeyColumn) continue;
        columns.push_back({{"column_name", column.name},
                           {"ordinal_position", column.ordinal},
                           {"data_type", sql_name(column.type)},
                           {"is_nullable", column.nullable},
                           {"is_primary_key", column.is_primary_key()}});
      }
      const bool shared = table->type == model::TableType::kShared;
      rows.push_back({table->namespace_id + ":" + table->name, table->name, table->namespace_id,
                      std::string(lower_name(table->type)), table->created_at_us, int64_t{version.version},
                      columns.dump(), text_or_null(table->comment), version.created_at_us, options_json(*table),
                      shared ? Value(std::string(lower_name(table->options.access_level))) : Value(),
                      version.version == table->schema_version, storage_id(*table), table->options.use_user_storage});
    }
  }
  return rows;
}

std::vector<Row> column_rows(const Input& input) {
  std::vector<Row> rows;
  for (const auto& table : input.tables()) {
    if (!input.may_use(*table)) continue;
    for (const auto& column : table->columns) {
      if (column.name == model::kHiddenKeyColumn) continue;
      rows.push_back({table->namespace_id, table->name, int64_t{table->schema_version}, int64_t{column.ordinal},
                      column.name, text_or_null(column.comment), sql_name(column.type), default_text(column),
                      int64_t{column.ordinal}, column.nullable, column.is_primary_key(),
                      column.is_primary_key() ? Value(int64_t{column.primary_key_position}) : Value()});
    }
  }
  return rows;
}

std::vector<Row> user_rows(const Input& input) {
  std::vector<Row> rows;
  for (const auto& [id, user] : input.catalog->users) {
    rows.push_back({id, std::string(user->password_hash.empty() ? "" : "***"), std::string(lower_name(user->role)),
                    user->email ? Value(*user->email) : Value(), user->auth_type, int64_t{user->failed_login_attempts},
                    time_or_null(user->locked_until_us), time_or_null(user->last_login_at_us), user->created_at_us,
                    user->updated_at_us, time_or_null(user->deleted_at_us)});
  }
  return rows;
}

std::vector<Row> job_rows(const Input& input) {
  std::vector<Row> rows;
  for (const auto& job : input.services.jobs.list()) {
    rows.push_back({job.id, std::string(name(job.type)), std::string(name(job.status)), text_or_null(job.parameters),
                    text_or_null(job.message), text_or_null(job.idempotency_key), job.created_at_us,
                    time_or_null(job.started_at_us), time_or_null(job.finished_at_us)});
  }
  return rows;
}

const std::string kCatalogName = "kalam";

std::vector<Row> information_tables(const Input& input);
std::vector<Row> information_columns(const Input& input);
std::vector<Row> information_schemata(const Input& input) {
  std::vector<Row> rows;
  for (const auto& [name, definition] : input.catalog->namespaces) rows.push_back({kCatalogName, name});
  rows.push_back({kCatalogName, std::string("information_schema")});
  rows.push_back({kCatalogName, std::string("system")});
  return rows;
}

struct SystemTable {
  std::string_view namespace_id;
  std::string_view name;
  bool every_role = false;  // else dba and system only
  std::vector<Column> columns;
  std::vector<Row> (*rows)(const Input& input) = nullptr;
  // The rows follow from the catalog's tables and namespaces and from the caller's role, from nothing else.
  bool of_schema = false;
  model::TablePtr definition = nullptr;  // derived from the above
};

constexpr TypeTag kText = TypeTag::kText;
constexpr TypeTag kBigInt = TypeTag::kBigInt;
constexpr TypeTag kInt = TypeTag::kInt;
constexpr TypeTag kBoolean = TypeTag::kBoolean;
constexpr TypeTag kTime = TypeTag::kTimestamp;
constexpr TypeTag kJson = TypeTag::kJson;

std::vector<SystemTable> describe_system_tables() {
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
       true},
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
       table_rows,
       true},
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
       true},
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
       column_rows,
       true},
      {"system",
       "users",
       false,
       {{"user_id", kText},
        {"password_hash", kText},
        {"role", kText},
        {"email", kText, true},
        {"auth_type", kText},
        {"failed_login_attempts", kInt},
        {"locked_until", kTime, true},
        {"last_login_at", kTime, true},
        {"created_at", kTime},
        {"updated_at", kTime},
        {"deleted_at", kTime, true}},
       user_rows},
      {"system",
       "jobs",
       false,
       {{"job_id", kText},
        {"job_type", kText},
        {"status", kText},
        {"parameters", kJson, true},
        {"message", kText, true},
        {"idempotency_key", kText, true},
        {"created_at", kTime},
        {"started_at", kTime, true},
        {"finished_at", kTime, true}},
       job_rows},
      {"information_schema",
       "tables",
       true,
       {{"table_catalog", kText}, {"table_schema", kText}, {"table_name", kText}, {"table_type", kText}},
       information_tables,
       true},
      {"information_schema",
       "columns",
       true,
       {{"table_catalog", kText},
        {"table_schema", kText},
        {"table_name", kText},
        {"column_name", kText},
        {"ordinal_position", kInt},
        {"column_default", kText, true},
        {"is_nullable", kText},
        {"data_type", kText}},
       information_columns,
       true},
      {"information_schema", "schemata", true, {{"catalog_name", kText}, {"schema_name", kText}}, information_schemata},
  };
}

// The column that identifies a row of the table, for the schema flags: the first one.
model::TablePtr define(const SystemTable& system_table) {
  auto table = std::make_shared<model::TableDefinition>();
  table->namespace_id = system_table.namespace_id;
  table->name = system_table.name;
  table->type = model::TableType::kSystem;
  uint32_t ordinal = 0;
  for (const Column& column : system_table.columns) {
    model::ColumnDefinition definition;
    definition.name = column.name;
    definition.ordinal = ++ordinal;
    definition.type = model::DataType{column.type};
    definition.nullable = column.nullable;
    if (ordinal == 1 && system_table.namespace_id == "system") definition.primary_key_position = 1;
    table->columns.push_back(std::move(definition));
  }
  return table;
}

const std::vector<SystemTable>& system_tables() {
  static const std::vector<SystemTable> tables = [] {
    auto all = describe_system_tables();
    for (SystemTable& table : all) table.definition = define(table);
    return all;
  }();
  return tables;
}

// The tables that the caller may use, system tables among them.
std::vector<model::TablePtr> visible_tables(const Input& input) {
  std::vector<model::TablePtr> tables;
  for (const auto& table : input.tables()) {
    if (input.may_use(*table)) tables.push_back(table);
  }
  for (const SystemTable& table : system_tables()) {
    if (table.every_role || is_admin(input.caller.role)) tables.push_back(table.definition);
  }
  return tables;
}

std::vector<Row> information_tables(const Input& input) {
  std::vector<Row> rows;
  for (const auto& table : visible_tables(input)) {
    rows.push_back(
        {kCatalogName, table->namespace_id, table->name, std::string(table->is_view() ? "VIEW" : "BASE TABLE")});
  }
  return rows;
}

std::vector<Row> information_columns(const Input& input) {
  std::vector<Row> rows;
  for (const auto& table : visible_tables(input)) {
    for (const auto& column : table->columns) {
      if (column.name == model::kHiddenKeyColumn) continue;
      rows.push_back({kCatalogName, table->namespace_id, table->name, column.name, int64_t{column.ordinal},
                      default_text(column), std::string(column.nullable ? "YES" : "NO"), sql_name(column.type)});
    }
  }
  return rows;
}

const SystemTable* find_system_table(std::string_view namespace_id, std::string_view name) {
  constexpr std::string_view kLegacyPrefix = "system_";
  if (namespace_id == "system" && name.starts_with(kLegacyPrefix)) name.remove_prefix(kLegacyPrefix.size());
  if (namespace_id == "system" && name == "table_schemas") name = "schemas";
  for (const SystemTable& table : system_tables()) {
    if (table.namespace_id == namespace_id && table.name == name) return &table;
  }
  return nullptr;
}

// What a system table shows the caller. Rows of schemas are the same until the catalog changes, and are kept so long.
Result<std::shared_ptr<const std::vector<Row>>> rows_of(const SystemTable& table, const Services& services,
                                                        const Caller& caller) {
  const std::string key = std::string(table.namespace_id) + "." + std::string(table.name) + " " +
                          std::string(lower_name(caller.role)) + " " + std::to_string(services.catalog.version());
  auto& kept = services.catalog.listings();
  if (table.of_schema) {
    if (auto rows = kept.get(key)) return rows;
  }
  const Input input{services, caller, services.catalog.state(), {}};
  auto rows = std::make_shared<const std::vector<Row>>(table.rows(input));
  KALAM_CHECK(input.check());
  constexpr size_t kBytesPerCell = 64;  // about
  if (table.of_schema) kept.put(key, rows, rows->size() * table.columns.size() * kBytesPerCell);
  return rows;
}

}  // namespace

model::Value default_text(const model::ColumnDefinition& column) {
  switch (column.default_value.kind) {
    case model::ColumnDefault::Kind::kNone:
      return {};
    case model::ColumnDefault::Kind::kFunction:
      return column.default_value.function + "()";
    case model::ColumnDefault::Kind::kLiteral:
      break;
  }
  const Value& literal = column.default_value.literal;
  if (model::is_null(literal)) return "NULL";
  if (const bool* flag = std::get_if<bool>(&literal)) return *flag ? "TRUE" : "FALSE";
  const std::string text = model::to_text(model::view(literal), column.type);
  const bool number = model::is_integer(column.type.tag) || column.type.tag == TypeTag::kDecimal ||
                      column.type.tag == TypeTag::kFloat || column.type.tag == TypeTag::kDouble;
  return number ? text : "'" + text + "'";
}

bool may_read_system_table(std::string_view namespace_id, std::string_view name, catalog::Role role) {
  const SystemTable* table = find_system_table(namespace_id, name);
  return table != nullptr && (table->every_role || is_admin(role));
}

bool is_system_namespace(std::string_view namespace_id) {
  return namespace_id == "system" || namespace_id == "information_schema";
}

Result<std::optional<duck::TableSource>> open_system_table(const Services& services, const Caller& caller,
                                                           std::string_view namespace_id, std::string_view name) {
  const SystemTable* table = find_system_table(namespace_id, name);
  if (table == nullptr) return std::nullopt;
  if (!table->every_role && !is_admin(caller.role)) {
    const std::string qualified = std::string(namespace_id) + "." + std::string(name);
    return fail(ErrorCode::kPermissionDenied, "Access denied: Role '" + std::string(pascal_name(caller.role)) +
                                                  "' cannot access table '" + qualified +
                                                  "'. System tables require 'dba' or 'system' role.");
  }
  duck::TableSource source;
  KALAM_TRY(auto rows, rows_of(*table, services, caller));
  source.computed = duck::ComputedRows{table->definition, std::move(rows)};
  return source;
}

Result<StatementResult> select_system_table(const Services& services, const Caller& caller,
                                            std::string_view namespace_id, std::string_view name) {
  const SystemTable* table = find_system_table(namespace_id, name);
  KALAM_ASSERT(table != nullptr);
  KALAM_TRY(const auto rows, rows_of(*table, services, caller));
  std::vector<duck::ResultColumn> columns;
  for (const auto& column : table->definition->columns) columns.push_back({column.name, column.type, &column});
  StatementResult result;
  result.rows = make_result(std::move(columns), *rows);
  return result;
}

}  // namespace kalamdb::query
