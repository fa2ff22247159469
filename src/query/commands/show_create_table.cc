// SHOW CREATE TABLE [ns.]t: the statement that makes such a table.
#include <algorithm>

#include "model/names.h"
#include "query/commands.h"
#include "query/existing_rows.h"
#include "query/sources.h"
#include "query/system_tables.h"

namespace kalamdb::query {

using model::ColumnDefinition;
using model::TableDefinition;
using model::TypeTag;

namespace {

// In quotes where it needs them.
std::string identifier(const std::string& name) {
  return model::validate_column_name(name, /*quoted=*/false) ? name : quoted(name);
}

// "(a, b)".
std::string names_of(const std::vector<const ColumnDefinition*>& columns) {
  std::string text;
  for (const auto* column : columns) text += (text.empty() ? "(" : ", ") + identifier(column->name);
  return text + ")";
}

std::string column_text(const ColumnDefinition& column, bool is_whole_key) {
  std::string text = identifier(column.name) + " " + sql_name(column.type);
  if (is_whole_key) {
    text += " PRIMARY KEY";
  } else if (!column.nullable && !column.is_primary_key()) {
    text += " NOT NULL";
  }
  const model::Value value = default_text(column);
  if (!model::is_null(value)) text += " DEFAULT " + std::get<std::string>(value);
  if (!column.comment.empty()) text += " COMMENT " + string_literal(column.comment);
  return text;
}

std::string flush_policy_text(const model::FlushPolicy& policy) {
  std::string text;
  if (policy.rows > 0) text += "rows:" + std::to_string(policy.rows);
  if (policy.interval_seconds > 0) {
    text += (text.empty() ? "" : ",") + std::string("interval:") + std::to_string(policy.interval_seconds);
  }
  return string_literal(text);
}

// " WITH (…)", of the options that are not as they are without it.
std::string options_text(const TableDefinition& table) {
  const model::TableOptions& options = table.options;
  const model::TableOptions defaults;
  std::string text;
  const auto add = [&](std::string name, const std::string& value) {
    std::ranges::transform(name, name.begin(), [](unsigned char c) { return std::toupper(c); });
    text += (text.empty() ? " WITH (" : ", ") + name + " = " + value;
  };
  if (table.type == model::TableType::kShared) {
    add("access_level", string_literal(lower_name(options.access_level)));
  }
  if (options.storage_id != defaults.storage_id) add("storage_id", string_literal(options.storage_id));
  if (options.use_user_storage) add("use_user_storage", "true");
  if (options.flush_policy) add("flush_policy", flush_policy_text(*options.flush_policy));
  if (options.deleted_retention_hours) add("deleted_retention_hours", std::to_string(*options.deleted_retention_hours));
  if (options.compression != defaults.compression) add("compression", string_literal(options.compression));
  if (options.max_rows_per_user > 0) add("max_rows_per_user", std::to_string(options.max_rows_per_user));
  if (options.ttl_seconds > 0) add("ttl_seconds", std::to_string(options.ttl_seconds));
  if (options.max_stream_size_bytes > 0) {
    add("max_stream_size_bytes", std::to_string(options.max_stream_size_bytes));
    add("eviction_strategy", options.ttl_seconds > 0 ? "'hybrid'" : "'size'");
  }
  for (const auto& [name, value] : options.extra) add(name, string_literal(value));
  return text.empty() ? text : text + ")";
}

std::string create_statement(const TableDefinition& table) {
  const auto key = table.primary_key();
  const bool is_composite = key.size() > 1;
  std::string text = "CREATE " + std::string(upper_name(table.type)) + " TABLE " + table.qualified_name() + " (";
  const char* separator = "\n  ";
  const auto add = [&](const std::string& element) {
    text += separator + element;
    separator = ",\n  ";
  };
  std::vector<const ColumnDefinition*> partition;
  for (const ColumnDefinition& column : table.columns) {
    if (!column.is_system()) add(column_text(column, column.is_primary_key() && !is_composite));
  }
  for (const auto* column : key) {
    if (column->partition_key) partition.push_back(column);
  }
  if (is_composite) add("PRIMARY KEY " + names_of(key));
  for (const auto& check : table.checks) {
    add("CONSTRAINT " + identifier(check.name) + " CHECK (" + check.expression + ")");
  }
  text += "\n)";
  if (!partition.empty()) text += " PARTITION BY " + names_of(partition);
  text += options_text(table);
  if (!table.comment.empty()) text += " COMMENT " + string_literal(table.comment);
  return text;
}

class ShowCreateTable : public Command {
 public:
  explicit ShowCreateTable(QualifiedName name) : name_(std::move(name)) {}

  Result<> authorize(const Caller&) const override { return {}; }  // depends on the table: see run()
  bool is_allowed_in_transaction() const override { return true; }

  Result<StatementResult> run(const Services& services, const StatementContext& context) const override {
    const std::string& namespace_id = namespace_of(name_, context);
    const std::string qualified = namespace_id + "." + name_.name;
    if (is_system_namespace(namespace_id)) {
      return fail(ErrorCode::kInvalidOperation, qualified + " is a system table, which no statement creates");
    }
    KALAM_TRY(const model::TablePtr table, services.catalog.find_table(namespace_id, name_.name));
    if (table == nullptr) return fail(ErrorCode::kTableNotFound, qualified);
    if (table->is_view()) {
      return fail(ErrorCode::kInvalidOperation, qualified + " is a view; its SELECT is in information_schema.views");
    }
    KALAM_CHECK(check_access(*table, context.caller, Access::kRead));
    StatementResult result;
    result.rows =
        make_result({result_column("table_name", TypeTag::kText), result_column("create_statement", TypeTag::kText)},
                    {{table->qualified_name(), create_statement(*table)}});
    return result;
  }

 private:
  QualifiedName name_;
};

}  // namespace

ParsedCommand parse_show_create_table(TokenReader& reader) {
  KALAM_TRY(QualifiedName name, reader.qualified_name("a table name"));
  KALAM_CHECK(reader.end());
  return std::make_unique<ShowCreateTable>(std::move(name));
}

}  // namespace kalamdb::query
