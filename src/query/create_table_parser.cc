#include "query/create_table_parser.h"

#include <algorithm>
#include <array>

#include "model/names.h"

namespace kalamdb::query {

using model::ColumnDefault;
using model::ColumnDefinition;
using model::TableType;

namespace {

Result<> read_type_arguments(TokenReader& reader, std::optional<int64_t>& first, std::optional<int64_t>& second) {
  if (!reader.accept("(")) return {};
  KALAM_TRY(first, reader.integer("a number"));
  if (reader.accept(",")) {
    KALAM_TRY(second, reader.integer("a number"));
  }
  return reader.expect(")");
}

// A column's type; SERIAL and its kin also set the default and NOT NULL.
Result<> read_type(TokenReader& reader, ColumnDefinition& column) {
  KALAM_TRY(const Name first_word, reader.name("a type for column '" + column.name + "'"));
  std::string type_name = first_word.text;
  if (equal_ignoring_case(type_name, "double") && reader.accept("precision")) type_name = "DOUBLE PRECISION";
  if (equal_ignoring_case(type_name, "character") && reader.accept("varying")) type_name = "CHARACTER VARYING";
  std::optional<int64_t> first;
  std::optional<int64_t> second;
  KALAM_CHECK(read_type_arguments(reader, first, second));
  if (equal_ignoring_case(type_name, "timestamp")) {
    if (reader.accept({"with", "time", "zone"})) type_name = "DATETIME";
    (void)reader.accept({"without", "time", "zone"});
  }
  if (reader.peek({"unsigned"})) {
    return fail(ErrorCode::kInvalidSql, "Column '" + column.name + "': UNSIGNED types are not supported");
  }
  if (model::is_serial_type(type_name)) {
    column.type = model::DataType{model::TypeTag::kBigInt};
    column.nullable = false;
    column.default_value.kind = ColumnDefault::Kind::kFunction;
    column.default_value.function = "SNOWFLAKE_ID";
    return {};
  }
  auto type = model::parse_type(type_name, first, second);
  if (!type) return fail(type.error().code, "Column '" + column.name + "': " + type.error().message);
  column.type = *type;
  return {};
}

constexpr std::array<std::string_view, 5> kDefaultFunctions{"NOW", "SNOWFLAKE_ID", "UUID_V7", "ULID", "CURRENT_USER"};

Result<ColumnDefault> read_default_function(TokenReader& reader, const ColumnDefinition& column) {
  KALAM_TRY(const Name word, reader.name("a default value"));
  std::string function = word.text;
  std::ranges::transform(function, function.begin(), [](unsigned char c) { return std::toupper(c); });
  if (function == "CURRENT_TIMESTAMP") function = "NOW";
  if (reader.accept("(")) KALAM_CHECK(reader.expect(")"));
  if (std::ranges::find(kDefaultFunctions, function) == kDefaultFunctions.end()) {
    return fail(ErrorCode::kInvalidSql, "Column '" + column.name + "': the function '" + word.text +
                                            "' is not supported in DEFAULT; use a literal, NOW(), SNOWFLAKE_ID(), "
                                            "UUID_V7(), ULID() or CURRENT_USER()");
  }
  ColumnDefault value;
  value.kind = ColumnDefault::Kind::kFunction;
  value.function = std::move(function);
  return value;
}

Result<ColumnDefault> read_default(TokenReader& reader, const ColumnDefinition& column) {
  ColumnDefault value;
  value.kind = ColumnDefault::Kind::kLiteral;
  model::Value literal;
  if (reader.accept("null")) return value;
  if (reader.accept("true")) {
    literal = true;
  } else if (reader.accept("false")) {
    literal = false;
  } else {
    std::string sign;
    if (reader.accept("-")) sign = "-";
    if (reader.at_end()) return fail(reader.unexpected("a default value"));
    if (reader.token().kind == duck::TokenKind::kNumber) {
      literal = sign + std::string(reader.token_text());
      reader.skip();
    } else if (sign.empty() && reader.token().kind == duck::TokenKind::kString) {
      KALAM_TRY(literal, reader.string("a default value"));
    } else if (sign.empty()) {
      return read_default_function(reader, column);
    } else {
      return fail(reader.unexpected("a number"));
    }
  }
  auto coerced = model::coerce(model::view(literal), column.type);
  if (!coerced) {
    return fail(ErrorCode::kInvalidSql, "DEFAULT of column '" + column.name + "': " + coerced.error().message);
  }
  value.literal = *std::move(coerced);
  return value;
}

std::unexpected<Error> not_enforced(std::string_view what) {
  return fail(ErrorCode::kNotImplemented, std::string(what) + " constraints are not supported yet; leave them out");
}

// One constraint of a column; false when none comes next.
Result<bool> read_constraint(TokenReader& reader, ColumnDefinition& column, uint32_t& key_columns) {
  if (reader.accept({"not", "null"})) {
    column.nullable = false;
  } else if (reader.accept("null")) {
    column.nullable = true;
  } else if (reader.accept({"primary", "key"})) {
    if (key_columns > 0)
      return fail(ErrorCode::kInvalidSql, "A table has one PRIMARY KEY; list its columns in one clause");
    column.primary_key_position = ++key_columns;
  } else if (reader.accept("default")) {
    KALAM_TRY(column.default_value, read_default(reader, column));
  } else if (reader.accept("auto_increment") || reader.accept({"auto", "increment"}) ||
             reader.accept({"generated", "always", "as", "identity"}) ||
             reader.accept({"generated", "by", "default", "as", "identity"})) {
    if (!model::is_integer(column.type.tag)) {
      return fail(ErrorCode::kInvalidSql, "Column '" + column.name + "': AUTO_INCREMENT needs an integer type");
    }
    column.type = model::DataType{model::TypeTag::kBigInt};
    column.nullable = false;
    column.default_value.kind = ColumnDefault::Kind::kFunction;
    column.default_value.function = "SNOWFLAKE_ID";
  } else if (reader.accept("comment")) {
    KALAM_TRY(column.comment, reader.string("a comment in quotes"));
  } else if (reader.peek({"unique"})) {
    return not_enforced("UNIQUE");
  } else if (reader.peek({"check"})) {
    return not_enforced("CHECK");
  } else if (reader.peek({"references"})) {
    return not_enforced("FOREIGN KEY");
  } else {
    return false;
  }
  return true;
}

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

ColumnDefinition* find(std::vector<ColumnDefinition>& columns, std::string_view name) {
  const auto found = std::ranges::find_if(
      columns, [&](const ColumnDefinition& column) { return equal_ignoring_case(column.name, name); });
  return found == columns.end() ? nullptr : &*found;
}

// A constraint of the table; false when a column comes next.
Result<bool> read_table_constraint(TokenReader& reader, std::vector<std::string>& key) {
  if (reader.accept("constraint")) KALAM_CHECK(reader.name("a constraint name"));
  if (reader.accept({"primary", "key"})) {
    if (!key.empty()) return fail(ErrorCode::kInvalidSql, "A table has one PRIMARY KEY");
    KALAM_TRY(key, read_column_list(reader));
    return true;
  }
  if (reader.peek({"unique", "("})) return not_enforced("UNIQUE");
  if (reader.peek({"check", "("})) return not_enforced("CHECK");
  if (reader.peek({"foreign", "key"})) return not_enforced("FOREIGN KEY");
  return false;
}

Result<ColumnDefinition> read_column(TokenReader& reader, const CreateTableAst& ast, uint32_t& key_columns) {
  ColumnDefinition column;
  KALAM_TRY(Name name, reader.name("a column name"));
  KALAM_CHECK(model::validate_column_name(name.text, name.quoted));
  column.name = std::move(name.text);
  column.ordinal = static_cast<uint32_t>(ast.columns.size()) + 1;
  KALAM_CHECK(read_type(reader, column));
  while (true) {
    KALAM_TRY(const bool more, read_constraint(reader, column, key_columns));
    if (!more) return column;
  }
}

Result<> read_elements(TokenReader& reader, CreateTableAst& ast) {
  KALAM_CHECK(reader.expect("("));
  std::vector<std::string> key;
  uint32_t key_columns = 0;
  do {
    KALAM_TRY(const bool constraint, read_table_constraint(reader, key));
    if (constraint) continue;
    KALAM_TRY(ColumnDefinition column, read_column(reader, ast, key_columns));
    if (find(ast.columns, column.name) != nullptr) {
      return fail(ErrorCode::kInvalidSql,
                  "Duplicate column name '" + column.name + "'. Column names are case-insensitive.");
    }
    ast.columns.push_back(std::move(column));
  } while (reader.accept(","));
  KALAM_CHECK(reader.expect(")"));
  if (!key.empty() && key_columns > 0) return fail(ErrorCode::kInvalidSql, "A table has one PRIMARY KEY");
  for (const std::string& name : key) {
    ColumnDefinition* column = find(ast.columns, name);
    if (column == nullptr) return fail(ErrorCode::kInvalidSql, "PRIMARY KEY column '" + name + "' does not exist");
    if (column->is_primary_key()) return fail(ErrorCode::kInvalidSql, "PRIMARY KEY names column '" + name + "' twice");
    column->primary_key_position = ++key_columns;
  }
  for (ColumnDefinition& column : ast.columns) {
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

Result<> read_with(TokenReader& reader, CreateTableAst& ast) {
  KALAM_CHECK(reader.expect("("));
  do {
    KALAM_TRY(const Name option, reader.name("an option name"));
    if (!reader.accept("=")) (void)reader.accept("=>");
    std::string value;
    if (!reader.at_end() && reader.token().kind == duck::TokenKind::kNumber) {
      value = reader.token_text();
      reader.skip();
    } else {
      KALAM_TRY(value, reader.string_or_word("a value for option " + option.text));
    }
    KALAM_CHECK(apply_table_option(ast, lower(option.text), value));
  } while (reader.accept(","));
  return reader.expect(")");
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
      for (const std::string& name : names) {
        ColumnDefinition* column = find(ast.columns, name);
        if (column == nullptr) return fail(ErrorCode::kInvalidSql, "PARTITION BY column '" + name + "' does not exist");
        return fail(ErrorCode::kNotImplemented, "PARTITION BY is not supported yet; leave it out");
      }
    } else if (reader.accept("using")) {
      KALAM_CHECK(reader.expect("kalamdb"));
    } else if (reader.accept("with")) {
      KALAM_CHECK(read_with(reader, ast));
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
