#include "query/create_table_parser.h"

#include <algorithm>
#include <array>

#include "model/names.h"
#include "query/column_parser.h"

namespace kalamdb::query {

using model::ColumnDefinition;
using model::TableType;

namespace {

ColumnDefinition* find(std::vector<ColumnDefinition>& columns, std::string_view name) {
  const auto found = std::ranges::find_if(
      columns, [&](const ColumnDefinition& column) { return equal_ignoring_case(column.name, name); });
  return found == columns.end() ? nullptr : &*found;
}

// A constraint of the table; false when a column comes next.
Result<bool> read_table_constraint(TokenReader& reader, CreateTableAst& ast, std::vector<std::string>& key) {
  KALAM_TRY(std::string name, read_constraint_name(reader));
  if (reader.accept({"primary", "key"})) {
    if (!key.empty()) return fail(ErrorCode::kInvalidSql, "A table has one PRIMARY KEY");
    KALAM_TRY(key, read_column_list(reader));
    return true;
  }
  if (reader.peek({"unique", "("})) return not_enforced("UNIQUE");
  if (reader.peek({"check", "("})) {
    KALAM_TRY(model::CheckConstraint check, read_check(reader, std::move(name)));
    ast.checks.push_back(std::move(check));
    return true;
  }
  if (reader.peek({"foreign", "key"})) return not_enforced("FOREIGN KEY");
  if (!name.empty()) return fail(reader.unexpected("a constraint"));
  return false;
}

Result<> read_elements(TokenReader& reader, CreateTableAst& ast) {
  KALAM_CHECK(reader.expect("("));
  std::vector<std::string> key;
  uint32_t key_columns = 0;
  do {
    KALAM_TRY(const bool constraint, read_table_constraint(reader, ast, key));
    if (constraint) continue;
    KALAM_TRY(ColumnDefinition column, read_column(reader, ast.checks));
    column.ordinal = static_cast<uint32_t>(ast.columns.size()) + 1;
    if (column.is_primary_key() && ++key_columns > 1) {
      return fail(ErrorCode::kInvalidSql, "A table has one PRIMARY KEY; list its columns in one clause");
    }
    if (find(ast.columns, column.name) != nullptr) {
      return fail(ErrorCode::kInvalidSql,
                  "Duplicate column name '" + column.name + "'. Column names are case-insensitive.");
    }
    ast.columns.push_back(std::move(column));
  } while (reader.accept(","));
  KALAM_CHECK(reader.expect(")"));
  if (!key.empty() && key_columns > 0) return fail(ErrorCode::kInvalidSql, "A table has one PRIMARY KEY");
  return settle_primary_key(ast.columns, key);
}

// Rows of one partition lie side by side, since segments are in the order of the key.
Result<> set_partition(CreateTableAst& ast, const std::vector<std::string>& names) {
  for (size_t i = 0; i < names.size(); ++i) {
    ColumnDefinition* column = find(ast.columns, names[i]);
    if (column == nullptr) return fail(ErrorCode::kInvalidSql, "PARTITION BY column '" + names[i] + "' does not exist");
    if (column->primary_key_position != i + 1) {
      return fail(ErrorCode::kNotImplemented,
                  "PARTITION BY takes the leading columns of the PRIMARY KEY, in its order; '" + names[i] +
                      "' is not column " + std::to_string(i + 1) + " of it");
    }
    column->partition_key = true;
  }
  return {};
}

// The spellings of a flush policy outside WITH.
Result<> read_flush(TokenReader& reader, CreateTableAst& ast) {
  if (reader.accept("policy")) {
    KALAM_TRY(const std::string policy, reader.string("a flush policy in quotes"));
    return apply_table_option(ast, "flush_policy", policy);
  }
  const bool rows = reader.accept("row_threshold") || reader.accept("rows");
  if (!rows && !reader.accept("interval") && !reader.accept("seconds")) {
    return fail(reader.unexpected("POLICY, ROW_THRESHOLD, ROWS, INTERVAL or SECONDS"));
  }
  KALAM_TRY(const int64_t number, reader.integer("a number"));
  (void)reader.accept("s");
  KALAM_TRY(const model::FlushPolicy part, parse_flush_policy((rows ? "rows:" : "interval:") + std::to_string(number)));
  model::FlushPolicy policy = ast.options.flush_policy.value_or(model::FlushPolicy{});
  if (rows) policy.rows = part.rows;
  if (!rows) policy.interval_seconds = part.interval_seconds;
  ast.options.flush_policy = policy;
  return {};
}

Result<> read_trailing_clauses(TokenReader& reader, CreateTableAst& ast) {
  while (!reader.at_end()) {
    if (reader.accept({"partition", "by"})) {
      KALAM_TRY(const auto names, read_column_list(reader));
      KALAM_CHECK(set_partition(ast, names));
    } else if (reader.accept("using")) {
      KALAM_CHECK(reader.expect("kalamdb"));
    } else if (reader.accept("with")) {
      KALAM_TRY(const auto options, read_option_values(reader));
      for (const auto& [name, value] : options) KALAM_CHECK(apply_table_option(ast, name, value));
    } else if (reader.accept("flush")) {
      KALAM_CHECK(read_flush(reader, ast));
    } else if (reader.accept("comment")) {
      KALAM_TRY(ast.comment, reader.string("a comment in quotes"));
    } else {
      return reader.end();
    }
  }
  return {};
}

}  // namespace

Result<std::vector<std::string>> read_column_list(TokenReader& reader) {
  std::vector<std::string> names;
  KALAM_CHECK(reader.expect("("));
  do {
    KALAM_TRY(const Name column, reader.name("a column name"));
    names.push_back(column.text);
  } while (reader.accept(","));
  KALAM_CHECK(reader.expect(")"));
  return names;
}

Result<> settle_primary_key(std::vector<ColumnDefinition>& columns, const std::vector<std::string>& names) {
  uint32_t position = 0;
  for (const std::string& name : names) {
    ColumnDefinition* column = find(columns, name);
    if (column == nullptr) return fail(ErrorCode::kInvalidSql, "PRIMARY KEY column '" + name + "' does not exist");
    if (column->is_primary_key()) return fail(ErrorCode::kInvalidSql, "PRIMARY KEY names column '" + name + "' twice");
    column->primary_key_position = ++position;
  }
  for (ColumnDefinition& column : columns) {
    if (!column.is_primary_key()) continue;
    column.nullable = false;
    using model::TypeTag;
    if (column.type.tag == TypeTag::kJson || column.type.tag == TypeTag::kEmbedding ||
        column.type.tag == TypeTag::kFile) {
      return fail(ErrorCode::kInvalidSql,
                  "Column '" + column.name + "': " + sql_name(column.type) + " cannot be a PRIMARY KEY");
    }
  }
  return {};
}

Result<CreateTableAst> parse_create_table(TokenReader& reader) {
  CreateTableAst ast;
  if (reader.accept("user")) {
    ast.type = TableType::kUser;
  } else if (reader.accept("shared")) {
    ast.type = TableType::kShared;
  } else if (reader.accept("stream")) {
    ast.type = TableType::kStream;
  }
  KALAM_CHECK(reader.expect("table"));
  ast.if_not_exists = reader.accept({"if", "not", "exists"});
  KALAM_TRY(ast.name, reader.qualified_name("a table name"));
  KALAM_CHECK(model::validate_table_name(ast.name.name));
  KALAM_CHECK(read_elements(reader, ast));
  KALAM_CHECK(read_trailing_clauses(reader, ast));
  if (ast.columns.empty()) return fail(ErrorCode::kInvalidSql, "A table needs at least one column");
  return ast;
}

}  // namespace kalamdb::query
