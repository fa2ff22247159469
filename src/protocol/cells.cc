#include "protocol/cells.h"

namespace kalamdb::protocol {
namespace {

using model::DataType;
using model::TypeTag;
__extension__ using Unsigned128 = unsigned __int128;

void append_quoted_integer(std::string& out, int64_t number) {
  out.push_back('"');
  append_integer(out, number);
  out.push_back('"');
}

void append_bytes(std::string& out, std::string_view bytes) {
  out.push_back('[');
  for (size_t i = 0; i < bytes.size(); ++i) {
    if (i > 0) out.push_back(',');
    append_integer(out, static_cast<uint64_t>(static_cast<unsigned char>(bytes[i])));
  }
  out.push_back(']');
}

bool append_floats(std::string& out, std::span<const float> numbers) {
  bool all_finite = true;
  out.push_back('[');
  for (size_t i = 0; i < numbers.size(); ++i) {
    if (i > 0) out.push_back(',');
    all_finite &= append_number(out, numbers[i]);
  }
  out.push_back(']');
  return all_finite;
}

void append_uuid(std::string& out, const model::Uuid& uuid) {
  constexpr char kHex[] = "0123456789abcdef";
  char text[38];
  char* end = text;
  *end++ = '"';
  for (size_t i = 0; i < uuid.size(); ++i) {
    if (i == 4 || i == 6 || i == 8 || i == 10) *end++ = '-';
    *end++ = kHex[uuid[i] >> 4];
    *end++ = kHex[uuid[i] & 15];
  }
  *end++ = '"';
  out.append(text, sizeof text);
}

void append_decimal(std::string& out, const model::Decimal& decimal, size_t scale) {
  // 128 bits are at most 39 digits; a scale of 38 wants one digit more before the point.
  char digits[48];
  char* const end = digits + sizeof digits;
  char* first = end;
  const bool negative = decimal.unscaled < 0;
  auto rest = static_cast<Unsigned128>(decimal.unscaled);
  if (negative) rest = -rest;
  for (size_t written = 0; rest != 0 || written <= scale; ++written) {
    if (written == scale && scale > 0) *--first = '.';
    *--first = static_cast<char>('0' + static_cast<int>(rest % 10));
    rest /= 10;
  }
  out.push_back('"');
  if (negative) out.push_back('-');
  out.append(first, static_cast<size_t>(end - first));
  out.push_back('"');
}

std::string_view plain_name(TypeTag tag) {
  switch (tag) {
    case TypeTag::kBoolean:
      return "Boolean";
    case TypeTag::kInt:
      return "Int";
    case TypeTag::kBigInt:
      return "BigInt";
    case TypeTag::kDouble:
      return "Double";
    case TypeTag::kFloat:
      return "Float";
    case TypeTag::kText:
      return "Text";
    case TypeTag::kTimestamp:
      return "Timestamp";
    case TypeTag::kDate:
      return "Date";
    case TypeTag::kDateTime:
      return "DateTime";
    case TypeTag::kTime:
      return "Time";
    case TypeTag::kJson:
      return "Json";
    case TypeTag::kBytes:
      return "Bytes";
    case TypeTag::kEmbedding:
      return "Embedding";
    case TypeTag::kUuid:
      return "Uuid";
    case TypeTag::kDecimal:
      return "Decimal";
    case TypeTag::kSmallInt:
      return "SmallInt";
    case TypeTag::kFile:
      return "File";
  }
  return "Text";
}

}  // namespace

bool append_cell(std::string& out, const model::ValueView& value, const DataType& type) {
  if (const auto* text = std::get_if<std::string_view>(&value)) {
    if (type.tag == TypeTag::kBytes) {
      append_bytes(out, *text);
    } else {
      append_json_string(out, *text);
    }
  } else if (const auto* integer = std::get_if<int64_t>(&value)) {
    if (type.tag == TypeTag::kBigInt) {
      append_quoted_integer(out, *integer);
    } else {
      append_integer(out, *integer);
    }
  } else if (const auto* boolean = std::get_if<bool>(&value)) {
    out.append(*boolean ? "true" : "false");
  } else if (const auto* wide = std::get_if<double>(&value)) {
    return append_number(out, *wide);
  } else if (const auto* narrow = std::get_if<float>(&value)) {
    return append_number(out, *narrow);
  } else if (const auto* uuid = std::get_if<model::Uuid>(&value)) {
    append_uuid(out, *uuid);
  } else if (const auto* decimal = std::get_if<model::Decimal>(&value)) {
    append_decimal(out, *decimal, type.scale);
  } else if (const auto* numbers = std::get_if<std::span<const float>>(&value)) {
    return append_floats(out, *numbers);
  } else {
    out.append("null", 4);
  }
  return true;
}

FieldFlags flags_of(const model::ColumnDefinition& column) {
  if (column.is_primary_key()) return kPrimaryKeyFlag | kNotNullFlag | kUniqueFlag;
  return column.nullable ? 0 : kNotNullFlag;
}

void append_data_type(std::string& out, const DataType& type) {
  if (type.tag == TypeTag::kEmbedding) {
    out.append("{\"Embedding\":");
    append_integer(out, static_cast<uint64_t>(type.dimension));
    out.push_back('}');
  } else if (type.tag == TypeTag::kDecimal) {
    out.append("{\"Decimal\":{\"precision\":");
    append_integer(out, static_cast<uint64_t>(type.precision));
    out.append(",\"scale\":");
    append_integer(out, static_cast<uint64_t>(type.scale));
    out.append("}}");
  } else {
    out.push_back('"');
    out.append(plain_name(type.tag));
    out.push_back('"');
  }
}

void append_schema_field(std::string& out, std::string_view name, const DataType& type, size_t index,
                         FieldFlags flags) {
  out.append("{\"name\":");
  append_json_string(out, name);
  out.append(",\"data_type\":");
  append_data_type(out, type);
  out.append(",\"index\":");
  append_integer(out, static_cast<uint64_t>(index));
  if (flags != 0) {
    out.append(",\"flags\":[");
    if (flags & kPrimaryKeyFlag) out.append("\"pk\",");
    if (flags & kNotNullFlag) out.append("\"nn\",");
    if (flags & kUniqueFlag) out.append("\"uq\",");
    out.back() = ']';
  }
  out.push_back('}');
}

void append_schema(std::string& out, std::span<const Field> fields) {
  out.push_back('[');
  for (size_t i = 0; i < fields.size(); ++i) {
    if (i > 0) out.push_back(',');
    append_schema_field(out, fields[i].name, fields[i].type, i, fields[i].flags);
  }
  out.push_back(']');
}

RowObjectEncoder::RowObjectEncoder(std::span<const Field> fields) {
  columns_.reserve(fields.size());
  for (const Field& field : fields) {
    Column& column = columns_.emplace_back();
    append_json_string(column.key, field.name);
    column.key.push_back(':');
    column.type = field.type;
  }
}

}  // namespace kalamdb::protocol
