// ALTER TABLE, ALTER NAMESPACE and their kin: one definition replaced by another.
#include <nlohmann/json.hpp>
#include <utility>

#include "catalog/catalog.h"

namespace kalamdb::catalog {

using hot::RecordSpace;
using storage::CommitRequest;

Result<model::TablePtr> Catalog::alter_table(const model::TablePtr& base, model::TableDefinition changed,
                                             std::string description, std::function<Result<>()> validate) {
  const std::lock_guard lock(change_mutex_);
  KALAM_TRY(const auto current, find_table(base->namespace_id, base->name));
  if (current == nullptr || current->id != base->id || current->schema_version != base->schema_version) {
    return fail(ErrorCode::kConflict, "Table " + base->qualified_name() + " was altered meanwhile");
  }
  const bool renamed = changed.name != base->name;
  if (renamed) KALAM_CHECK(check_new_name(changed.namespace_id, changed.name));
  KALAM_CHECK(check_storage(changed.options.storage_id));
  changed.updated_at_us = clock_.now_us();
  ++changed.schema_version;
  changed.past_max_ordinal = base->max_ordinal();
  changed.past_max_slot = base->max_slot();
  KALAM_TRY(auto history, this->history(*base));
  history.push_back({changed.schema_version, changed.updated_at_us, std::move(description), changed.columns});
  // How older rows read is the current columns' matter; kept in every version it would grow with their square.
  for (auto& column : history.back().columns) column.older_rows = {};
  auto table = std::make_shared<const model::TableDefinition>(std::move(changed));

  CommitRequest request;
  if (renamed) request.records.push_back({RecordSpace::kTable, base->qualified_name(), std::nullopt, std::nullopt});
  request.records.push_back({RecordSpace::kTable, table->qualified_name(), encode(*table, history), std::nullopt});
  request.table_changes.push_back({table->id, table->schema_version, table});
  request.validate = std::move(validate);
  KALAM_CHECK(commit_schema(std::move(request), [&] {
    registry_.put(table);
    if (renamed) registry_.erase(base->namespace_id, base->name);
  }));
  return table;
}

Result<> Catalog::set_namespace_options(const std::string& name,
                                        const std::vector<std::pair<std::string, std::string>>& options) {
  const std::lock_guard lock(change_mutex_);
  CatalogState next = *state();
  const auto found = next.namespaces.find(name);
  if (found == next.namespaces.end()) {
    return fail(ErrorCode::kNamespaceNotFound, "Namespace '" + name + "' not found");
  }
  auto json = nlohmann::json::parse(found->second.options_json, nullptr, false);
  if (!json.is_object()) return fail(ErrorCode::kCorruption, "The options of namespace '" + name + "' are damaged");
  for (const auto& [option, value] : options) json[option] = value;
  found->second.options_json = json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  CommitRequest request;
  request.records.push_back({RecordSpace::kNamespace, name, encode(found->second), std::nullopt});
  return commit_schema(std::move(request), [&] { publish(std::move(next)); });
}

}  // namespace kalamdb::catalog
