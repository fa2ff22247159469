// Constants and the few functions that the layers above evaluate themselves.
#include <charconv>
#include <string>

#include "duck/shapes.h"
#include "duckdb/parser/expression/list.hpp"

namespace kalamdb::duck {
namespace {

std::string lower(const std::string& name) { return duckdb::StringUtil::Lower(name); }

Operand literal(model::Value value) {
  Operand operand;
  operand.literal = std::move(value);
  return operand;
}

Operand call(std::string name) {
  Operand operand;
  operand.kind = Operand::Kind::kFunction;
  operand.name = std::move(name);
  return operand;
}

// As BYTES literals are written.
std::string bytes_text(const std::string& bytes) {
  constexpr char kHex[] = "0123456789ABCDEF";
  std::string text = "\\x";
  text.reserve(2 + 2 * bytes.size());
  for (unsigned char byte : bytes) {
    text += kHex[byte >> 4];
    text += kHex[byte & 15];
  }
  return text;
}

// A number as the narrowest of int64_t and text.
model::Value number(std::string text) {
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error == std::errc() && end == text.data() + text.size()) return value;
  return text;
}

std::optional<Operand> constant(const duckdb::Value& value, bool negate) {
  if (value.IsNull()) return negate ? std::nullopt : std::optional(literal(model::Null{}));
  switch (value.type().id()) {
    case duckdb::LogicalTypeId::INTEGER:
    case duckdb::LogicalTypeId::BIGINT:
    case duckdb::LogicalTypeId::HUGEINT:
    case duckdb::LogicalTypeId::UHUGEINT:
      if (value.type().id() == duckdb::LogicalTypeId::INTEGER) {
        const int64_t integer = duckdb::IntegerValue::Get(value);
        return literal(negate ? -integer : integer);
      }
      return literal(number((negate ? "-" : "") + value.ToString()));
    case duckdb::LogicalTypeId::DECIMAL:
      return literal((negate ? "-" : "") + value.ToString());
    case duckdb::LogicalTypeId::DOUBLE: {
      const double real = duckdb::DoubleValue::Get(value);
      return literal(negate ? -real : real);
    }
    case duckdb::LogicalTypeId::BOOLEAN:
      return negate ? std::nullopt : std::optional(literal(duckdb::BooleanValue::Get(value)));
    case duckdb::LogicalTypeId::VARCHAR:
      return negate ? std::nullopt : std::optional(literal(duckdb::StringValue::Get(value)));
    case duckdb::LogicalTypeId::BLOB:
      return negate ? std::nullopt : std::optional(literal(bytes_text(duckdb::StringValue::Get(value))));
    default:
      return std::nullopt;
  }
}

// Whether `text` has a digit for every `0` of `pattern` and its very characters elsewhere.
bool matches(std::string_view text, std::string_view pattern) {
  if (text.size() != pattern.size()) return false;
  for (size_t i = 0; i < text.size(); ++i) {
    if (pattern[i] == '0' ? text[i] < '0' || text[i] > '9' : text[i] != pattern[i]) return false;
  }
  return true;
}

// Only casts of text that mean the same when a column's own type reads the text: the canonical form must be written.
std::optional<Operand> cast(const duckdb::CastExpression& cast) {
  if (cast.try_cast || cast.child->GetExpressionClass() != duckdb::ExpressionClass::CONSTANT) return std::nullopt;
  const auto& value = cast.child->Cast<duckdb::ConstantExpression>().value;
  if (value.IsNull() || value.type().id() != duckdb::LogicalTypeId::VARCHAR) return std::nullopt;
  const std::string& text = duckdb::StringValue::Get(value);
  bool same = false;
  switch (cast.cast_type.id()) {
    case duckdb::LogicalTypeId::BOOLEAN:  // the parser gives TRUE and FALSE as casts of these
      if (text == "t" || text == "true") return literal(true);
      if (text == "f" || text == "false") return literal(false);
      return std::nullopt;
    case duckdb::LogicalTypeId::VARCHAR:
      same = true;
      break;
    case duckdb::LogicalTypeId::DATE:
      same = matches(text, "0000-00-00");
      break;
    case duckdb::LogicalTypeId::TIME:
      same = matches(text, "00:00:00") || matches(text, "00:00:00.000000");
      break;
    case duckdb::LogicalTypeId::TIMESTAMP:
      same = matches(text, "0000-00-00 00:00:00") || matches(text, "0000-00-00 00:00:00.000000");
      break;
    case duckdb::LogicalTypeId::UUID: {
      const auto uuid = model::parse_uuid(text);
      same = uuid && model::format_uuid(*uuid) == text;
      break;
    }
    default:
      break;
  }
  return same ? std::optional(literal(text)) : std::nullopt;
}

// [1, -2.5, 3e4]: what an EMBEDDING is written as.
std::optional<Operand> number_list(const duckdb::vector<duckdb::unique_ptr<duckdb::ParsedExpression>>& elements) {
  std::string text = "[";
  for (const auto& element : elements) {
    if (!element) return std::nullopt;
    const auto value = operand(*element);
    if (!value || value->kind != Operand::Kind::kLiteral) return std::nullopt;
    if (text.size() > 1) text += ", ";
    if (const auto* integer = std::get_if<int64_t>(&value->literal)) {
      text += std::to_string(*integer);
    } else if (const auto* real = std::get_if<double>(&value->literal)) {
      text += duckdb::Value::DOUBLE(*real).ToString();
    } else if (const auto* decimal = std::get_if<std::string>(&value->literal);
               decimal != nullptr && element->GetExpressionClass() != duckdb::ExpressionClass::CAST &&
               !decimal->empty() && decimal->find_first_not_of("-.0123456789") == std::string::npos) {
      text += *decimal;
    } else {
      return std::nullopt;
    }
  }
  return literal(text + "]");
}

bool is_string(const duckdb::ParsedExpression& expression) {
  return expression.GetExpressionClass() == duckdb::ExpressionClass::CONSTANT &&
         expression.Cast<duckdb::ConstantExpression>().value.type().id() == duckdb::LogicalTypeId::VARCHAR;
}

std::optional<Operand> function(const duckdb::FunctionExpression& function) {
  if (function.filter || function.distinct || (function.order_bys && !function.order_bys->orders.empty())) {
    return std::nullopt;
  }
  const std::string name = lower(function.function_name);
  if (function.children.empty()) {
    if (name == "now" || name == "get_current_timestamp") return call("NOW");
    if (name == "snowflake_id") return call("SNOWFLAKE_ID");
    if (name == "uuid_v7") return call("UUID_V7");
    if (name == "ulid") return call("ULID");
    if (name == "current_user") return call("CURRENT_USER");
    return std::nullopt;
  }
  if (name == "list_value") {
    for (const auto& child : function.children) {
      if (is_string(*child)) return std::nullopt;
    }
    return number_list(function.children);
  }
  if (function.children.size() != 1 || (name != "-" && name != "+")) return std::nullopt;
  const auto& child = *function.children.front();
  if (child.GetExpressionClass() != duckdb::ExpressionClass::CONSTANT || is_string(child)) return std::nullopt;
  return constant(child.Cast<duckdb::ConstantExpression>().value, name == "-");
}

std::optional<Operand> keyword(const duckdb::ColumnRefExpression& column) {
  if (column.column_names.size() != 1) return std::nullopt;
  const std::string name = lower(column.column_names.front());
  if (name == "current_timestamp") return call("NOW");
  if (name == "current_user") return call("CURRENT_USER");
  return std::nullopt;
}

}  // namespace

