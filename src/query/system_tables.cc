#include "query/system_tables.h"

#include <algorithm>

#include "base/assert.h"
#include "query/existing_rows.h"
#include "query/system_rows.h"

namespace kalamdb::query {

namespace {

model::TableDefinition define(const SystemTable& system_table) {
  model::TableDefinition table;
  table.namespace_id = system_table.namespace_id;
  table.name = system_table.name;
  table.type = model::TableType::kSystem;
  std::vector<std::string_view> key = system_table.key;
  if (key.empty() && system_table.namespace_id == "system") key.push_back(system_table.columns.front().name);
  uint32_t ordinal = 0;
  for (const SystemColumn& column : system_table.columns) {
    model::ColumnDefinition definition;
    definition.name = column.name;
    definition.ordinal = ++ordinal;
    definition.type = model::DataType{column.type};
    definition.nullable = column.nullable;
    const auto in_key = std::ranges::find(key, column.name);
    if (in_key != key.end()) definition.primary_key_position = static_cast<uint32_t>(in_key - key.begin()) + 1;
    table.columns.push_back(std::move(definition));
  }
  return table;
}

// Ids of tables that are made count from 1.
model::TablePtr define_subscribed(const SystemTable& system_table, uint32_t number) {
  auto table = std::make_shared<model::TableDefinition>(*system_table.definition);
  table->id = TableId(UINT32_MAX - number);
  table->columns.push_back({.name = std::string(model::kSeqColumn),
                            .ordinal = table->max_ordinal() + 1,
                            .type = model::DataType{kBigInt},
                            .nullable = false});
  return table;
}

const SystemTable* find_system_table(std::string_view namespace_id, std::string_view name) {
  constexpr std::string_view kLegacyPrefix = "system_";
  if (namespace_id == "system" && name.starts_with(kLegacyPrefix)) name.remove_prefix(kLegacyPrefix.size());
  if (namespace_id == "system" && name == "table_schemas") name = "schemas";
  if (namespace_id == "system" && name == "manifest_cache") name = "manifest";
  if (namespace_id == "system" && name == "live_queries") name = "live";
  for (const SystemTable& table : system_tables()) {
    if (table.namespace_id == namespace_id && table.name == name) return &table;
  }
  return nullptr;
}

Error no_access(const SystemTable& table, catalog::Role role) {
  return {ErrorCode::kPermissionDenied, "Access denied: Role '" + std::string(pascal_name(role)) +
                                            "' cannot access table '" + table.definition->qualified_name() +
                                            "'. System tables require 'dba' or 'system' role."};
}

// What a system table shows the caller. Rows of schemas are the same until the catalog changes, and are kept so long.
Result<std::shared_ptr<const std::vector<model::Row>>> rows_of(const SystemTable& table, const Services& services,
                                                               const Caller& caller) {
  const std::string key = std::string(table.namespace_id) + "." + std::string(table.name) + " " +
                          std::string(lower_name(caller.role)) + " " + std::to_string(services.catalog.version());
  auto& kept = services.catalog.listings();
  if (table.of_schema) {
    if (auto rows = kept.get(key)) return rows;
  }
  const SystemInput input{services, caller, services.catalog.state()};
  auto rows = std::make_shared<const std::vector<model::Row>>(table.rows(input));
  KALAM_CHECK(input.check());
  constexpr size_t kBytesPerCell = 64;  // about
  if (table.of_schema) kept.put(key, rows, rows->size() * table.columns.size() * kBytesPerCell);
  return rows;
}

}  // namespace

const std::vector<SystemTable>& system_tables() {
  static const std::vector<SystemTable> tables = [] {
    std::vector<SystemTable> all;
    for (auto& part : {schema_tables(), information_schema_tables()}) all.insert(all.end(), part.begin(), part.end());
    for (SystemTable& table : all) table.of_schema = true;
    for (auto& table : server_tables()) all.push_back(std::move(table));
    uint32_t number = 0;
    for (SystemTable& table : all) {
      table.definition = std::make_shared<const model::TableDefinition>(define(table));
      if (table.records) table.subscribed = define_subscribed(table, number++);
    }
    return all;
  }();
  return tables;
}

bool may_read(const SystemTable& table, catalog::Role role) { return table.every_role || is_admin(role); }

model::Value default_text(const model::ColumnDefinition& column) {
  switch (column.default_value.kind) {
    case model::ColumnDefault::Kind::kNone:
      return {};
    case model::ColumnDefault::Kind::kFunction:
      return column.default_value.function + "()";
    case model::ColumnDefault::Kind::kLiteral:
      break;
  }
  const model::Value& literal = *column.default_value.literal;
  if (model::is_null(literal)) return "NULL";
  if (const bool* flag = std::get_if<bool>(&literal)) return *flag ? "TRUE" : "FALSE";
  const std::string text = model::to_text(model::view(literal), column.type);
  const bool number = model::is_integer(column.type.tag) || column.type.tag == model::TypeTag::kDecimal ||
                      column.type.tag == model::TypeTag::kFloat || column.type.tag == model::TypeTag::kDouble;
  return number ? text : string_literal(text);
}

bool may_read_system_table(std::string_view namespace_id, std::string_view name, catalog::Role role) {
  const SystemTable* table = find_system_table(namespace_id, name);
  return table != nullptr && may_read(*table, role);
}

bool is_system_namespace(std::string_view namespace_id) {
  return namespace_id == "system" || namespace_id == "information_schema";
}

Result<std::optional<duck::TableSource>> open_system_table(const Services& services, const Caller& caller,
                                                           std::string_view namespace_id, std::string_view name) {
  const SystemTable* table = find_system_table(namespace_id, name);
  if (table == nullptr) return std::nullopt;
  if (!may_read(*table, caller.role)) return fail(no_access(*table, caller.role));
  duck::TableSource source;
  KALAM_TRY(auto rows, rows_of(*table, services, caller));
  source.computed = duck::ComputedRows{table->definition, std::move(rows)};
  return source;
}

Result<model::TablePtr> find_subscribed_system_table(const Caller& caller, std::string_view namespace_id,
                                                     std::string_view name) {
  const SystemTable* const table = find_system_table(namespace_id, name);
  if (table == nullptr) {
    return fail(ErrorCode::kTableNotFound, std::string(namespace_id) + "." + std::string(name));
  }
  // Others see a part of some tables, which depends on more than the rows.
  if (!is_admin(caller.role)) return fail(no_access(*table, caller.role));
  if (table->subscribed != nullptr) return table->subscribed;
  std::string possible;
  for (const SystemTable& other : system_tables()) {
    if (other.subscribed != nullptr) possible += (possible.empty() ? "" : ", ") + other.subscribed->qualified_name();
  }
  return fail(ErrorCode::kInvalidOperation,
              "System table " + table->definition->qualified_name() +
                  " is computed when it is read and cannot be subscribed to; these can: " + possible);
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
