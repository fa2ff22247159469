// One cell: an owned Value, or a ValueView that borrows from a row, a result or a Value.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/result.h"
#include "model/data_type.h"

namespace kalamdb::model {

struct Null {
  bool operator==(const Null&) const = default;
};
using Uuid = std::array<uint8_t, 16>;
// Unscaled DECIMAL; the scale is the column type's.
__extension__ typedef __int128 Int128;
struct Decimal {
  Int128 unscaled = 0;
  bool operator==(const Decimal&) const = default;
};

// Which alternative a type uses: BOOLEAN bool; SMALLINT, INT, BIGINT, TIMESTAMP, DATETIME, DATE and TIME int64_t; FLOAT
// float; DOUBLE double; TEXT, JSON, FILE and BYTES string; UUID Uuid; DECIMAL Decimal; EMBEDDING the float vector.
using Value = std::variant<Null, bool, int64_t, float, double, std::string, Uuid, Decimal, std::vector<float>>;
using ValueView =
    std::variant<Null, bool, int64_t, float, double, std::string_view, Uuid, Decimal, std::span<const float>>;
using Row = std::vector<Value>;

inline bool is_null(const Value& value) { return std::holds_alternative<Null>(value); }
inline bool is_null(const ValueView& value) { return std::holds_alternative<Null>(value); }

// Borrows from `value`, which must outlive the view.
ValueView view(const Value& value);
Value to_value(const ValueView& value);
// Equal as stored: NULL equals NULL, NaN equals NaN, -0.0 differs from 0.0.
bool same(const ValueView& a, const ValueView& b);

// Converts `input`, a literal or a parameter, to what a column of `type` stores, with PostgreSQL's reading of text
// ("2024-01-02T03:04:05Z", "0.50", UUIDs with or without hyphens, '\xDEADBEEF' for BYTES, "[1,2,3]" for EMBEDDING).
// Integers convert to wider and, in range, to narrower types, to DECIMAL, FLOAT and DOUBLE, and to dates and times as
// the number that these store; 0 and 1 to BOOLEAN. FLOAT and DOUBLE convert to integers when they are whole. TEXT
// converts to everything, and everything but DECIMAL to TEXT. A DECIMAL input has the scale of `type`. Text that
// becomes BYTES and does not start with "\x" is taken as it is. Nothing is cut or rounded silently except digits of a
// DECIMAL past the scale (rounded half away from zero) and digits that a FLOAT or DOUBLE can't hold. Dates have years 1
// to 9999. Errors: kSchema with the value (shortened) and the type in the message, never the column: the caller adds
// that.
Result<Value> coerce(const ValueView& input, const DataType& type);

// Canonical text: what a cast to TEXT gives. "true", "42", "1.5", "2024-01-02 03:04:05.000006" (with "+00" behind it
// for DATETIME), lowercase UUID, "0.50", "\xdeadbeef", "[1.0,2.5]"; NULL is "NULL". coerce() reads it back without
// loss.
std::string to_text(const ValueView& value, const DataType& type);

// The wire form "[tag][payload]", lossless for every type; NULL is the single byte 0x00. EMBEDDING is
// [0x0D][u32 n][n × f32], numbers are little-endian, texts and bytes are [tag][u32 length][bytes], DECIMAL is
// [0x0F][precision][scale][16 bytes].
void append_wire(std::string& out, const ValueView& value, const DataType& type);
// Reads one wire value from the front of `bytes` and advances it. Errors: kCorruption.
Result<std::pair<DataType, Value>> read_wire(std::string_view& bytes);

// Lowercase with hyphens; read in any letter case, with or without hyphens.
std::string format_uuid(const Uuid& uuid);
std::optional<Uuid> parse_uuid(std::string_view text);
// Pairs of hexadecimal digits as bytes.
std::optional<std::string> parse_hex(std::string_view digits);
// `scale` fraction digits exactly, sign kept: (-50, 2) is "-0.50".
std::string format_decimal(Decimal value, uint8_t scale);

}  // namespace kalamdb::model
