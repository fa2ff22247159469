// The parts of a system table: its columns and what computes its rows. For system_tables.cc and the files in system/.
#pragma once

#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "query/system_tables.h"
#include "query/views.h"

namespace kalamdb::query {

// What the rows of one statement are computed from.
struct SystemInput {
  const Services& services;
  const Caller& caller;
  catalog::CatalogStatePtr catalog;
  // Loaded by tables().
  mutable std::optional<Result<std::vector<model::TablePtr>>> loaded = {};
  mutable UsableTables usable{services.catalog, caller.role};
  mutable Result<> history_read = {};

  // All tables and views, usable or not; none when they cannot be read, which check() then tells.
  std::span<const model::TablePtr> tables() const {
    if (!loaded) loaded = services.catalog.tables();
    return *loaded ? std::span<const model::TablePtr>(**loaded) : std::span<const model::TablePtr>();
  }
  // The versions of a table's schema; none when they cannot be read, which check() then tells, or when the table has
  // been dropped meanwhile.
  std::vector<model::SchemaVersion> history(const model::TableDefinition& table) const {
    auto history = services.catalog.history(table);
    if (history) return *std::move(history);
    if (history.error().code != ErrorCode::kTableNotFound) history_read = fail(history.error());
    return {};
  }
  Result<> check() const {
    if (loaded && !*loaded) return fail(loaded->error());
    return history_read;
  }
  bool may_use(const model::TableDefinition& table) const { return usable.contains(table); }
};

// The types of system columns, in short.
inline constexpr auto kBoolean = model::TypeTag::kBoolean;
inline constexpr auto kSmallInt = model::TypeTag::kSmallInt;
inline constexpr auto kInt = model::TypeTag::kInt;
inline constexpr auto kBigInt = model::TypeTag::kBigInt;
inline constexpr auto kText = model::TypeTag::kText;
inline constexpr auto kJson = model::TypeTag::kJson;
inline constexpr auto kTime = model::TypeTag::kTimestamp;

// The namespaces as records tell of them.
struct NamespaceRecords {
  std::map<std::string, model::NamespaceDefinition, std::less<>> definitions;
  std::map<std::string, int64_t, std::less<>> table_counts;  // of each namespace that has tables; views do not count
};

// A record that a system table shows, as it was at one commit.
struct SystemRecord {
  std::string_view key;
  std::optional<std::string_view> value;  // nullopt: there was none
  const NamespaceRecords& namespaces;
  const cold::StorageDefinition& default_local;  // the storage `local` without a record
};

// What `add` makes of a record that `decode` reads; nothing where there is none.
template <auto decode, auto add>
Result<std::vector<model::Row>> rows_of_record(const SystemRecord& record) {
  std::vector<model::Row> rows;
  if (!record.value) return rows;
  KALAM_TRY(const auto shown, decode(*record.value));
  add(rows, shown);
  return rows;
}

// A table whose rows each follow from one record. A record may have several.
struct ShownRecords {
  hot::RecordSpace space{};
  Result<std::vector<model::Row>> (*rows)(const SystemRecord& record) = nullptr;
};

struct SystemColumn {
  std::string_view name;
  model::TypeTag type;
  bool nullable = false;
};

struct SystemTable {
  std::string_view namespace_id;
  std::string_view name;
  bool every_role = false;  // else dba and system only
  std::vector<SystemColumn> columns;
  std::vector<model::Row> (*rows)(const SystemInput& input) = nullptr;
  // The same rows for whoever may use every table. Only such a table can be subscribed to.
  std::optional<ShownRecords> records = std::nullopt;
  // What tells its rows apart; in `system` the first column when it is left out.
  std::vector<std::string_view> key = {};
  // The rows follow from the catalog's tables and namespaces and from the caller's role, from nothing else.
  bool of_schema = false;
  // Derived from the above.
  model::TablePtr definition = nullptr;
  model::TablePtr subscribed = nullptr;  // the same with `_seq` and an id of its own, if it can be subscribed to
};

// The system tables, by what they tell of.
std::vector<SystemTable> schema_tables();              // namespaces, tables, schemas, columns, datatypes
std::vector<SystemTable> server_tables();              // users, jobs, transactions, storages, settings, stats
std::vector<SystemTable> information_schema_tables();  // of the SQL standard

// Every system table with its definition.
const std::vector<SystemTable>& system_tables();
bool may_read(const SystemTable& table, catalog::Role role);

// Every namespace, and how many tables it has. Errors: kIo, kCorruption.
Result<NamespaceRecords> read_namespaces(const hot::Store& store, const hot::SnapshotPtr& snapshot);

inline model::Value text_or_null(const std::string& text) { return text.empty() ? model::Value() : model::Value(text); }
inline model::Value time_or_null(int64_t time_us) { return time_us == 0 ? model::Value() : model::Value(time_us); }

}  // namespace kalamdb::query
