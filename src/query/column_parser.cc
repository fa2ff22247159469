#include "query/column_parser.h"

#include <algorithm>
#include <array>

#include "model/names.h"

namespace kalamdb::query {

using model::ColumnDefault;
using model::ColumnDefinition;

namespace {

Result<> read_type_arguments(TokenReader& reader, std::optional<int64_t>& first, std::optional<int64_t>& second) {
  if (!reader.accept("(")) return {};
  KALAM_TRY(first, reader.integer("a number"));
  if (reader.accept(",")) {
    KALAM_TRY(second, reader.integer("a number"));
  }
  return reader.expect(")");
}

// With a value such as the function gives, as text.
constexpr std::array<std::pair<std::string_view, std::string_view>, 5> kDefaultFunctions{
    {{"NOW", "2024-01-02 03:04:05.678901"},
     {"SNOWFLAKE_ID", "4611686018427387904"},
     {"UUID_V7", "018f3a5c-0000-7000-8000-000000000000"},
     {"ULID", "01ARZ3NDEKTSV4RRFFQ69G5FAV"},
     {"CURRENT_USER", "ann"}}};

Result<ColumnDefault> read_default_function(TokenReader& reader, const ColumnDefinition& column) {
  KALAM_TRY(const Name word, reader.name("a default value"));
  std::string function = word.text;
  std::ranges::transform(function, function.begin(), [](unsigned char c) { return std::toupper(c); });
  if (function == "CURRENT_TIMESTAMP") function = "NOW";
  if (reader.accept("(")) KALAM_CHECK(reader.expect(")"));
  const auto known =
      std::ranges::find(kDefaultFunctions, function, &std::pair<std::string_view, std::string_view>::first);
  if (known == kDefaultFunctions.end()) {
    return fail(ErrorCode::kInvalidSql, "Column '" + column.name + "': the function '" + word.text +
                                            "' is not supported in DEFAULT; use a literal, NOW(), SNOWFLAKE_ID(), "
                                            "UUID_V7(), ULID() or CURRENT_USER()");
  }
  if (!model::coerce(known->second, column.type)) {
    return fail(ErrorCode::kInvalidSql,
                "DEFAULT of column '" + column.name + "': " + function + "() gives no " + sql_name(column.type));
  }
  ColumnDefault value;
  value.kind = ColumnDefault::Kind::kFunction;
  value.function = std::move(function);
  return value;
}

// One constraint of a column; false when none comes next.
Result<bool> read_constraint(TokenReader& reader, ColumnDefinition& column,
                             std::vector<model::CheckConstraint>& checks) {
  KALAM_TRY(std::string name, read_constraint_name(reader));
  if (reader.peek({"check"})) {
    KALAM_TRY(model::CheckConstraint check, read_check(reader, std::move(name)));
    checks.push_back(std::move(check));
  } else if (reader.accept({"not", "null"})) {
    column.nullable = false;
  } else if (reader.accept("null")) {
    column.nullable = true;
  } else if (reader.accept({"primary", "key"})) {
    column.primary_key_position = 1;
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
  } else if (reader.peek({"references"})) {
    return not_enforced("FOREIGN KEY");
  } else if (!name.empty()) {
    return fail(reader.unexpected("a constraint"));
  } else {
    return false;
  }
  return true;
}

}  // namespace

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

Result<std::string> read_constraint_name(TokenReader& reader) {
  if (!reader.accept("constraint")) return std::string();
  KALAM_TRY(const Name name, reader.name("a constraint name"));
  if (name.text.empty() || name.text.size() > model::kMaxNameLength) {
    return fail(ErrorCode::kInvalidSql,
                "The name of a constraint has 1 to " + std::to_string(model::kMaxNameLength) + " characters");
  }
  return lower(name.text);
}

Result<model::CheckConstraint> read_check(TokenReader& reader, std::string name) {
  KALAM_CHECK(reader.expect("check"));
  KALAM_CHECK(reader.expect("("));
  const size_t begin = reader.offset();
  for (int depth = 0; depth > 0 || !reader.peek({")"}); reader.skip()) {
    if (reader.at_end()) return fail(reader.unexpected(")"));
    if (reader.peek({"("})) ++depth;
    if (reader.peek({")"})) --depth;
  }
  model::CheckConstraint check{.name = std::move(name)};
  check.expression = reader.sql().substr(begin, reader.offset() - begin);
  reader.skip();
  if (check.expression.empty()) return fail(ErrorCode::kInvalidSql, "CHECK needs an expression");
  return check;
}

Result<ColumnDefinition> read_column(TokenReader& reader, std::vector<model::CheckConstraint>& checks) {
  ColumnDefinition column;
  KALAM_TRY(Name name, reader.name("a column name"));
  KALAM_CHECK(model::validate_column_name(name.text, name.quoted));
  column.name = std::move(name.text);
  KALAM_CHECK(read_type(reader, column));
  while (true) {
    KALAM_TRY(const bool more, read_constraint(reader, column, checks));
    if (!more) return column;
  }
}

}  // namespace kalamdb::query
