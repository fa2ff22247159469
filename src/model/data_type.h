// KalamDB's seventeen column types: tags, names and aliases.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace kalamdb::model {

// Stable: written to disk and to the wire.
enum class TypeTag : uint8_t {
  kBoolean = 0x01,
  kInt = 0x02,     // 32 bits
  kBigInt = 0x03,  // 64 bits
  kDouble = 0x04,
  kFloat = 0x05,      // 32 bits
  kText = 0x06,       // UTF-8
  kTimestamp = 0x07,  // microseconds since the Unix epoch, without zone
  kDate = 0x08,       // days since the Unix epoch
  kDateTime = 0x09,   // microseconds since the Unix epoch, UTC
  kTime = 0x0A,       // microseconds since midnight
  kJson = 0x0B,       // JSON text
  kBytes = 0x0C,
  kEmbedding = 0x0D,  // `dimension` 32-bit floats
  kUuid = 0x0E,       // 16 bytes
  kDecimal = 0x0F,    // unscaled 128-bit integer with `precision` and `scale`
  kSmallInt = 0x10,   // 16 bits
  kFile = 0x11,       // FileRef as JSON text
};

struct DataType {
  TypeTag tag = TypeTag::kText;
  uint32_t dimension = 0;  // EMBEDDING: 1 to 8192
  uint8_t precision = 0;   // DECIMAL: 1 to 38
  uint8_t scale = 0;       // DECIMAL: 0 to precision

  bool operator==(const DataType&) const = default;
};

inline constexpr uint32_t kMaxEmbeddingDimension = 8192;
inline constexpr uint8_t kMaxDecimalPrecision = 38;

// The name without the numbers: "BIGINT", "DECIMAL".
std::string_view type_name(TypeTag tag);

// "BIGINT", "DECIMAL(10, 2)", "EMBEDDING(384)": as DESCRIBE shows it and as parse_type() reads it.
std::string sql_name(const DataType& type);

// A type as CREATE TABLE spells it: its name in any letter case ("DOUBLE PRECISION" as two words, single space) and the
// numbers in parentheses behind it. Knows every alias (INT8, VARCHAR, JSONB, …). Errors: kInvalidSql naming the type.
// SERIAL and its kin are not types here: see is_serial_type().
Result<DataType> parse_type(std::string_view name, std::optional<int64_t> first_argument = std::nullopt,
                            std::optional<int64_t> second_argument = std::nullopt);

// True for SERIAL, BIGSERIAL, SMALLSERIAL, SERIAL2, SERIAL4 and SERIAL8, which mean BIGINT DEFAULT SNOWFLAKE_ID().
bool is_serial_type(std::string_view name);

bool is_integer(TypeTag tag);    // SMALLINT, INT, BIGINT
bool is_text_like(TypeTag tag);  // TEXT, JSON, FILE: stored as UTF-8 text

}  // namespace kalamdb::model
