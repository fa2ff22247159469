#include "model/decimal.h"

#include <algorithm>
#include <array>
#include <charconv>

#include "base/assert.h"

namespace kalamdb::model {
namespace {

constexpr auto kPowersOfTen = [] {
  std::array<Int128, kMaxDecimalPrecision + 1> powers{};
  powers[0] = 1;
  for (size_t i = 1; i < powers.size(); ++i) powers[i] = powers[i - 1] * 10;
  return powers;
}();

// More digits than any DECIMAL has on either side; larger exponents only say "far too large" or "zero".
constexpr int kExponentBound = 1'000'000;

bool is_digit(char c) { return c >= '0' && c <= '9'; }

// A number as its significant digits, without sign, and where the point stands: 0.0125 is {"125", -1}.
struct Digits {
  std::string digits;
  int64_t point = 0;
};

std::optional<Digits> scan_digits(std::string_view text) {
  Digits number;
  bool any = false;
  bool after_point = false;
  size_t i = 0;
  for (; i < text.size(); ++i) {
    if (text[i] == '.' && !after_point) {
      after_point = true;
      continue;
    }
    if (!is_digit(text[i])) break;
    any = true;
    bool leading_zero = number.digits.empty() && text[i] == '0';
    if (!leading_zero) number.digits.push_back(text[i]);
    if (!after_point && !leading_zero) ++number.point;
    if (after_point && leading_zero) --number.point;
  }
  if (!any) return std::nullopt;
  if (i == text.size()) return number;
  if (text[i] != 'e' && text[i] != 'E') return std::nullopt;
  std::string_view exponent_text = text.substr(i + 1);
  if (exponent_text.starts_with('+')) exponent_text.remove_prefix(1);
  int exponent = 0;
  auto [end, error] = std::from_chars(exponent_text.data(), exponent_text.data() + exponent_text.size(), exponent);
  if (exponent_text.empty() || end != exponent_text.data() + exponent_text.size()) return std::nullopt;
  if (error == std::errc::invalid_argument) return std::nullopt;
  if (error == std::errc::result_out_of_range) exponent = exponent_text[0] == '-' ? -kExponentBound : kExponentBound;
  number.point += std::clamp(exponent, -kExponentBound, kExponentBound);
  return number;
}

}  // namespace

Int128 power_of_ten(uint8_t exponent) {
  KALAM_ASSERT(exponent < kPowersOfTen.size());
  return kPowersOfTen[exponent];
}

bool fits_precision(Decimal value, uint8_t precision) {
  Int128 bound = power_of_ten(precision);
  return value.unscaled < bound && value.unscaled > -bound;
}

ParsedDecimal parse_decimal(std::string_view text, uint8_t precision, uint8_t scale) {
  bool negative = text.starts_with('-');
  if (negative || text.starts_with('+')) text.remove_prefix(1);
  auto number = scan_digits(text);
  if (!number) return {{}, DecimalError::kSyntax};
  if (number->digits.empty()) return {};
  int64_t kept = number->point + scale;  // significant digits before the place where the column's scale ends
  if (kept < 0) return {};
  if (kept > precision) return {{}, DecimalError::kRange};
  auto digit = [&](int64_t i) {
    return i < static_cast<int64_t>(number->digits.size()) ? number->digits[static_cast<size_t>(i)] - '0' : 0;
  };
  Decimal value;
  for (int64_t i = 0; i < kept; ++i) value.unscaled = value.unscaled * 10 + digit(i);
  if (digit(kept) >= 5) ++value.unscaled;
  if (!fits_precision(value, precision)) return {{}, DecimalError::kRange};
  if (negative) value.unscaled = -value.unscaled;
  return {value, DecimalError::kNone};
}

std::string format_decimal(Decimal value, uint8_t scale) {
  __extension__ typedef unsigned __int128 UInt128;
  bool negative = value.unscaled < 0;
  UInt128 rest = negative ? -static_cast<UInt128>(value.unscaled) : static_cast<UInt128>(value.unscaled);
  char buffer[48 + kMaxDecimalPrecision];
  char* begin = buffer + sizeof buffer;
  for (int digits = 0; rest != 0 || digits <= scale; ++digits) {
    if (digits == scale && scale > 0) *--begin = '.';
    *--begin = static_cast<char>('0' + static_cast<int>(rest % 10));
    rest /= 10;
  }
  if (negative) *--begin = '-';
  return std::string(begin, buffer + sizeof buffer);
}

}  // namespace kalamdb::model
