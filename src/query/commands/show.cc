// SHOW NAMESPACES, SHOW STORAGES, SHOW MANIFEST [CACHE], SHOW TABLES | VIEWS [IN|FROM namespace]
#include <algorithm>

#include "auth/permissions.h"
#include "query/commands.h"
#include "query/system_tables.h"

namespace kalamdb::query {

namespace {

class ShowNamespaces : public Command {
 public:
  Result<> authorize(const Caller&) const override { return {}; }
  bool is_allowed_in_transaction() const override { return true; }
  Result<StatementResult> run(const Services& services, const StatementContext& context) const override {
    return select_system_table(services, context.caller, "system", "namespaces");
  }
};

class ShowStorages : public Command {
 public:
  Result<> authorize(const Caller&) const override { return {}; }
  bool is_allowed_in_transaction() const override { return true; }
  Result<StatementResult> run(const Services& services, const StatementContext& context) const override {
    return select_system_table(services, context.caller, "system", "storages");
  }
};

class ShowManifest : public Command {
 public:
  Result<> authorize(const Caller& caller) const override {
    return auth::check_admin(auth::AdminArea::kManifest, caller.role);
  }
  bool is_allowed_in_transaction() const override { return true; }
  Result<StatementResult> run(const Services& services, const StatementContext& context) const override {
    return select_system_table(services, context.caller, "system", "manifest");
  }
};

// The newest versions of tables or of views.
class ShowTables : public Command {
 public:
  ShowTables(std::string namespace_id, bool views) : namespace_id_(std::move(namespace_id)), views_(views) {}
  Result<> authorize(const Caller&) const override { return {}; }
  bool is_allowed_in_transaction() const override { return true; }
  Result<StatementResult> run(const Services& services, const StatementContext& context) const override {
    if (!namespace_id_.empty() && !services.catalog.has_namespace(namespace_id_)) {
      return fail(ErrorCode::kNamespaceNotFound, "Namespace '" + namespace_id_ + "' not found");
    }
    KALAM_TRY(StatementResult all, select_system_table(services, context.caller, "system", "schemas"));
    const auto columns = all.rows->columns();
    const auto index_of = [&](std::string_view name) {
      return static_cast<size_t>(std::ranges::find(columns, name, &duck::ResultColumn::name) - columns.begin());
    };
    const size_t namespace_column = index_of("namespace_id");
    const size_t latest_column = index_of("is_latest");
    const size_t type_column = index_of("table_type");
    std::vector<model::Row> rows;
    while (true) {
      KALAM_TRY(const duck::ResultBatch* batch, all.rows->next());
      if (batch == nullptr) break;
      for (size_t r = 0; r < batch->row_count(); ++r) {
        if (!std::get<bool>(batch->cell(r, latest_column))) continue;
        const auto in = std::get<std::string_view>(batch->cell(r, namespace_column));
        if (!namespace_id_.empty() && in != namespace_id_) continue;
        if (views_ && std::get<std::string_view>(batch->cell(r, type_column)) != "view") continue;
        model::Row row;
        for (size_t c = 0; c < columns.size(); ++c) row.push_back(model::to_value(batch->cell(r, c)));
        rows.push_back(std::move(row));
      }
    }
    StatementResult result;
    result.rows = make_result(columns, std::move(rows));
    return result;
  }

 private:
  std::string namespace_id_;  // empty: every namespace
  bool views_;
};

ParsedCommand parse_listing(TokenReader& reader, bool views) {
  std::string namespace_id;
  if (reader.accept("in") || reader.accept("from")) {
    (void)reader.accept("namespace");
    KALAM_TRY(const Name name, reader.name("a namespace name"));
    namespace_id = lower(name.text);
  }
  KALAM_CHECK(reader.end());
  return std::make_unique<ShowTables>(std::move(namespace_id), views);
}

}  // namespace

ParsedCommand parse_show_namespaces(TokenReader& reader) {
  KALAM_CHECK(reader.end());
  return std::make_unique<ShowNamespaces>();
}

ParsedCommand parse_show_storages(TokenReader& reader) {
  KALAM_CHECK(reader.end());
  return std::make_unique<ShowStorages>();
}

ParsedCommand parse_show_manifest(TokenReader& reader) {
  (void)reader.accept("cache");
  KALAM_CHECK(reader.end());
  return std::make_unique<ShowManifest>();
}

ParsedCommand parse_show_tables(TokenReader& reader) { return parse_listing(reader, false); }
ParsedCommand parse_show_views(TokenReader& reader) { return parse_listing(reader, true); }

}  // namespace kalamdb::query
