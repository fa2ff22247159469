// Views: what a SELECT binds to, whether it still does, and who may use it.
#pragma once

#include <unordered_map>
#include <vector>

#include "query/sources.h"

namespace kalamdb::query {

// What a view's SELECT reads and gives for the tables as they are now.
struct BoundView {
  std::vector<model::ColumnDefinition> columns;  // their names are `output`
  std::vector<std::string> output;
  std::vector<model::ViewDefinition::Dependency> tables;
};
// With the rights of the server itself. Errors: whatever keeps the SELECT from being planned.
Result<BoundView> bind_view(const Services& services, const duck::Statement& select, const std::string& namespace_id);

// Gives views whose tables have changed their new column types. Call it when a table was made or altered.
void rebind_views(const Services& services);

// The view as a source for `sources`, which must outlive what is returned; `above` is the view that reads it. What is
// wrong beneath it is an error that names the view, and to administrators what is missing: kInvalidOperation,
// kPermissionDenied.
Result<duck::TableSource> open_view(const Services& services, const StatementContext& context,
                                    StatementSources& sources, const model::TablePtr& view,
                                    std::shared_ptr<const ViewTables> above);

// Which tables a role may use: views are usable when everything beneath them is there and is. One statement's.
class UsableTables {
 public:
  // `catalog` must outlive it.
  UsableTables(const catalog::Catalog& catalog, catalog::Role role) : catalog_(catalog), role_(role) {}
  bool contains(const model::TableDefinition& table);

 private:
  const catalog::Catalog& catalog_;
  catalog::Role role_;
  std::unordered_map<TableId, bool> views_;
};

// "Access denied …" for a view, which does not tell what lies beneath it.
Error view_denied(const model::TableDefinition& view, catalog::Role role);

}  // namespace kalamdb::query
