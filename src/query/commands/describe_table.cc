// DESCRIBE | DESC [TABLE] [ns.]t [HISTORY], SHOW COLUMNS FROM | IN [ns.]t
#include "query/commands.h"
#include "query/sources.h"
#include "query/system_tables.h"
#include "query/views.h"

namespace kalamdb::query {

using model::TypeTag;

namespace {

StatementResult describe(const model::TableDefinition& table) {
  std::vector<model::Row> rows;
  for (const auto& column : table.columns) {
    if (column.name == model::kHiddenKeyColumn) continue;
    rows.push_back({column.name, int64_t{column.ordinal}, int64_t{column.ordinal}, sql_name(column.type),
                    column.nullable, column.is_primary_key(), column.partition_key, default_text(column),
                    column.comment.empty() ? model::Value() : model::Value(column.comment),
                    int64_t{table.schema_version}});
  }
  StatementResult result;
  result.rows = make_result(
      {result_column("column_name", TypeTag::kText), result_column("ordinal_position", TypeTag::kInt),
       result_column("column_id", TypeTag::kBigInt), result_column("data_type", TypeTag::kText),
       result_column("is_nullable", TypeTag::kBoolean), result_column("is_primary_key", TypeTag::kBoolean),
       result_column("is_partition_key", TypeTag::kBoolean), result_column("column_default", TypeTag::kText),
       result_column("column_comment", TypeTag::kText), result_column("schema_version", TypeTag::kInt)},
      std::move(rows));
  return result;
}

StatementResult describe_history(const std::vector<model::SchemaVersion>& history) {
  std::vector<model::Row> rows;
  for (const auto& version : history) {
    rows.push_back({int64_t{version.version}, version.created_at_us, version.changes,
                    static_cast<int64_t>(version.columns.size())});
  }
  StatementResult result;
  result.rows = make_result({result_column("version", TypeTag::kInt), result_column("created_at", TypeTag::kTimestamp),
                             result_column("changes", TypeTag::kText), result_column("column_count", TypeTag::kInt)},
                            std::move(rows));
  return result;
}

class DescribeTable : public Command {
 public:
  DescribeTable(QualifiedName name, bool history) : name_(std::move(name)), history_(history) {}

  Result<> authorize(const Caller&) const override { return {}; }  // depends on the table: see run()
  bool is_allowed_in_transaction() const override { return true; }

  Result<StatementResult> run(const Services& services, const StatementContext& context) const override {
    const std::string& namespace_id = namespace_of(name_, context);
    model::TablePtr table;
    if (is_system_namespace(namespace_id)) {
      KALAM_TRY(const auto source, open_system_table(services, context.caller, namespace_id, name_.name));
      if (!source) return fail(ErrorCode::kTableNotFound, namespace_id + "." + name_.name);
      table = source->computed->table;
    } else {
      KALAM_TRY(table, services.catalog.find_table(namespace_id, name_.name));
      if (table == nullptr) return fail(ErrorCode::kTableNotFound, namespace_id + "." + name_.name);
      if (table->is_view()) {
        UsableTables usable(services.catalog, context.caller.role);
        if (!usable.contains(*table)) return fail(view_denied(*table, context.caller.role));
      } else {
        KALAM_CHECK(check_access(*table, context.caller, Access::kRead));
      }
    }
    if (!history_) return describe(*table);
    if (table->type == model::TableType::kSystem) return describe_history({});  // the same in every version
    KALAM_TRY(const auto history, services.catalog.history(*table));
    return describe_history(history);
  }

 private:
  QualifiedName name_;
  bool history_;
};

}  // namespace

ParsedCommand parse_show_columns(TokenReader& reader) {
  if (!reader.accept("in")) KALAM_CHECK(reader.expect("from"));
  (void)reader.accept("table");
  KALAM_TRY(QualifiedName name, reader.qualified_name("a table name"));
  KALAM_CHECK(reader.end());
  return std::make_unique<DescribeTable>(std::move(name), false);
}

ParsedCommand parse_describe_table(TokenReader& reader) {
  KALAM_TRY(QualifiedName name, reader.qualified_name("a table name"));
  const bool history = reader.accept("history");
  KALAM_CHECK(reader.end());
  return std::make_unique<DescribeTable>(std::move(name), history);
}

}  // namespace kalamdb::query
