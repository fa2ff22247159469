// information_schema: tables, columns, views and schemata of the SQL standard, system tables among them.
#include "query/system_rows.h"

namespace kalamdb::query {

using model::Row;
using model::TypeTag;
using model::Value;

namespace {

const std::string kCatalogName = "kalam";

std::string yes_or_no(bool yes) { return yes ? "YES" : "NO"; }

// The tables that the caller may use, system tables among them.
std::vector<model::TablePtr> visible_tables(const SystemInput& input) {
  std::vector<model::TablePtr> tables;
  for (const auto& table : input.tables()) {
    if (input.may_use(*table)) tables.push_back(table);
  }
  for (const SystemTable& table : system_tables()) {
    if (may_read(table, input.caller.role)) tables.push_back(table.definition);
  }
  return tables;
}

std::vector<Row> table_rows(const SystemInput& input) {
  std::vector<Row> rows;
  for (const auto& table : visible_tables(input)) {
    rows.push_back(
        {kCatalogName, table->namespace_id, table->name, std::string(table->is_view() ? "VIEW" : "BASE TABLE")});
  }
  return rows;
}

// What the standard tells of numbers: digits, the base that they are counted in, and those behind the point.
struct NumericShape {
  Value precision;
  Value radix;
  Value scale;
};

NumericShape numeric_shape(const model::DataType& type) {
  constexpr int64_t kBits = 2;
  switch (type.tag) {
    case TypeTag::kSmallInt:
      return {int64_t{16}, kBits, int64_t{0}};
    case TypeTag::kInt:
      return {int64_t{32}, kBits, int64_t{0}};
    case TypeTag::kBigInt:
      return {int64_t{64}, kBits, int64_t{0}};
    case TypeTag::kFloat:
      return {int64_t{24}, kBits, Value()};
    case TypeTag::kDouble:
      return {int64_t{53}, kBits, Value()};
    case TypeTag::kDecimal:
      return {int64_t{type.precision}, int64_t{10}, int64_t{type.scale}};
    default:
      return {};
  }
}

Value octet_length(TypeTag type) {
  const bool unbounded =
      type == TypeTag::kText || type == TypeTag::kJson || type == TypeTag::kBytes || type == TypeTag::kFile;
  return unbounded ? Value(int64_t{INT32_MAX}) : Value();
}

std::vector<Row> column_rows(const SystemInput& input) {
  std::vector<Row> rows;
  for (const auto& table : visible_tables(input)) {
    for (const auto& column : table->columns) {
      if (column.name == model::kHiddenKeyColumn) continue;
      NumericShape number = numeric_shape(column.type);
      rows.push_back({kCatalogName, table->namespace_id, table->name, column.name, int64_t{column.ordinal},
                      default_text(column), yes_or_no(column.nullable), sql_name(column.type), Value(),
                      octet_length(column.type.tag), std::move(number.precision), std::move(number.radix),
                      std::move(number.scale), Value(), Value()});
    }
  }
  return rows;
}

// The text of a view is for those who may change it.
std::vector<Row> view_rows(const SystemInput& input) {
  std::vector<Row> rows;
  for (const auto& [name, view] : input.catalog->views) {
    if (!input.may_use(*view)) continue;
    rows.push_back({kCatalogName, view->namespace_id, view->name,
                    is_admin(input.caller.role) ? Value(view->view->select) : Value(), std::string("NONE"),
                    yes_or_no(false), yes_or_no(false)});
  }
  return rows;
}

std::vector<Row> schema_rows(const SystemInput& input) {
  std::vector<Row> rows;
  const auto add = [&](const std::string& name) {
    rows.push_back({kCatalogName, name, Value(), Value(), Value(), Value(), Value()});
  };
  for (const auto& [name, definition] : input.catalog->namespaces) add(name);
  add("information_schema");
  add("system");
  return rows;
}

}  // namespace

std::vector<SystemTable> information_schema_tables() {
  return {
      {"information_schema",
       "tables",
       true,
       {{"table_catalog", kText}, {"table_schema", kText}, {"table_name", kText}, {"table_type", kText}},
       table_rows},
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
        {"data_type", kText},
        {"character_maximum_length", kBigInt, true},
        {"character_octet_length", kBigInt, true},
        {"numeric_precision", kBigInt, true},
        {"numeric_precision_radix", kBigInt, true},
        {"numeric_scale", kBigInt, true},
        {"datetime_precision", kBigInt, true},
        {"interval_type", kText, true}},
       column_rows},
      {"information_schema",
       "views",
       true,
       {{"table_catalog", kText},
        {"table_schema", kText},
        {"table_name", kText},
        {"view_definition", kText, true},
        {"check_option", kText},
        {"is_updatable", kText},
        {"is_insertable_into", kText}},
       view_rows},
      {"information_schema",
       "schemata",
       true,
       {{"catalog_name", kText},
        {"schema_name", kText},
        {"schema_owner", kText, true},
        {"default_character_set_catalog", kText, true},
        {"default_character_set_schema", kText, true},
        {"default_character_set_name", kText, true},
        {"sql_path", kText, true}},
       schema_rows},
  };
}

}  // namespace kalamdb::query
