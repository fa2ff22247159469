// The wire form of values: append_wire() and read_wire().
#include "base/bytes.h"
#include "model/stored_value.h"
#include "model/value.h"

namespace kalamdb::model {
namespace {

constexpr char kNullTag = 0x00;

// Bytes between the tag and the value.
size_t prefix_size(const DataType& type) {
  if (type.tag == TypeTag::kDecimal) return 2;
  return type.tag == TypeTag::kEmbedding || !fixed_size(type) ? sizeof(uint32_t) : 0;
}

std::unexpected<Error> malformed(std::string_view what) {
  return fail(ErrorCode::kCorruption, "An encoded value " + std::string(what));
}

}  // namespace

void append_wire(std::string& out, const ValueView& value, const DataType& type) {
  if (is_null(value)) {
    out.push_back(kNullTag);
    return;
  }
  size_t size = stored_size(value, type);
  out.push_back(static_cast<char>(type.tag));
  if (type.tag == TypeTag::kDecimal) {
    out.push_back(static_cast<char>(type.precision));
    out.push_back(static_cast<char>(type.scale));
  } else if (type.tag == TypeTag::kEmbedding) {
    append_little_endian(out, type.dimension);
  } else if (!fixed_size(type)) {
    append_little_endian(out, static_cast<uint32_t>(size));
  }
  size_t begin = out.size();
  out.resize(begin + size);
  store_value(out.data() + begin, value, type);
}

Result<std::pair<DataType, Value>> read_wire(std::string_view& bytes) {
  if (bytes.empty()) return malformed("is missing");
  auto tag = static_cast<uint8_t>(bytes[0]);
  if (tag == kNullTag) {
    bytes.remove_prefix(1);
    return std::pair{DataType{}, Value(Null{})};
  }
  if (tag > static_cast<uint8_t>(TypeTag::kFile)) return malformed("has an unknown type tag");
  DataType type{static_cast<TypeTag>(tag)};
  size_t prefix = prefix_size(type);
  if (bytes.size() < 1 + prefix) return malformed("is cut short");
  size_t size = 0;
  if (type.tag == TypeTag::kDecimal) {
    type.precision = static_cast<uint8_t>(bytes[1]);
    type.scale = static_cast<uint8_t>(bytes[2]);
    if (type.precision < 1 || type.precision > kMaxDecimalPrecision || type.scale > type.precision) {
      return malformed("is a DECIMAL with an impossible precision or scale");
    }
    size = sizeof(Int128);
  } else if (type.tag == TypeTag::kEmbedding) {
    type.dimension = read_little_endian<uint32_t>(bytes.data() + 1);
    if (type.dimension < 1 || type.dimension > kMaxEmbeddingDimension) {
      return malformed("is an EMBEDDING with an impossible dimension");
    }
    size = type.dimension * sizeof(float);
  } else {
    auto fixed = fixed_size(type);
    size = fixed ? *fixed : read_little_endian<uint32_t>(bytes.data() + 1);
  }
  if (bytes.size() - 1 - prefix < size) return malformed("is cut short");
  std::string_view payload = bytes.substr(1 + prefix, size);
  bytes.remove_prefix(1 + prefix + size);
  if (type.tag == TypeTag::kEmbedding) return std::pair{type, Value(*load_vector(payload, type))};
  ValueView value;
  if (!load_value(payload, type, value)) return malformed("is not one of its type");
  return std::pair{type, to_value(value)};
}

}  // namespace kalamdb::model
