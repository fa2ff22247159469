#include "query/row_values.h"

#include "base/assert.h"

namespace kalamdb::query {

namespace {

std::string in_row(size_t row_number) { return row_number == 0 ? "" : " (row " + std::to_string(row_number) + ")"; }

}  // namespace

Result<model::Value> RowValues::coerced(const model::ValueView& value, const model::ColumnDefinition& column,
                                        size_t row_number) const {
  auto result = model::coerce(value, column.type);
  if (!result) {
    return fail(ErrorCode::kInvalidOperation, "Schema coercion failed: column '" + column.name + "'" +
                                                  in_row(row_number) + ": " + result.error().message);
  }
  return result;
}

// Dates, decimals and the like go through their text where the types differ: their stored numbers mean nothing without
// their type.
Result<model::Value> RowValues::computed(const model::ValueView& cell, const model::DataType& type,
                                         const model::ColumnDefinition& column, size_t row_number) const {
  using model::TypeTag;
  if (type == column.type) return model::to_value(cell);
  const bool plain = model::is_integer(type.tag) || model::is_text_like(type.tag) || type.tag == TypeTag::kBoolean ||
                     type.tag == TypeTag::kFloat || type.tag == TypeTag::kDouble || type.tag == TypeTag::kEmbedding;
  if (model::is_null(cell) || plain) return coerced(cell, column, row_number);
  const std::string text = model::to_text(cell, type);
  return coerced(std::string_view(text), column, row_number);
}

Result<model::Value> RowValues::function(const std::string& name, const model::ColumnDefinition& column) {
  model::Value value;
  if (name == "NOW") {
    value = model::to_text(now_us_, model::DataType{model::TypeTag::kTimestamp});
  } else if (name == "SNOWFLAKE_ID") {
    value = services_.ids.next();
  } else if (name == "UUID_V7") {
    value = model::format_uuid(platform::make_uuid_v7(services_.clock, services_.random));
  } else if (name == "ULID") {
    value = platform::make_ulid(services_.clock, services_.random);
  } else {
    KALAM_ASSERT(name == "CURRENT_USER");
    value = context_.caller.user.value;
  }
  return coerced(model::view(value), column, 0);
}

Result<model::Value> RowValues::default_of(const model::ColumnDefinition& column) {
  switch (column.default_value.kind) {
    case model::ColumnDefault::Kind::kNone:
      return model::Value();
    case model::ColumnDefault::Kind::kLiteral:
      return *column.default_value.literal;
    case model::ColumnDefault::Kind::kFunction:
      return function(column.default_value.function, column);
  }
  KALAM_ASSERT(false);
}

Result<model::Value> RowValues::of(const duck::Operand& operand, const model::ColumnDefinition& column,
                                   size_t row_number) {
  switch (operand.kind) {
    case duck::Operand::Kind::kLiteral:
      return coerced(model::view(operand.literal), column, row_number);
    case duck::Operand::Kind::kParameter:
      KALAM_ASSERT(operand.parameter >= 1 && operand.parameter <= context_.parameters.size());
      return coerced(model::view(context_.parameters[operand.parameter - 1]), column, row_number);
    case duck::Operand::Kind::kDefault:
      return default_of(column);
    case duck::Operand::Kind::kFunction:
      return function(operand.name, column);
    case duck::Operand::Kind::kExcluded:
      break;  // resolve_conflicts() has the row that it is from
  }
  KALAM_ASSERT(false);
}

Result<> RowValues::check_not_null(const model::ColumnDefinition& column, const model::Value& value,
                                   size_t row_number) {
  if (column.nullable || !model::is_null(value)) return {};
  return fail(ErrorCode::kConstraintViolation,
              "NOT NULL constraint violation: column '" + column.name + "' cannot be NULL" + in_row(row_number));
}

}  // namespace kalamdb::query
