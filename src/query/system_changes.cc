#include "query/system_changes.h"

#include <algorithm>
#include <map>

#include "base/assert.h"
#include "base/log.h"
#include "model/key_codec.h"
#include "model/row_codec.h"

namespace kalamdb::query {

using hot::RecordSpace;
using model::Row;
using storage::ChangeKind;

namespace {

// One that cannot be read has no rows, as in a SELECT.
std::vector<Row> rows_of(const SystemTable& table, const SystemRecord& record) {
  auto rows = table.records->rows(record);
  if (!rows) {
    log::error("record {} of {} cannot be read: {}", record.key, table.definition->qualified_name(),
               rows.error().message);
  }
  return std::move(rows).value_or(std::vector<Row>());
}

// Appends what has become of the rows of one record.
void tell(const SystemTable& table, std::vector<Row> before, std::vector<Row> now, storage::ChangeSet& told) {
  const model::TablePtr& definition = table.subscribed;
  const auto encode = [&](Row& row) {
    row.emplace_back();  // `_seq`, which is not stored
    return std::pair(model::encode_key(*definition, row), model::encode_row(*definition, row));
  };
  const auto add = [&](ChangeKind kind, std::string key, std::string row, std::string old_row) {
    told.rows.push_back({.table = definition,
                         .user = {},
                         .kind = kind,
                         .seq = told.commit_seq,
                         .old_seq = 0,
                         .key = std::move(key),
                         .row = std::move(row),
                         .old_row = std::move(old_row)});
  };
  std::map<std::string, std::string> gone;
  for (Row& row : before) gone.insert(encode(row));
  for (Row& row : now) {
    auto [key, encoded] = encode(row);
    const auto old = gone.extract(key);
    if (old.empty()) {
      add(ChangeKind::kInsert, std::move(key), std::move(encoded), "");
    } else if (old.mapped() != encoded) {
      add(ChangeKind::kUpdate, std::move(key), std::move(encoded), std::move(old.mapped()));
    }
  }
  for (auto& [key, row] : gone) add(ChangeKind::kDelete, key, "", std::move(row));
}

std::string_view namespace_of(std::string_view qualified_name) {
  return qualified_name.substr(0, qualified_name.find('.'));
}

bool is_table(std::string_view name, const std::optional<std::string_view>& record) {
  if (!record) return false;
  const auto view = catalog::decode_if_view(*record);
  if (!view) log::error("the record of {} cannot be read: {}", name, view.error().message);
  return view && *view == nullptr;
}

const SystemTable& namespaces_table() {
  static const SystemTable& table = *std::ranges::find_if(system_tables(), [](const SystemTable& one) {
    return one.records && one.records->space == RecordSpace::kNamespace;
  });
  return table;
}

}  // namespace

Result<NamespaceRecords> read_namespaces(const hot::Store& store, const hot::SnapshotPtr& snapshot) {
  NamespaceRecords namespaces;
  Result<> outcome;
  KALAM_CHECK(
      store.scan_records(RecordSpace::kNamespace, "", snapshot, [&](std::string_view name, std::string_view record) {
        auto definition = model::decode_namespace(record);
        if (!definition) outcome = fail(std::move(definition).error());
        if (outcome) namespaces.definitions.emplace(name, *std::move(definition));
        return outcome.has_value();
      }));
  KALAM_CHECK(outcome);
  KALAM_CHECK(
      store.scan_records(RecordSpace::kTable, "", snapshot, [&](std::string_view name, std::string_view record) {
        if (is_table(name, record)) {
          ++namespaces.table_counts[std::string(namespace_of(name))];
        }
        return true;
      }));
  return namespaces;
}

Result<duck::ComputedRows> system_rows_at(storage::Storage& storage, const model::TableDefinition& table,
                                          const hot::SnapshotPtr& snapshot) {
  const auto found = std::ranges::find_if(system_tables(), [&](const SystemTable& one) {
    return one.subscribed != nullptr && one.subscribed->id == table.id;
  });
  KALAM_ASSERT(found != system_tables().end());
  const RecordSpace space = found->records->space;
  NamespaceRecords namespaces;
  if (space == RecordSpace::kNamespace || space == RecordSpace::kStorage) {
    KALAM_TRY(namespaces, read_namespaces(storage.hot(), snapshot));
  }
  const cold::StorageDefinition default_local = storage.storages().default_local();
  auto rows = std::make_shared<std::vector<Row>>();
  const auto add = [&](std::string_view key, std::optional<std::string_view> record) {
    for (Row& row : rows_of(*found, {key, record, namespaces, default_local})) rows->push_back(std::move(row));
  };
  bool has_local = false;
  KALAM_CHECK(storage.hot().scan_records(space, "", snapshot, [&](std::string_view key, std::string_view record) {
    has_local |= key == cold::kLocalStorage;
    add(key, record);
    return true;
  }));
  if (space == RecordSpace::kStorage && !has_local) add(cold::kLocalStorage, std::nullopt);
  return duck::ComputedRows{found->definition, std::move(rows)};
}

Result<std::unique_ptr<SystemChanges>> SystemChanges::open(storage::Storage& storage) {
  KALAM_TRY(auto namespaces, read_namespaces(storage.hot(), nullptr));
  return std::unique_ptr<SystemChanges>(new SystemChanges(std::move(namespaces), storage.storages().default_local()));
}

bool SystemChanges::is_counted(const storage::ChangeSet& commit) {
  return std::ranges::any_of(commit.records, [](const storage::RecordChange& change) {
    return change.space == RecordSpace::kNamespace || change.space == RecordSpace::kTable;
  });
}

storage::ChangeSetPtr SystemChanges::apply(const storage::ChangeSet& commit, const IsWanted& is_wanted) {
  auto told = std::make_shared<storage::ChangeSet>();
  told->commit_seq = commit.commit_seq;
  for (const storage::RecordChange& change : commit.records) {
    for (const SystemTable& table : system_tables()) {
      if (table.subscribed == nullptr || table.records->space != change.space || !is_wanted(table.subscribed->id)) {
        continue;
      }
      tell(table, rows(table, change.key, change.before), rows(table, change.key, change.now), *told);
    }
    count(change, is_wanted, *told);
  }
  return told;
}

std::vector<Row> SystemChanges::rows(const SystemTable& table, std::string_view key,
                                     const std::optional<std::string>& record) const {
  return rows_of(table, {key, record, namespaces_, default_local_});
}

// Keeps `namespaces_` up to date, and tells how many tables a namespace has now.
void SystemChanges::count(const storage::RecordChange& change, const IsWanted& is_wanted, storage::ChangeSet& told) {
  if (change.space == RecordSpace::kNamespace) {
    auto definition = change.now ? model::decode_namespace(*change.now) : model::NamespaceDefinition();
    namespaces_.definitions.erase(change.key);
    if (change.now && definition) namespaces_.definitions.emplace(change.key, *std::move(definition));
  }
  if (change.space != RecordSpace::kTable) return;
  const int64_t added = int64_t{is_table(change.key, change.now)} - int64_t{is_table(change.key, change.before)};
  if (added == 0) return;
  const std::string name(namespace_of(change.key));
  const auto found = namespaces_.definitions.find(name);
  std::optional<std::string> record;
  if (found != namespaces_.definitions.end()) record = encode(found->second);
  const SystemTable& table = namespaces_table();
  std::vector<Row> before = rows(table, name, record);
  namespaces_.table_counts[name] += added;
  if (is_wanted(table.subscribed->id)) tell(table, std::move(before), rows(table, name, record), told);
}

}  // namespace kalamdb::query
