#include "query/system_tables.h"

#include "base/assert.h"
#include "query/existing_rows.h"
#include "query/system_rows.h"

namespace kalamdb::query {

namespace {

// The column that identifies a row of the table, for the schema flags: the first one.
model::TablePtr define(const SystemTable& system_table) {
  auto table = std::make_shared<model::TableDefinition>();
  table->namespace_id = system_table.namespace_id;
  table->name = system_table.name;
  table->type = model::TableType::kSystem;
  uint32_t ordinal = 0;
  for (const SystemColumn& column : system_table.columns) {
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
    for (SystemTable& table : all) table.definition = define(table);
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
  if (!may_read(*table, caller.role)) {
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
