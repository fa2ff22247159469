#include "model/table.h"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

namespace kalamdb::model {
namespace {

using Json = nlohmann::json;

struct EnumNames {
  std::string_view lower;
  std::string_view upper;
  std::string_view pascal;
};

// In the order of the enumerations.
constexpr std::array kTableTypes = {
    EnumNames{"user", "USER", "User"},       EnumNames{"shared", "SHARED", "Shared"},
    EnumNames{"stream", "STREAM", "Stream"}, EnumNames{"system", "SYSTEM", "System"},
    EnumNames{"view", "VIEW", "View"},
};
constexpr std::array kAccessLevels = {
    EnumNames{"public", "PUBLIC", "Public"},
    EnumNames{"private", "PRIVATE", "Private"},
    EnumNames{"restricted", "RESTRICTED", "Restricted"},
    EnumNames{"dba", "DBA", "Dba"},
};
constexpr std::array<std::string_view, 3> kDefaultKinds = {"none", "literal", "function"};

// A stored definition that does not say what it must. Thrown and caught within this file, as the JSON library does.
struct MalformedDefinition : std::runtime_error {
  using std::runtime_error::runtime_error;
};

template <typename Enum, size_t N>
Enum enum_from(const Json& json, const std::array<EnumNames, N>& names) {
  const auto& text = json.get_ref<const std::string&>();
  auto found = std::ranges::find(names, std::string_view(text), &EnumNames::lower);
  if (found == names.end()) throw MalformedDefinition("unknown word '" + text + "'");
  return static_cast<Enum>(found - names.begin());
}

Json to_json(const DataType& type) {
  Json json = {{"name", type_name(type.tag)}};
  if (type.tag == TypeTag::kEmbedding) json["dimension"] = type.dimension;
  if (type.tag == TypeTag::kDecimal) {
    json["precision"] = type.precision;
    json["scale"] = type.scale;
  }
  return json;
}

DataType type_from(const Json& json) {
  std::optional<int64_t> first;
  std::optional<int64_t> second;
  if (json.contains("dimension")) first = json.at("dimension").get<int64_t>();
  if (json.contains("precision")) first = json.at("precision").get<int64_t>();
  if (json.contains("scale")) second = json.at("scale").get<int64_t>();
  auto type = parse_type(json.at("name").get_ref<const std::string&>(), first, second);
  if (!type) throw MalformedDefinition(type.error().message);
  return *type;
}

// A literal is stored as its canonical text, which coerce() reads back without loss.
Json literal_to_json(const Value& value, const DataType& type) {
  return is_null(value) ? Json(nullptr) : Json(to_text(view(value), type));
}

Value literal_from(const Json& json, const DataType& type) {
  if (json.is_null()) return {};
  auto literal = coerce(std::string_view(json.get_ref<const std::string&>()), type);
  if (!literal) throw MalformedDefinition(literal.error().message);
  return *std::move(literal);
}

Json to_json(const ColumnDefault& value, const DataType& type) {
  Json json = {{"kind", kDefaultKinds[static_cast<size_t>(value.kind)]}};
  if (value.kind == ColumnDefault::Kind::kFunction) json["function"] = value.function;
  if (value.kind == ColumnDefault::Kind::kLiteral) {
    json["literal"] = literal_to_json(*value.literal, type);
  }
  return json;
}

ColumnDefault default_from(const Json& json, const DataType& type) {
  const auto& word = json.at("kind").get_ref<const std::string&>();
  auto kind = std::ranges::find(kDefaultKinds, std::string_view(word));
  if (kind == kDefaultKinds.end()) throw MalformedDefinition("unknown kind of default '" + word + "'");
  ColumnDefault value;
  value.kind = static_cast<ColumnDefault::Kind>(kind - kDefaultKinds.begin());
  if (value.kind == ColumnDefault::Kind::kFunction) json.at("function").get_to(value.function);
  if (value.kind == ColumnDefault::Kind::kLiteral) value.literal = literal_from(json.at("literal"), type);
  return value;
}

// Members that only ALTER TABLE fills are left out where they say nothing, as in records from before there was one.
Json to_json(const ColumnDefinition& column) {
  Json json = {
      {"name", column.name},
      {"ordinal", column.ordinal},
      {"type", to_json(column.type)},
      {"nullable", column.nullable},
      {"primary_key_position", column.primary_key_position},
      {"partition_key", column.partition_key},
      {"default", to_json(column.default_value, column.type)},
      {"comment", column.comment},
  };
  if (column.own_slot != 0) json["slot"] = column.own_slot;
  for (const FormerSlot& former : column.older_rows->former) {
    json["former"].push_back({{"slot", former.slot}, {"type", to_json(former.type)}});
  }
  if (const Value& missing = column.older_rows->missing; !is_null(missing)) {
    json["missing"] = literal_to_json(missing, column.type);
  }
  return json;
}

ColumnDefinition column_from(const Json& json) {
  ColumnDefinition column;
  json.at("name").get_to(column.name);
  json.at("ordinal").get_to(column.ordinal);
  column.type = type_from(json.at("type"));
  json.at("nullable").get_to(column.nullable);
  json.at("primary_key_position").get_to(column.primary_key_position);
  json.at("partition_key").get_to(column.partition_key);
  column.default_value = default_from(json.at("default"), column.type);
  json.at("comment").get_to(column.comment);
  column.own_slot = json.value("slot", 0U);
  if (auto former = json.find("former"); former != json.end()) {
    for (const Json& slot : *former) {
      column.older_rows.edit().former.push_back({slot.at("slot").get<uint32_t>(), type_from(slot.at("type"))});
    }
  }
  if (auto missing = json.find("missing"); missing != json.end()) {
    column.older_rows.edit().missing = literal_from(*missing, column.type);
  }
  return column;
}

Json to_json(const std::vector<ColumnDefinition>& columns) {
  Json json = Json::array();
  for (const ColumnDefinition& column : columns) json.push_back(to_json(column));
  return json;
}

std::vector<ColumnDefinition> columns_from(const Json& json) {
  std::vector<ColumnDefinition> columns;
  columns.reserve(json.size());
  for (const Json& column : json) columns.push_back(column_from(column));
  return columns;
}

std::vector<CheckConstraint> checks_from(const Json& json) {
  std::vector<CheckConstraint> checks;
  for (const Json& check : json) {
    checks.push_back({check.at("name").get<std::string>(), check.at("expression").get<std::string>(),
                      check.at("ordinals").get<std::vector<uint32_t>>()});
  }
  return checks;
}

Json to_json(const std::vector<CheckConstraint>& checks) {
  Json json = Json::array();
  for (const CheckConstraint& check : checks) {
    json.push_back({{"name", check.name}, {"expression", check.expression}, {"ordinals", check.ordinals}});
  }
  return json;
}

Json to_json(const TableOptions& options) {
  Json json = {
      {"storage_id", options.storage_id},   {"use_user_storage", options.use_user_storage},
      {"ttl_seconds", options.ttl_seconds}, {"access_level", lower_name(options.access_level)},
      {"compression", options.compression}, {"extra", options.extra},
  };
  if (options.flush_policy) {
    json["flush_policy"] = {{"rows", options.flush_policy->rows},
                            {"interval_seconds", options.flush_policy->interval_seconds}};
  }
  if (options.deleted_retention_hours) json["deleted_retention_hours"] = *options.deleted_retention_hours;
  if (options.max_rows_per_user > 0) json["max_rows_per_user"] = options.max_rows_per_user;
  if (options.user_shards != TableOptions().user_shards) json["user_shards"] = options.user_shards;
  if (options.shares_segments) json["shares_segments"] = true;
  if (options.max_stream_size_bytes > 0) json["max_stream_size_bytes"] = options.max_stream_size_bytes;
  return json;
}

TableOptions options_from(const Json& json) {
  TableOptions options;
  json.at("storage_id").get_to(options.storage_id);
  json.at("use_user_storage").get_to(options.use_user_storage);
  json.at("ttl_seconds").get_to(options.ttl_seconds);
  options.access_level = enum_from<AccessLevel>(json.at("access_level"), kAccessLevels);
  json.at("compression").get_to(options.compression);
  json.at("extra").get_to(options.extra);
  if (auto policy = json.find("flush_policy"); policy != json.end()) {
    options.flush_policy.emplace();
    policy->at("rows").get_to(options.flush_policy->rows);
    policy->at("interval_seconds").get_to(options.flush_policy->interval_seconds);
  }
  if (auto hours = json.find("deleted_retention_hours"); hours != json.end()) {
    options.deleted_retention_hours = hours->get<uint64_t>();
  }
  options.max_rows_per_user = json.value("max_rows_per_user", uint64_t{0});
  options.user_shards = json.value("user_shards", options.user_shards);
  options.shares_segments = json.value("shares_segments", false);
  options.max_stream_size_bytes = json.value("max_stream_size_bytes", uint64_t{0});
  return options;
}

Json to_json(const SchemaVersion& version) {
  return {{"version", version.version},
          {"created_at_us", version.created_at_us},
          {"changes", version.changes},
          {"columns", to_json(version.columns)}};
}

SchemaVersion version_from(const Json& json) {
  SchemaVersion version;
  json.at("version").get_to(version.version);
  json.at("created_at_us").get_to(version.created_at_us);
  json.at("changes").get_to(version.changes);
  version.columns = columns_from(json.at("columns"));
  return version;
}

Json to_json(const ViewDefinition& view) {
  Json tables = Json::array();
  for (const auto& table : view.tables) {
    tables.push_back({{"namespace", table.namespace_id},
                      {"name", table.name},
                      {"id", table.id.value},
                      {"schema_version", table.schema_version}});
  }
  return {{"select", view.select}, {"namespace", view.namespace_id}, {"output", view.output}, {"tables", tables}};
}

ViewDefinition view_from(const Json& json) {
  ViewDefinition view;
  json.at("select").get_to(view.select);
  json.at("namespace").get_to(view.namespace_id);
  json.at("output").get_to(view.output);
  for (const Json& stored : json.at("tables")) {
    auto& table = view.tables.emplace_back();
    stored.at("namespace").get_to(table.namespace_id);
    stored.at("name").get_to(table.name);
    table.id = TableId(stored.at("id").get<uint32_t>());
    stored.at("schema_version").get_to(table.schema_version);
  }
  return view;
}

std::vector<SchemaVersion> history_from(const Json& json) {
  std::vector<SchemaVersion> history;
  for (const Json& version : json.at("history")) history.push_back(version_from(version));
  return history;
}

TableDefinition table_from(const Json& json) {
  TableDefinition table;
  table.id = TableId(json.at("id").get<uint32_t>());
  json.at("namespace").get_to(table.namespace_id);
  json.at("name").get_to(table.name);
  table.type = enum_from<TableType>(json.at("type"), kTableTypes);
  table.columns = columns_from(json.at("columns"));
  json.at("schema_version").get_to(table.schema_version);
  for (const Json& version : json.at("history")) {
    for (const Json& column : version.at("columns")) {
      const auto ordinal = column.at("ordinal").get<uint32_t>();
      table.past_max_ordinal = std::max(table.past_max_ordinal, ordinal);
      table.past_max_slot = std::max(table.past_max_slot, column.value("slot", ordinal));
    }
  }
  table.checks = checks_from(json.value("checks", Json::array()));
  table.options = options_from(json.at("options"));
  if (table.is_view()) {
    table.view = view_from(json.at("view"));
    if (table.view->output.size() != table.columns.size()) throw MalformedDefinition("a view's columns do not match");
  }
  json.at("comment").get_to(table.comment);
  json.at("created_by").get_to(table.created_by);
  json.at("created_at_us").get_to(table.created_at_us);
  json.at("updated_at_us").get_to(table.updated_at_us);
  return table;
}

std::string dump(const Json& json) { return json.dump(-1, ' ', false, Json::error_handler_t::replace); }

// Runs `read` on parsed JSON; whatever it throws says that the text is not a definition.
template <typename Read>
auto decode(std::string_view json, std::string_view what, Read read) -> Result<decltype(read(Json()))> {
  try {
    return read(Json::parse(json));
  } catch (const std::exception& error) {
    return fail(ErrorCode::kCorruption, "A stored " + std::string(what) + " definition is damaged: " + error.what());
  }
}

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; }

}  // namespace

