// Views, which are stored and named among the tables.
#include <set>

#include "catalog/catalog.h"

namespace kalamdb::catalog {

using hot::RecordSpace;
using storage::CommitRequest;

namespace {

// True when `view` is one of `tables`, or is read by a view among them, however deep.
bool reads(const CatalogState& state, const std::vector<model::ViewDefinition::Dependency>& tables,
           const std::string& view, std::set<std::string>& seen) {
  for (const auto& table : tables) {
    const std::string name = table.namespace_id + "." + table.name;
    if (name == view) return true;
    const auto found = state.views.find(name);
    if (found == state.views.end() || !seen.insert(name).second) continue;
    if (reads(state, found->second->view->tables, view, seen)) return true;
  }
  return false;
}

}  // namespace

Result<> Catalog::put_view(const model::TablePtr& view, const std::vector<model::SchemaVersion>& history,
                           CommitRequest request) {
  request.records.push_back({RecordSpace::kTable, view->qualified_name(), encode(*view, history), std::nullopt});
  CatalogState next = *state();
  next.views.insert_or_assign(view->qualified_name(), view);
  return commit_schema(std::move(request), [&] {
    publish(std::move(next));
    registry_.put(view);
  });
}

Result<model::TablePtr> Catalog::create_view(model::TableDefinition draft, bool or_replace) {
  const std::lock_guard lock(change_mutex_);
  KALAM_TRY(const model::TablePtr old, find_table(draft.namespace_id, draft.name));
  const bool replaces = or_replace && old != nullptr && old->is_view();
  if (!replaces) KALAM_CHECK(check_new_name(draft.namespace_id, draft.name));
  std::set<std::string> seen;
  if (reads(*state(), draft.view->tables, draft.qualified_name(), seen)) {
    return fail(ErrorCode::kInvalidOperation, "View " + draft.qualified_name() + " would read itself");
  }
  CommitRequest request;
  std::vector<model::SchemaVersion> history;
  draft.updated_at_us = clock_.now_us();
  if (replaces) {
    draft.id = old->id;
    draft.created_at_us = old->created_at_us;
    draft.schema_version = old->schema_version + 1;
    KALAM_TRY(history, this->history(*old));
  } else {
    KALAM_TRY(draft.id, next_table_id(request));
    draft.created_at_us = draft.updated_at_us;
  }
  history.push_back(
      {draft.schema_version, draft.updated_at_us, replaces ? "CREATE OR REPLACE VIEW" : "CREATE VIEW", draft.columns});
  auto view = std::make_shared<const model::TableDefinition>(std::move(draft));
  KALAM_CHECK(put_view(view, history, std::move(request)));
  return view;
}

Result<> Catalog::rebind_view(const model::TableDefinition& old, std::vector<model::ColumnDefinition> columns,
                              std::vector<model::ViewDefinition::Dependency> tables) {
  const std::lock_guard lock(change_mutex_);
  KALAM_TRY(const model::TablePtr now, find_table(old.namespace_id, old.name));
  if (now == nullptr || now->id != old.id || now->schema_version != old.schema_version) return {};
  KALAM_TRY(auto history, this->history(old));
  auto view = std::make_shared<model::TableDefinition>(old);
  view->view.edit().tables = std::move(tables);
  if (view->columns != columns) {
    view->columns = std::move(columns);
    view->updated_at_us = clock_.now_us();
    history.push_back({++view->schema_version, view->updated_at_us, "COLUMNS CHANGED BENEATH", view->columns});
  }
  return put_view(view, history, {});
}

Result<> Catalog::drop_view(std::string_view namespace_id, std::string_view name) {
  const std::lock_guard lock(change_mutex_);
  KALAM_TRY(const model::TablePtr view, find_table(namespace_id, name));
  if (view == nullptr) {
    return fail(ErrorCode::kNotFound,
                "View '" + std::string(name) + "' not found in namespace '" + std::string(namespace_id) + "'");
  }
  if (!view->is_view()) {
    return fail(ErrorCode::kInvalidOperation, view->qualified_name() + " is not a view; use DROP TABLE");
  }
  CommitRequest request;
  request.records.push_back({RecordSpace::kTable, view->qualified_name(), std::nullopt, std::nullopt});
  CatalogState next = *state();
  next.views.erase(view->qualified_name());
  return commit_schema(std::move(request), [&] {
    publish(std::move(next));
    registry_.erase(view->namespace_id, view->name);
  });
}

}  // namespace kalamdb::catalog
