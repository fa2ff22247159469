#include "model/stored_value.h"

#include <cstring>

#include "base/assert.h"
#include "base/bytes.h"

namespace kalamdb::model {
namespace {

// The alternative that `type` uses. A value of another one was not coerced, which is the caller's bug.
template <typename Alternative>
const Alternative& expect(const ValueView& value) {
  auto alternative = std::get_if<Alternative>(&value);
  KALAM_ASSERT(alternative != nullptr);
  return *alternative;
}

template <typename Number>
char* put(char* out, Number number) {
  std::memcpy(out, &number, sizeof number);
  return out + sizeof number;
}

char* put_bytes(char* out, const void* bytes, size_t size) {
  if (size > 0) std::memcpy(out, bytes, size);
  return out + size;
}

}  // namespace

std::optional<size_t> fixed_size(const DataType& type) {
  switch (type.tag) {
    case TypeTag::kBoolean:
      return 1;
    case TypeTag::kSmallInt:
      return 2;
    case TypeTag::kInt:
    case TypeTag::kDate:
    case TypeTag::kFloat:
      return 4;
    case TypeTag::kBigInt:
    case TypeTag::kDouble:
    case TypeTag::kTimestamp:
    case TypeTag::kDateTime:
    case TypeTag::kTime:
      return 8;
    case TypeTag::kUuid:
    case TypeTag::kDecimal:
      return 16;
    case TypeTag::kEmbedding:
      return type.dimension * sizeof(float);
    case TypeTag::kText:
    case TypeTag::kJson:
    case TypeTag::kFile:
    case TypeTag::kBytes:
      return std::nullopt;
  }
  return std::nullopt;
}

size_t stored_size(const ValueView& value, const DataType& type) {
  if (auto size = fixed_size(type)) return *size;
  return expect<std::string_view>(value).size();
}

char* store_value(char* out, const ValueView& value, const DataType& type) {
  switch (type.tag) {
    case TypeTag::kBoolean:
      return put<uint8_t>(out, expect<bool>(value));
    case TypeTag::kSmallInt:
      return put(out, static_cast<int16_t>(expect<int64_t>(value)));
    case TypeTag::kInt:
    case TypeTag::kDate:
      return put(out, static_cast<int32_t>(expect<int64_t>(value)));
    case TypeTag::kBigInt:
    case TypeTag::kTimestamp:
    case TypeTag::kDateTime:
    case TypeTag::kTime:
      return put(out, expect<int64_t>(value));
    case TypeTag::kFloat:
      return put(out, expect<float>(value));
    case TypeTag::kDouble:
      return put(out, expect<double>(value));
    case TypeTag::kUuid:
      return put(out, expect<Uuid>(value));
    case TypeTag::kDecimal:
      return put(out, expect<Decimal>(value).unscaled);
    case TypeTag::kEmbedding: {
      auto vector = expect<std::span<const float>>(value);
      KALAM_ASSERT(vector.size() == type.dimension);
      return put_bytes(out, vector.data(), vector.size_bytes());
    }
    case TypeTag::kText:
    case TypeTag::kJson:
    case TypeTag::kFile:
    case TypeTag::kBytes: {
      auto text = expect<std::string_view>(value);
      return put_bytes(out, text.data(), text.size());
    }
  }
  KALAM_ASSERT(!"a type tag that does not exist");
  return out;
}

bool load_value(std::string_view bytes, const DataType& type, ValueView& value) {
  if (auto size = fixed_size(type); size && *size != bytes.size()) return false;
  switch (type.tag) {
    case TypeTag::kBoolean:
      value.emplace<bool>(bytes[0] == 1);
      return static_cast<uint8_t>(bytes[0]) <= 1;
    case TypeTag::kSmallInt:
      value.emplace<int64_t>(read_little_endian<int16_t>(bytes.data()));
      return true;
    case TypeTag::kInt:
    case TypeTag::kDate:
      value.emplace<int64_t>(read_little_endian<int32_t>(bytes.data()));
      return true;
    case TypeTag::kBigInt:
    case TypeTag::kTimestamp:
    case TypeTag::kDateTime:
    case TypeTag::kTime:
      value.emplace<int64_t>(read_little_endian<int64_t>(bytes.data()));
      return true;
    case TypeTag::kFloat:
      value.emplace<float>(read_little_endian<float>(bytes.data()));
      return true;
    case TypeTag::kDouble:
      value.emplace<double>(read_little_endian<double>(bytes.data()));
      return true;
    case TypeTag::kUuid:
      value.emplace<Uuid>(read_little_endian<Uuid>(bytes.data()));
      return true;
    case TypeTag::kDecimal:
      value.emplace<Decimal>(read_little_endian<Int128>(bytes.data()));
      return true;
    case TypeTag::kText:
    case TypeTag::kJson:
    case TypeTag::kFile:
    case TypeTag::kBytes:
      value.emplace<std::string_view>(bytes);
      return true;
    case TypeTag::kEmbedding:
      break;
  }
  return false;
}

std::optional<std::vector<float>> load_vector(std::string_view bytes, const DataType& type) {
  if (bytes.size() != type.dimension * sizeof(float)) return std::nullopt;
  std::vector<float> vector(type.dimension);
  if (!bytes.empty()) std::memcpy(vector.data(), bytes.data(), bytes.size());
  return vector;
}

}  // namespace kalamdb::model
