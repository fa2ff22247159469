#include "query/views.h"

#include <algorithm>

#include "auth/permissions.h"
#include "query/insert.h"
#include "query/system_tables.h"

namespace kalamdb::query {

using model::TablePtr;

namespace {

constexpr int kMaxRounds = 16;  // of rebinding: as deep as views nest

Error broken(const model::TableDefinition& view, const std::string& why) {
  return {ErrorCode::kInvalidOperation, "View " + view.qualified_name() + " cannot be read: " + why};
}

}  // namespace

// Opens what a view reads, in the view's namespace and with the caller's rights.
class ViewTables : public duck::SourceResolver, public std::enable_shared_from_this<ViewTables> {
 public:
  // `above` is the view that reads this one, or nullptr.
  ViewTables(const Services& services, const StatementContext& context, StatementSources& sources, TablePtr view,
             std::shared_ptr<const ViewTables> above)
      : services_(services), context_(context), sources_(sources), view_(std::move(view)), above_(std::move(above)) {}

  Result<duck::TableSource> open(const duck::TableName& name) override {
    const std::string& in = view_->view->namespace_id;
    auto source = sources_.open_in(in, name, shared_from_this());
    if (source) return source;
    refused_ = true;
    KALAM_TRY(const TablePtr table, services_.catalog.find_table(name.schema.empty() ? in : name.schema, name.name));
    if (table != nullptr && table->is_view()) return source;  // which has told what is wrong
    return fail(tell(source.error()));
  }

  // Binds the SELECT alone, since what is beneath it has changed.
  Result<> check(const duck::Statement& select) {
    StatementContext without_parameters = context_;
    without_parameters.parameters = {};
    const auto columns = services_.engine.describe(
        select, *this, query_context(services_, without_parameters, services_.clock.now_us()));
    if (!columns && refused_) return fail(columns.error());
    // Every table could be opened, so the caller may know of its columns.
    if (!columns) return fail(pass_up(broken(*view_, columns.error().message)));
    for (const std::string& name : view_->view->output) {
      if (std::ranges::none_of(*columns, [&](const auto& column) { return equal_ignoring_case(column.name, name); })) {
        return fail(pass_up(broken(*view_, "Column '" + name + "' does not exist")));
      }
    }
    return {};
  }

 private:
  // What went wrong beneath, in words that are for the caller.
  Error tell(const Error& error) const {
    const bool admin = is_admin(context_.caller.role);
    switch (error.code) {
      case ErrorCode::kTableNotFound:
        return pass_up(
            broken(*view_, admin ? "table " + error.message + " does not exist" : "a table beneath it is missing"));
      case ErrorCode::kPermissionDenied:
        return pass_up(view_denied(*view_, context_.caller.role));
      case ErrorCode::kInvalidOperation:
        if (error.message.starts_with("EXECUTE AS USER")) {
          return pass_up({ErrorCode::kInvalidOperation, "EXECUTE AS USER is not allowed on SHARED tables, which view " +
                                                            view_->qualified_name() + " reads"});
        }
        return pass_up(broken(*view_, admin ? error.message : "a view beneath it cannot be read"));
      default:
        return error;
    }
  }
  Error pass_up(Error error) const { return above_ == nullptr ? std::move(error) : above_->tell(error); }