std::string_view lower_name(TableType type) { return kTableTypes[static_cast<size_t>(type)].lower; }
std::string_view upper_name(TableType type) { return kTableTypes[static_cast<size_t>(type)].upper; }
std::string_view pascal_name(TableType type) { return kTableTypes[static_cast<size_t>(type)].pascal; }
std::string_view lower_name(AccessLevel level) { return kAccessLevels[static_cast<size_t>(level)].lower; }
std::string_view pascal_name(AccessLevel level) { return kAccessLevels[static_cast<size_t>(level)].pascal; }

const ColumnDefinition* TableDefinition::find_column(std::string_view column_name) const {
  for (const ColumnDefinition& column : columns) {
    if (std::ranges::equal(column.name, column_name, {}, lower, lower)) return &column;
  }
  return nullptr;
}

std::vector<const ColumnDefinition*> TableDefinition::primary_key() const {
  std::vector<const ColumnDefinition*> key;
  for (const ColumnDefinition& column : columns) {
    if (column.is_primary_key()) key.push_back(&column);
  }
  std::ranges::sort(key, {}, &ColumnDefinition::primary_key_position);
  if (key.empty()) {
    if (const ColumnDefinition* hidden = find_column(kHiddenKeyColumn)) key.push_back(hidden);
  }
  return key;
}

