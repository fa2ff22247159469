// DECIMAL arithmetic that values need: limits, and text to unscaled 128-bit integers.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "model/value.h"

namespace kalamdb::model {

// 10 to the power of `exponent`, 0 to 38.
Int128 power_of_ten(uint8_t exponent);
// True if `value` has at most `precision` digits.
bool fits_precision(Decimal value, uint8_t precision);

enum class DecimalError : uint8_t { kNone, kSyntax, kRange };
struct ParsedDecimal {
  Decimal value;
  DecimalError error = DecimalError::kNone;
};
// "[+-]digits[.digits][e[+-]digits]" with digits on at least one side of the point; digits past the scale are rounded
// half away from zero.
ParsedDecimal parse_decimal(std::string_view text, uint8_t precision, uint8_t scale);

}  // namespace kalamdb::model
