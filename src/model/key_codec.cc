#include "model/key_codec.h"

#include <bit>
#include <cmath>
#include <limits>

#include "base/assert.h"
#include "base/bytes.h"

namespace kalamdb::model {
namespace {

__extension__ typedef unsigned __int128 UInt128;

template <typename Unsigned>
constexpr Unsigned kSignBit = Unsigned{1} << (sizeof(Unsigned) * 8 - 1);

// Two's complement sorts as unsigned bytes once the sign bit is flipped.
template <typename Unsigned, typename Signed>
void append_signed(std::string& out, Signed value) {
  append_big_endian(out, static_cast<Unsigned>(static_cast<Unsigned>(value) ^ kSignBit<Unsigned>));
}

// IEEE bits sort as unsigned bytes once the sign bit of positive numbers and all bits of negative ones are flipped.
// Zeros are equal as keys, and so are NaNs, which sort after everything as they do in PostgreSQL and DuckDB.
template <typename Unsigned, typename Float>
void append_float(std::string& out, Float value) {
  if (value == 0) value = 0;
  if (std::isnan(value)) value = std::numeric_limits<Float>::quiet_NaN();
  auto bits = std::bit_cast<Unsigned>(value);
  append_big_endian(out, static_cast<Unsigned>(bits & kSignBit<Unsigned> ? ~bits : bits | kSignBit<Unsigned>));
}

void append_escaped(std::string& out, std::string_view text) {
  while (true) {
    size_t zero = text.find('\0');
    if (zero == std::string_view::npos) break;
    out.append(text.substr(0, zero));
    out.append("\x00\xFF", 2);
    text.remove_prefix(zero + 1);
  }
  out.append(text);
  out.append(2, '\0');
}

template <typename Unsigned>
std::optional<Unsigned> take(std::string_view& bytes) {
  if (bytes.size() < sizeof(Unsigned)) return std::nullopt;
  auto value = read_big_endian<Unsigned>(bytes.data());
  bytes.remove_prefix(sizeof(Unsigned));
  return value;
}

template <typename Unsigned, typename Signed>
std::optional<Signed> take_signed(std::string_view& bytes) {
  auto bits = take<Unsigned>(bytes);
  if (!bits) return std::nullopt;
  return static_cast<Signed>(*bits ^ kSignBit<Unsigned>);
}

template <typename Unsigned, typename Float>
std::optional<Float> take_float(std::string_view& bytes) {
  auto bits = take<Unsigned>(bytes);
  if (!bits) return std::nullopt;
  return std::bit_cast<Float>(*bits & kSignBit<Unsigned> ? *bits ^ kSignBit<Unsigned> : ~*bits);
}

std::optional<std::string> take_escaped(std::string_view& bytes) {
  std::string text;
  while (true) {
    size_t zero = bytes.find('\0');
    if (zero == std::string_view::npos || zero + 1 >= bytes.size()) return std::nullopt;
    text.append(bytes.substr(0, zero));
    char marker = bytes[zero + 1];
    bytes.remove_prefix(zero + 2);
    if (marker == '\0') return text;
    if (marker != '\xFF') return std::nullopt;
    text.push_back('\0');
  }
}

std::optional<bool> take_boolean(std::string_view& bytes) {
  auto byte = take<uint8_t>(bytes);
  if (!byte || *byte > 1) return std::nullopt;
  return *byte == 1;
}

std::optional<Uuid> take_uuid(std::string_view& bytes) {
  Uuid uuid;
  if (bytes.size() < uuid.size()) return std::nullopt;
  std::memcpy(uuid.data(), bytes.data(), uuid.size());
  bytes.remove_prefix(uuid.size());
  return uuid;
}

template <typename T, typename U = T>
Result<Value> as_value(std::optional<T> taken) {
  if (!taken) return fail(ErrorCode::kCorruption, "A stored primary key is cut short or malformed");
  return Value(static_cast<U>(*std::move(taken)));
}

// Calls `visit` with each key column's index among the columns, in key order.
template <typename Visit>
void for_each_key_column(const TableDefinition& table, Visit visit) {
  size_t found = 0;
  for (uint32_t position = 1; found + 1 == position; ++position) {
    for (size_t i = 0; i < table.columns.size(); ++i) {
      if (table.columns[i].primary_key_position != position) continue;
      visit(i);
      ++found;
      break;
    }
  }
  if (found > 0) return;
  for (size_t i = 0; i < table.columns.size(); ++i) {
    if (table.columns[i].name == kHiddenKeyColumn) visit(i);
  }
}

}  // namespace

bool can_be_key(TypeTag tag) { return tag != TypeTag::kEmbedding; }

void append_key(std::string& out, const ValueView& value, const DataType& type) {
  KALAM_ASSERT(!is_null(value) && can_be_key(type.tag));
  switch (type.tag) {
    case TypeTag::kBoolean:
      out.push_back(std::get<bool>(value) ? 1 : 0);
      break;
    case TypeTag::kSmallInt:
      append_signed<uint16_t>(out, std::get<int64_t>(value));
      break;
    case TypeTag::kInt:
    case TypeTag::kDate:
      append_signed<uint32_t>(out, std::get<int64_t>(value));
      break;
    case TypeTag::kBigInt:
    case TypeTag::kTimestamp:
    case TypeTag::kDateTime:
    case TypeTag::kTime:
      append_signed<uint64_t>(out, std::get<int64_t>(value));
      break;
    case TypeTag::kFloat:
      append_float<uint32_t>(out, std::get<float>(value));
      break;
    case TypeTag::kDouble:
      append_float<uint64_t>(out, std::get<double>(value));
      break;
    case TypeTag::kDecimal:
      append_signed<UInt128>(out, std::get<Decimal>(value).unscaled);
      break;
    case TypeTag::kUuid: {
      const Uuid& uuid = std::get<Uuid>(value);
      out.append(reinterpret_cast<const char*>(uuid.data()), uuid.size());
      break;
    }
    case TypeTag::kText:
    case TypeTag::kJson:
    case TypeTag::kFile:
    case TypeTag::kBytes:
      append_escaped(out, std::get<std::string_view>(value));
      break;
    case TypeTag::kEmbedding:
      break;
  }
}

std::string encode_key(const TableDefinition& table, const Row& values) {
  KALAM_ASSERT(values.size() == table.columns.size());
  std::string key;
  for_each_key_column(table, [&](size_t i) { append_key(key, view(values[i]), table.columns[i].type); });
  return key;
}

Result<Value> read_key(std::string_view& bytes, const DataType& type) {
  switch (type.tag) {
    case TypeTag::kBoolean:
      return as_value(take_boolean(bytes));
    case TypeTag::kSmallInt:
      return as_value<int16_t, int64_t>(take_signed<uint16_t, int16_t>(bytes));
    case TypeTag::kInt:
    case TypeTag::kDate:
      return as_value<int32_t, int64_t>(take_signed<uint32_t, int32_t>(bytes));
    case TypeTag::kBigInt:
    case TypeTag::kTimestamp:
    case TypeTag::kDateTime:
    case TypeTag::kTime:
      return as_value(take_signed<uint64_t, int64_t>(bytes));
    case TypeTag::kFloat:
      return as_value(take_float<uint32_t, float>(bytes));
    case TypeTag::kDouble:
      return as_value(take_float<uint64_t, double>(bytes));
    case TypeTag::kDecimal: {
      auto unscaled = take_signed<UInt128, Int128>(bytes);
      return as_value(unscaled ? std::optional(Decimal{*unscaled}) : std::nullopt);
    }
    case TypeTag::kUuid:
      return as_value(take_uuid(bytes));
    case TypeTag::kText:
    case TypeTag::kJson:
    case TypeTag::kFile:
    case TypeTag::kBytes:
      return as_value(take_escaped(bytes));
    case TypeTag::kEmbedding:
      break;
  }
  return fail(ErrorCode::kCorruption, "A stored primary key has a column of type " + sql_name(type));
}

std::string key_to_text(const TableDefinition& table, std::string_view key) {
  std::string text;
  size_t count = 0;
  for_each_key_column(table, [&](size_t i) {
    const DataType& type = table.columns[i].type;
    auto value = read_key(key, type);
    if (count++ > 0) text += ", ";
    text += value ? to_text(view(*value), type) : "?";
  });
  return count > 1 ? "(" + text + ")" : text;
}

}  // namespace kalamdb::model