  const Services& services_;
  const StatementContext& context_;
  StatementSources& sources_;
  TablePtr view_;
  std::shared_ptr<const ViewTables> above_;
  bool refused_ = false;
};

namespace {

Result<std::shared_ptr<const duck::Statement>> view_statement(const Services& services,
                                                              const model::TableDefinition& view) {
  const std::string key = std::to_string(view.id.value) + "." + std::to_string(view.schema_version);
  if (auto cached = services.view_statements->get(key)) return cached;
  KALAM_TRY(auto statement, duck::Statement::parse(view.view->select));
  services.view_statements->put(key, statement, view.view->select.size());
  return statement;
}

enum class State : uint8_t { kCurrent, kChanged, kMissing };

// How the tables beneath a view are compared with those that it was bound to.
Result<State> state_of(const Services& services, const model::ViewDefinition& view) {
  State state = State::kCurrent;
  for (const auto& bound : view.tables) {
    if (is_system_namespace(bound.namespace_id)) continue;
    KALAM_TRY(const TablePtr now, services.catalog.find_table(bound.namespace_id, bound.name));
    if (now == nullptr) return State::kMissing;
    if (now->id != bound.id || now->schema_version != bound.schema_version) state = State::kChanged;
  }
  return state;
}

// True when the view got other columns or another version of its tables.
bool rebind(const Services& services, const TablePtr& view) {
  const auto state = state_of(services, *view->view);
  if (!state || *state != State::kChanged) return false;
  const auto select = view_statement(services, *view);
  if (!select) return false;
  auto bound = bind_view(services, **select, view->view->namespace_id);
  if (!bound) return false;
  auto columns = view->columns;
  for (size_t i = 0; i < columns.size(); ++i) {
    const auto found = std::ranges::find_if(
        bound->columns, [&](const auto& column) { return equal_ignoring_case(column.name, view->view->output[i]); });
    if (found == bound->columns.end()) return false;
    columns[i].type = found->type;
  }
  return services.catalog.rebind_view(*view, std::move(columns), std::move(bound->tables)).has_value();
}

}  // namespace

Error view_denied(const model::TableDefinition& view, catalog::Role role) {
  return {ErrorCode::kPermissionDenied, "Access denied: Role '" + std::string(pascal_name(role)) +
                                            "' cannot access table '" + view.qualified_name() +
                                            "'. The view reads tables that this role may not read."};
}

Result<BoundView> bind_view(const Services& services, const duck::Statement& select, const std::string& namespace_id) {
  StatementContext context;
  context.caller.role = catalog::Role::kSystem;
  context.namespace_id = namespace_id;
  StatementSources sources(services, context);
  KALAM_TRY(const auto described,
            services.engine.describe(select, sources, query_context(services, context, sources.now_us())));
  BoundView bound;
  for (const auto& column : described) {
    model::ColumnDefinition definition;
    definition.name = column.name;
    definition.ordinal = static_cast<uint32_t>(bound.columns.size() + 1);
    definition.type = column.type;
    bound.output.push_back(column.name);
    bound.columns.push_back(std::move(definition));
  }
  for (const auto& name : select.tables()) {
    const std::string& in = name.schema.empty() ? namespace_id : name.schema;
    KALAM_TRY(const TablePtr table, services.catalog.find_table(in, name.name));
    if (table != nullptr) {
      bound.tables.push_back({in, name.name, table->id, table->schema_version});
    } else {
      bound.tables.push_back({in, name.name, TableId(0), 0});
    }
  }
  return bound;
}

void rebind_views(const Services& services) {
  bool changed = true;
  for (int round = 0; changed && round < kMaxRounds; ++round) {
    changed = false;
    const auto state = services.catalog.state();
    for (const auto& [name, view] : state->views) changed |= rebind(services, view);
  }
}

Result<duck::TableSource> open_view(const Services& services, const StatementContext& context,
                                    StatementSources& sources, const TablePtr& view,
                                    std::shared_ptr<const ViewTables> above) {
  KALAM_TRY(const auto select, view_statement(services, *view));
  const auto tables = std::make_shared<ViewTables>(services, context, sources, view, std::move(above));
  KALAM_TRY(const State state, state_of(services, *view->view));
  if (state != State::kCurrent) KALAM_CHECK(tables->check(*select));
  duck::TableSource source;
  source.view = duck::ViewSource{view, select, tables};
  return source;
}

bool UsableTables::contains(const model::TableDefinition& table) {
  if (!table.is_view()) return auth::check_read(table, role_).has_value();
  if (is_admin(role_)) return true;
  const auto [known, is_new] = views_.try_emplace(table.id, false);
  if (!is_new) return known->second;
  const bool usable = std::ranges::all_of(table.view->tables, [&](const auto& beneath) {
    if (is_system_namespace(beneath.namespace_id)) {
      return may_read_system_table(beneath.namespace_id, beneath.name, role_);
    }
    const auto found = catalog_.find_table(beneath.namespace_id, beneath.name);
    return found && *found != nullptr && contains(**found);
  });
  views_[table.id] = usable;
  return usable;
}

}  // namespace kalamdb::query
