#include "model/convert.h"

namespace kalamdb::model {
namespace {

bool is_float(TypeTag tag) { return tag == TypeTag::kFloat || tag == TypeTag::kDouble; }
bool is_number(TypeTag tag) { return is_integer(tag) || is_float(tag) || tag == TypeTag::kDecimal; }
bool is_moment(TypeTag tag) { return tag == TypeTag::kDate || tag == TypeTag::kTimestamp || tag == TypeTag::kDateTime; }

unsigned integer_bits(TypeTag tag) { return tag == TypeTag::kSmallInt ? 16 : tag == TypeTag::kInt ? 32 : 64; }

Conversion number_conversion(const DataType& from, const DataType& to) {
  const auto always_if = [](bool always) { return always ? Conversion::kAlways : Conversion::kChecked; };
  if (is_integer(from.tag) && is_integer(to.tag)) return always_if(integer_bits(from.tag) <= integer_bits(to.tag));
  if (from.tag == TypeTag::kFloat && to.tag == TypeTag::kDouble) return Conversion::kAlways;
  if (from.tag == TypeTag::kDecimal && to.tag == TypeTag::kDecimal) {
    return always_if(to.scale >= from.scale && to.precision - to.scale >= from.precision - from.scale);
  }
  return Conversion::kChecked;
}

// Types whose values coerce() takes as they are; those of others mean nothing without their type, but as text.
bool coerces_directly(TypeTag tag) {
  return is_integer(tag) || is_float(tag) || is_text_like(tag) || tag == TypeTag::kBoolean;
}

}  // namespace

Conversion conversion(const DataType& from, const DataType& to) {
  if (from == to) return Conversion::kAlways;
  // A FILE is a reference that the server keeps track of: no text becomes one.
  if (to.tag == TypeTag::kFile) return Conversion::kNone;
  if (to.tag == TypeTag::kText) return Conversion::kAlways;
  if (from.tag == TypeTag::kText) return Conversion::kChecked;
  if (from.tag == TypeTag::kFile && to.tag == TypeTag::kJson) return Conversion::kAlways;
  if (is_number(from.tag) && is_number(to.tag)) return number_conversion(from, to);
  if (is_integer(from.tag) && to.tag == TypeTag::kBoolean) return Conversion::kChecked;
  if (is_moment(from.tag) && is_moment(to.tag)) {
    return to.tag == TypeTag::kDate ? Conversion::kChecked : Conversion::kAlways;
  }
  return Conversion::kNone;
}

Result<Value> convert(const ValueView& value, const DataType& from, const DataType& to) {
  if (from == to || is_null(value)) return to_value(value);
  if (coerces_directly(from.tag)) return coerce(value, to);
  const std::string text = to_text(value, from);
  return coerce(std::string_view(text), to);
}

Result<Value> convert_former(const ValueView& value, const ColumnDefinition& column, size_t former) {
  const std::vector<FormerSlot>& older = column.older_rows->former;
  Value current = to_value(value);
  for (size_t i = former + 1; i-- > 0;) {
    auto next = convert(view(current), older[i].type, i == 0 ? column.type : older[i - 1].type);
    if (!next) {
      return fail(ErrorCode::kConflict, "Column '" + column.name + "' was altered meanwhile; run the statement again");
    }
    current = *std::move(next);
  }
  return current;
}

}  // namespace kalamdb::model
