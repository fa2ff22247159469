// SHOW NAMESPACES, SHOW TABLES [IN|FROM namespace]
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

class ShowTables : public Command {
 public:
  explicit ShowTables(std::string namespace_id) : namespace_id_(std::move(namespace_id)) {}
  Result<> authorize(const Caller&) const override { return {}; }
  bool is_allowed_in_transaction() const override { return true; }
  Result<StatementResult> run(const Services& services, const StatementContext& context) const override {
    if (!namespace_id_.empty() && !services.catalog.has_namespace(namespace_id_)) {
      return fail(ErrorCode::kNamespaceNotFound, "Namespace '" + namespace_id_ + "' not found");
    }
    KALAM_TRY(StatementResult all, select_system_table(services, context.caller, "system", "schemas"));
    const auto columns = all.rows->columns();
    size_t namespace_column = 0;
    size_t latest_column = 0;
    for (size_t i = 0; i < columns.size(); ++i) {
      if (columns[i].name == "namespace_id") namespace_column = i;
      if (columns[i].name == "is_latest") latest_column = i;
    }
    std::vector<model::Row> rows;
    while (true) {
      KALAM_TRY(const duck::ResultBatch* batch, all.rows->next());
      if (batch == nullptr) break;
      for (size_t r = 0; r < batch->row_count(); ++r) {
        const auto in = std::get<std::string_view>(batch->cell(r, namespace_column));
        if (!std::get<bool>(batch->cell(r, latest_column)) || (!namespace_id_.empty() && in != namespace_id_)) continue;
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
};

}  // namespace

ParsedCommand parse_show_namespaces(TokenReader& reader) {
  KALAM_CHECK(reader.end());
  return std::make_unique<ShowNamespaces>();
}

ParsedCommand parse_show_tables(TokenReader& reader) {
  std::string namespace_id;
  if (reader.accept("in") || reader.accept("from")) {
    (void)reader.accept("namespace");
    KALAM_TRY(const Name name, reader.name("a namespace name"));
    namespace_id = lower(name.text);
  }
  KALAM_CHECK(reader.end());
  return std::make_unique<ShowTables>(std::move(namespace_id));
}

}  // namespace kalamdb::query