uint32_t TableDefinition::max_ordinal() const {
  return std::max(past_max_ordinal, columns.empty() ? 0 : columns.back().ordinal);
}

uint32_t TableDefinition::max_slot() const {
  uint32_t highest = past_max_slot;
  for (const ColumnDefinition& column : columns) highest = std::max(highest, column.slot());
  return highest;
}

std::string encode(const TableDefinition& table, const std::vector<SchemaVersion>& history) {
  Json versions = Json::array();
  for (const SchemaVersion& version : history) versions.push_back(to_json(version));
  Json json = {
      {"id", table.id.value},
      {"namespace", table.namespace_id},
      {"name", table.name},
      {"type", lower_name(table.type)},
      {"columns", to_json(table.columns)},
      {"schema_version", table.schema_version},
      {"history", std::move(versions)},
      {"checks", to_json(table.checks)},
      {"options", to_json(table.options)},
      {"comment", table.comment},
      {"created_by", table.created_by},
      {"created_at_us", table.created_at_us},
      {"updated_at_us", table.updated_at_us},
  };
  if (table.is_view()) json["view"] = to_json(*table.view);
  return dump(json);
}

Result<TableDefinition> decode_table(std::string_view json) { return decode(json, "table", table_from); }

Result<std::vector<SchemaVersion>> decode_history(std::string_view json) { return decode(json, "table", history_from); }

TablePtr with_user_column(const TableDefinition& table) {
  // No column gets so high a slot by ALTER TABLE.
  constexpr uint32_t kSlot = INT32_MAX;
  auto shared = std::make_shared<TableDefinition>(table);
  shared->columns.insert(
      shared->columns.begin(),
      {.name = std::string(kUserColumn), .ordinal = kSlot, .type = {TypeTag::kText}, .nullable = false});
  return shared;
}

std::string encode(const NamespaceDefinition& definition) {
  return dump({{"name", definition.name},
               {"options_json", definition.options_json},
               {"created_at_us", definition.created_at_us}});
}

Result<NamespaceDefinition> decode_namespace(std::string_view json) {
  return decode(json, "namespace", [](const Json& stored) {
    NamespaceDefinition definition;
    stored.at("name").get_to(definition.name);
    stored.at("options_json").get_to(definition.options_json);
    stored.at("created_at_us").get_to(definition.created_at_us);
    return definition;
  });
}

}  // namespace kalamdb::model
