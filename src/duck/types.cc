#include "duck/types.h"

#include <cstring>

namespace kalamdb::duck {

using duckdb::LogicalType;
using duckdb::LogicalTypeId;
using model::TypeTag;

namespace {

model::Int128 to_int128(duckdb::hugeint_t value) {
  return static_cast<model::Int128>(value.upper) * (static_cast<model::Int128>(1) << 64) + value.lower;
}

duckdb::hugeint_t from_int128(model::Int128 value) {
  return duckdb::hugeint_t(static_cast<int64_t>(value >> 64), static_cast<uint64_t>(value));
}

template <typename T>
void set_flat(duckdb::Vector& vector, duckdb::idx_t row, T value) {
  duckdb::FlatVector::GetData<T>(vector)[row] = value;
}

void write_decimal(duckdb::Vector& vector, duckdb::idx_t row, model::Int128 value) {
  switch (vector.GetType().InternalType()) {
    case duckdb::PhysicalType::INT16:
      return set_flat(vector, row, static_cast<int16_t>(value));
    case duckdb::PhysicalType::INT32:
      return set_flat(vector, row, static_cast<int32_t>(value));
    case duckdb::PhysicalType::INT64:
      return set_flat(vector, row, static_cast<int64_t>(value));
    default:
      return set_flat(vector, row, from_int128(value));
  }
}

void write_embedding(duckdb::Vector& vector, duckdb::idx_t row, std::span<const float> value) {
  const auto size = duckdb::ArrayType::GetSize(vector.GetType());
  if (value.size() != size) throw duckdb::InvalidInputException("a stored EMBEDDING has a wrong dimension");
  auto& child = duckdb::ArrayVector::GetEntry(vector);
  std::memcpy(duckdb::FlatVector::GetData<float>(child) + row * size, value.data(), size * sizeof(float));
}

}  // namespace

model::Uuid to_uuid(duckdb::hugeint_t value) {
  // DuckDB flips the highest bit so that UUIDs sort as signed integers do.
  const uint64_t halves[2] = {__builtin_bswap64(static_cast<uint64_t>(value.upper) ^ (uint64_t{1} << 63)),
                              __builtin_bswap64(value.lower)};
  model::Uuid uuid;
  std::memcpy(uuid.data(), halves, sizeof halves);
  return uuid;
}

duckdb::hugeint_t from_uuid(const model::Uuid& uuid) {
  uint64_t halves[2];
  std::memcpy(halves, uuid.data(), sizeof halves);
  return duckdb::hugeint_t(static_cast<int64_t>(__builtin_bswap64(halves[0]) ^ (uint64_t{1} << 63)),
                           __builtin_bswap64(halves[1]));
}

LogicalType to_duck_type(const model::DataType& type) {
  switch (type.tag) {
    case TypeTag::kBoolean:
      return LogicalType::BOOLEAN;
    case TypeTag::kSmallInt:
      return LogicalType::SMALLINT;
    case TypeTag::kInt:
      return LogicalType::INTEGER;
    case TypeTag::kBigInt:
      return LogicalType::BIGINT;
    case TypeTag::kFloat:
      return LogicalType::FLOAT;
    case TypeTag::kDouble:
      return LogicalType::DOUBLE;
    case TypeTag::kText:
    case TypeTag::kFile:
      return LogicalType::VARCHAR;
    case TypeTag::kJson:
      return LogicalType::JSON();
    case TypeTag::kTimestamp:
      return LogicalType::TIMESTAMP;
    case TypeTag::kDateTime:
      return LogicalType::TIMESTAMP_TZ;
    case TypeTag::kDate:
      return LogicalType::DATE;
    case TypeTag::kTime:
      return LogicalType::TIME;
    case TypeTag::kBytes:
      return LogicalType::BLOB;
    case TypeTag::kEmbedding:
      return LogicalType::ARRAY(LogicalType::FLOAT, type.dimension);
    case TypeTag::kUuid:
      return LogicalType::UUID;
    case TypeTag::kDecimal:
      return LogicalType::DECIMAL(type.precision, type.scale);
  }
  return LogicalType::VARCHAR;
}

ResultType to_result_type(const LogicalType& type) {
  const auto plain = [&](TypeTag tag) { return ResultType{{.tag = tag}, to_duck_type({.tag = tag})}; };
  const ResultType json_text{{.tag = TypeTag::kText}, LogicalType::JSON()};
  switch (type.id()) {
    case LogicalTypeId::BOOLEAN:
      return plain(TypeTag::kBoolean);
    case LogicalTypeId::TINYINT:
    case LogicalTypeId::UTINYINT:
    case LogicalTypeId::SMALLINT:
      return plain(TypeTag::kSmallInt);
    case LogicalTypeId::USMALLINT:
    case LogicalTypeId::INTEGER:
      return plain(TypeTag::kInt);
    case LogicalTypeId::UINTEGER:
    case LogicalTypeId::BIGINT:
    case LogicalTypeId::UBIGINT:
    case LogicalTypeId::HUGEINT:
    case LogicalTypeId::UHUGEINT:
      return plain(TypeTag::kBigInt);
    case LogicalTypeId::FLOAT:
      return plain(TypeTag::kFloat);
    case LogicalTypeId::DOUBLE:
      return plain(TypeTag::kDouble);
    case LogicalTypeId::VARCHAR:
      return type.IsJSONType() ? ResultType{{.tag = TypeTag::kJson}, type} : ResultType{{.tag = TypeTag::kText}, type};
    case LogicalTypeId::TIMESTAMP:
    case LogicalTypeId::TIMESTAMP_SEC:
    case LogicalTypeId::TIMESTAMP_MS:
    case LogicalTypeId::TIMESTAMP_NS:
      return plain(TypeTag::kTimestamp);
    case LogicalTypeId::TIMESTAMP_TZ:
      return plain(TypeTag::kDateTime);
    case LogicalTypeId::DATE:
      return plain(TypeTag::kDate);
    case LogicalTypeId::TIME:
      return plain(TypeTag::kTime);
    case LogicalTypeId::BLOB:
      return plain(TypeTag::kBytes);
    case LogicalTypeId::UUID:
      return plain(TypeTag::kUuid);
    case LogicalTypeId::DECIMAL: {
      model::DataType decimal{.tag = TypeTag::kDecimal};
      decimal.precision = duckdb::DecimalType::GetWidth(type);
      decimal.scale = duckdb::DecimalType::GetScale(type);
      return {decimal, type};
    }
    case LogicalTypeId::LIST:
    case LogicalTypeId::STRUCT:
    case LogicalTypeId::MAP:
    case LogicalTypeId::UNION:
      return json_text;
    case LogicalTypeId::ARRAY: {
      const auto size = duckdb::ArrayType::GetSize(type);
      if (duckdb::ArrayType::GetChildType(type).id() != LogicalTypeId::FLOAT || size > model::kMaxEmbeddingDimension)
        return json_text;
      return {{.tag = TypeTag::kEmbedding, .dimension = static_cast<uint32_t>(size)}, type};
    }
    default:
      return plain(TypeTag::kText);
  }
}

duckdb::LogicalType with_field_names(const duckdb::LogicalType& type) {
  switch (type.id()) {
    case LogicalTypeId::STRUCT: {
      duckdb::child_list_t<LogicalType> fields;
      for (const auto& [name, field] : duckdb::StructType::GetChildTypes(type)) {
        fields.emplace_back(name.empty() ? "f" + std::to_string(fields.size() + 1) : name, with_field_names(field));
      }
      return LogicalType::STRUCT(std::move(fields));
    }
    case LogicalTypeId::LIST:
      return LogicalType::LIST(with_field_names(duckdb::ListType::GetChildType(type)));
    case LogicalTypeId::ARRAY:
      return LogicalType::ARRAY(with_field_names(duckdb::ArrayType::GetChildType(type)),
                                duckdb::ArrayType::GetSize(type));
    case LogicalTypeId::MAP:
      return LogicalType::MAP(duckdb::MapType::KeyType(type), with_field_names(duckdb::MapType::ValueType(type)));
    default:
      return type;
  }
}

duckdb::Value to_duck_value(const model::ValueView& value, const model::DataType& type) {
  duckdb::Vector vector(to_duck_type(type), 1);
  write_cell(vector, 0, value, type);
  return vector.GetValue(0);
}

duckdb::Value to_duck_literal(const model::Value& value) {
  struct Visitor {
    duckdb::Value operator()(model::Null) const { return duckdb::Value(); }
    duckdb::Value operator()(bool v) const { return duckdb::Value::BOOLEAN(v); }
    duckdb::Value operator()(int64_t v) const {
      // Small integers are INTEGER literals in SQL text too; it decides the type of `$1 + 1`.
      if (v >= INT32_MIN && v <= INT32_MAX) return duckdb::Value::INTEGER(static_cast<int32_t>(v));
      return duckdb::Value::BIGINT(v);
    }
    duckdb::Value operator()(float v) const { return duckdb::Value::FLOAT(v); }
    duckdb::Value operator()(double v) const { return duckdb::Value::DOUBLE(v); }
    duckdb::Value operator()(const std::string& v) const { return duckdb::Value(v); }
    duckdb::Value operator()(const model::Uuid& v) const { return duckdb::Value::UUID(from_uuid(v)); }
    duckdb::Value operator()(const model::Decimal& v) const {
      return duckdb::Value::DECIMAL(from_int128(v.unscaled), model::kMaxDecimalPrecision, 0);
    }
    duckdb::Value operator()(const std::vector<float>& v) const {
      duckdb::vector<duckdb::Value> elements;
      for (const float element : v) elements.push_back(duckdb::Value::FLOAT(element));
      return duckdb::Value::LIST(LogicalType::FLOAT, std::move(elements));
    }
  };
  return std::visit(Visitor{}, value);
}

std::optional<model::Value> to_model_value(const duckdb::Value& value, const model::DataType& type) {
  if (value.IsNull() || value.type() != to_duck_type(type)) return std::nullopt;
  duckdb::Vector vector(value);
  return model::to_value(ColumnView(vector, 1, type).cell(0));
}

void write_cell(duckdb::Vector& vector, duckdb::idx_t row, const model::ValueView& value, const model::DataType& type) {
  if (model::is_null(value)) return duckdb::FlatVector::SetNull(vector, row, true);
  switch (type.tag) {
    case TypeTag::kBoolean:
      return set_flat(vector, row, std::get<bool>(value));
    case TypeTag::kSmallInt:
      return set_flat(vector, row, static_cast<int16_t>(std::get<int64_t>(value)));
    case TypeTag::kInt:
    case TypeTag::kDate:
      return set_flat(vector, row, static_cast<int32_t>(std::get<int64_t>(value)));
    case TypeTag::kBigInt:
    case TypeTag::kTimestamp:
    case TypeTag::kDateTime:
    case TypeTag::kTime:
      return set_flat(vector, row, std::get<int64_t>(value));
    case TypeTag::kFloat:
      return set_flat(vector, row, std::get<float>(value));
    case TypeTag::kDouble:
      return set_flat(vector, row, std::get<double>(value));
    case TypeTag::kUuid:
      return set_flat(vector, row, from_uuid(std::get<model::Uuid>(value)));
    case TypeTag::kDecimal:
      return write_decimal(vector, row, std::get<model::Decimal>(value).unscaled);
    case TypeTag::kEmbedding:
      return write_embedding(vector, row, std::get<std::span<const float>>(value));
    case TypeTag::kText:
    case TypeTag::kJson:
    case TypeTag::kFile:
    case TypeTag::kBytes: {
      const auto text = std::get<std::string_view>(value);
      return set_flat(vector, row, duckdb::StringVector::AddStringOrBlob(vector, text.data(), text.size()));
    }
  }
}

ColumnView::ColumnView(duckdb::Vector& vector, duckdb::idx_t count, const model::DataType& type) : type_(type) {
  if (type.tag == TypeTag::kEmbedding) {
    vector.Flatten(count);
    auto& child = duckdb::ArrayVector::GetEntry(vector);
    child.Flatten(count * type.dimension);
    floats_ = duckdb::FlatVector::GetData<float>(child);
  }
  vector.ToUnifiedFormat(count, format_);
}

model::ValueView ColumnView::cell(duckdb::idx_t row) const {
  const auto index = format_.sel->get_index(row);
  if (!format_.validity.RowIsValid(index)) return model::Null{};
  const auto* data = format_.data;
  const auto integer = [&]<typename T>(T) { return static_cast<int64_t>(reinterpret_cast<const T*>(data)[index]); };
  switch (type_.tag) {
    case TypeTag::kBoolean:
      return reinterpret_cast<const bool*>(data)[index];
    case TypeTag::kSmallInt:
      return integer(int16_t{});
    case TypeTag::kInt:
    case TypeTag::kDate:
      return integer(int32_t{});
    case TypeTag::kBigInt:
    case TypeTag::kTimestamp:
    case TypeTag::kDateTime:
    case TypeTag::kTime:
      return integer(int64_t{});
    case TypeTag::kFloat:
      return reinterpret_cast<const float*>(data)[index];
    case TypeTag::kDouble:
      return reinterpret_cast<const double*>(data)[index];
    case TypeTag::kUuid:
      return to_uuid(reinterpret_cast<const duckdb::hugeint_t*>(data)[index]);
    case TypeTag::kDecimal:
      if (type_.precision <= 4) return model::Decimal{integer(int16_t{})};
      if (type_.precision <= 9) return model::Decimal{integer(int32_t{})};
      if (type_.precision <= 18) return model::Decimal{integer(int64_t{})};
      return model::Decimal{to_int128(reinterpret_cast<const duckdb::hugeint_t*>(data)[index])};
    case TypeTag::kEmbedding:
      return std::span<const float>(floats_ + index * type_.dimension, type_.dimension);
    case TypeTag::kText:
    case TypeTag::kJson:
    case TypeTag::kFile:
    case TypeTag::kBytes: {
      // By reference: short strings lie within the string_t itself.
      const auto& text = reinterpret_cast<const duckdb::string_t*>(data)[index];
      return std::string_view(text.GetData(), text.GetSize());
    }
  }
  return model::Null{};
}

}  // namespace kalamdb::duck