std::optional<Operand> operand(const duckdb::ParsedExpression& expression) {
  switch (expression.GetExpressionClass()) {
    case duckdb::ExpressionClass::CONSTANT:
      return constant(expression.Cast<duckdb::ConstantExpression>().value, false);
    case duckdb::ExpressionClass::CAST:
      return cast(expression.Cast<duckdb::CastExpression>());
    case duckdb::ExpressionClass::FUNCTION:
      return function(expression.Cast<duckdb::FunctionExpression>());
    case duckdb::ExpressionClass::COLUMN_REF:
      return keyword(expression.Cast<duckdb::ColumnRefExpression>());
    case duckdb::ExpressionClass::OPERATOR: {
      const auto& operation = expression.Cast<duckdb::OperatorExpression>();
      if (operation.GetExpressionType() != duckdb::ExpressionType::ARRAY_CONSTRUCTOR) return std::nullopt;
      for (const auto& child : operation.children) {
        if (is_string(*child)) return std::nullopt;
      }
      return number_list(operation.children);
    }
    case duckdb::ExpressionClass::DEFAULT: {
      Operand operand;
      operand.kind = Operand::Kind::kDefault;
      return operand;
    }
    case duckdb::ExpressionClass::PARAMETER: {
      const std::string& name = expression.Cast<duckdb::ParameterExpression>().identifier;
      Operand operand;
      operand.kind = Operand::Kind::kParameter;
      std::from_chars(name.data(), name.data() + name.size(), operand.parameter);
      return operand;
    }
    default:
      return std::nullopt;
  }
}

}  // namespace kalamdb::duck
