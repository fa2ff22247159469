// Namespaces and tables that come from a backup.
#include <algorithm>

#include "base/bytes.h"
#include "catalog/catalog.h"
#include "model/names.h"

namespace kalamdb::catalog {

using hot::RecordSpace;
using storage::CommitRequest;

Result<> Catalog::check_restorable(const std::vector<model::NamespaceDefinition>& namespaces) const {
  for (const auto& target : namespaces) {
    if (!has_namespace(target.name)) {
      KALAM_CHECK(model::validate_namespace_name(target.name));
      continue;
    }
    KALAM_TRY(const auto tables, registry_.list(target.name));
    if (tables.empty()) continue;
    return fail(ErrorCode::kAlreadyExists, "Namespace '" + target.name + "' already exists and has " +
                                               std::to_string(tables.size()) +
                                               " table(s); restore into another one, or drop it first");
  }
  return {};
}

Result<TableId> Catalog::reserve_table_ids(uint32_t count) {
  const std::lock_guard lock(change_mutex_);
  CommitRequest request;
  KALAM_TRY(const TableId first, next_table_id(request));
  std::string next;
  append_big_endian<uint32_t>(next, first.value + count);
  request.records.front().value = std::move(next);
  KALAM_CHECK(storage_.committer().commit(std::move(request)));
  return first;
}

Result<> Catalog::add_restored(std::vector<model::NamespaceDefinition> namespaces,
                               const std::vector<RestoredTable>& tables, CommitRequest request) {
  const std::lock_guard lock(change_mutex_);
  KALAM_CHECK(check_restorable(namespaces));
  for (const auto& target : namespaces) {
    request.records.push_back({RecordSpace::kNamespace, target.name, encode(target), std::nullopt});
  }
  for (const auto& [table, history] : tables) {
    const auto of = std::ranges::find(namespaces, table->namespace_id, &model::NamespaceDefinition::name);
    if (of == namespaces.end()) KALAM_CHECK(check_new_name(table->namespace_id, table->name));
    KALAM_CHECK(check_storage(table->options.storage_id));
    request.records.push_back({RecordSpace::kTable, table->qualified_name(), encode(*table, history), std::nullopt});
    if (!table->is_view()) request.table_changes.push_back({table->id, table->schema_version, nullptr});
  }
  CatalogState next = *state();
  for (auto& target : namespaces) {
    std::string name = target.name;
    next.namespaces.insert_or_assign(std::move(name), std::move(target));
  }
  for (const auto& [table, history] : tables) {
    if (table->is_view()) next.views.insert_or_assign(table->qualified_name(), table);
  }
  return commit_schema(std::move(request), [&] {
    publish(std::move(next));
    for (const auto& [table, history] : tables) registry_.put(table);
  });
}

}  // namespace kalamdb::catalog
