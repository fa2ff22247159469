// coerce(): literals and parameters as column values. One function a target type.
#include <simdjson.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

#include "model/calendar.h"
#include "model/decimal.h"
#include "model/value.h"

namespace kalamdb::model {
namespace {

constexpr size_t kShownTextBytes = 64;

// The input as an error message shows it.
std::string shown(const ValueView& input) {
  if (auto text = std::get_if<std::string_view>(&input)) {
    if (text->size() <= kShownTextBytes && simdjson::validate_utf8(text->data(), text->size())) {
      return "'" + std::string(*text) + "'";
    }
    size_t end = std::min(text->size(), kShownTextBytes);
    // Not in the middle of a UTF-8 sequence.
    while (end > 0 && end < text->size() && (static_cast<unsigned char>((*text)[end]) & 0xC0) == 0x80) --end;
    if (!simdjson::validate_utf8(text->data(), end)) return "of " + std::to_string(text->size()) + " bytes";
    return "'" + std::string(text->substr(0, end)) + "…'";
  }
  if (auto vector = std::get_if<std::span<const float>>(&input)) {
    return "a vector of " + std::to_string(vector->size()) + " numbers";
  }
  if (auto decimal = std::get_if<Decimal>(&input)) return "an unscaled decimal " + format_decimal(*decimal, 0);
  return to_text(input, DataType{TypeTag::kBigInt});
}

std::unexpected<Error> cannot_convert(const ValueView& input, const DataType& type) {
  return fail(ErrorCode::kSchema, "Cannot convert " + shown(input) + " to " + sql_name(type));
}

std::unexpected<Error> out_of_range(const ValueView& input, const DataType& type) {
  return fail(ErrorCode::kSchema, "Value " + shown(input) + " is out of range for " + sql_name(type));
}

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view kBlanks = " \t\r\n";
  size_t begin = text.find_first_not_of(kBlanks);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(kBlanks) - begin + 1);
}

bool equals_ignoring_case(std::string_view text, std::string_view lower) {
  return std::ranges::equal(text, lower, [](char a, char b) { return (a >= 'A' && a <= 'Z' ? a + 32 : a) == b; });
}

// std::from_chars over the whole text, with a leading '+' allowed.
template <typename Number>
std::errc parse_number(std::string_view text, Number& number) {
  if (text.starts_with('+') && !text.starts_with("+-")) text.remove_prefix(1);
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error == std::errc() && end != text.data() + text.size()) return std::errc::invalid_argument;
  return error;
}

struct Range {
  int64_t low;
  int64_t high;
  bool contains(int64_t value) const { return low <= value && value <= high; }
};

Range integer_range(TypeTag tag) {
  switch (tag) {
    case TypeTag::kSmallInt:
      return {std::numeric_limits<int16_t>::min(), std::numeric_limits<int16_t>::max()};
    case TypeTag::kInt:
      return {std::numeric_limits<int32_t>::min(), std::numeric_limits<int32_t>::max()};
    case TypeTag::kDate:
      return {kMinDate, kMaxDate};
    case TypeTag::kTime:
      return {0, kMicrosPerDay - 1};
    case TypeTag::kTimestamp:
    case TypeTag::kDateTime:
      return {kMinTimestamp, kMaxTimestamp};
    default:
      return {std::numeric_limits<int64_t>::min(), std::numeric_limits<int64_t>::max()};
  }
}

Result<Value> coerce_boolean(const ValueView& input, const DataType& type) {
  if (auto flag = std::get_if<bool>(&input)) return Value(*flag);
  if (auto number = std::get_if<int64_t>(&input); number && (*number == 0 || *number == 1)) return Value(*number == 1);
  if (auto text = std::get_if<std::string_view>(&input)) {
    std::string_view word = trimmed(*text);
    for (std::string_view yes : {"true", "t", "yes", "y", "on", "1"}) {
      if (equals_ignoring_case(word, yes)) return Value(true);
    }
    for (std::string_view no : {"false", "f", "no", "n", "off", "0"}) {
      if (equals_ignoring_case(word, no)) return Value(false);
    }
  }
  return cannot_convert(input, type);
}

// A whole FLOAT or DOUBLE as an integer; nullopt where it has a fraction or is too large.
std::optional<int64_t> whole_number(double number) {
  // 2^63 itself is a double and does not fit.
  if (!(number >= -0x1p63 && number < 0x1p63) || std::trunc(number) != number) return std::nullopt;
  return static_cast<int64_t>(number);
}

std::optional<int64_t> parse_calendar(std::string_view text, TypeTag tag) {
  if (tag == TypeTag::kTime) return parse_time(text);
  if (tag != TypeTag::kDate) return parse_timestamp(text);
  if (auto days = parse_date(text)) return days;
  // A timestamp at midnight is a date too: JavaScript has no other way to write one.
  auto micros = parse_timestamp(text);
  if (!micros || *micros % kMicrosPerDay != 0) return std::nullopt;
  return *micros / kMicrosPerDay;
}

Result<Value> coerce_integer(const ValueView& input, const DataType& type) {
  int64_t number = 0;
  if (auto integer = std::get_if<int64_t>(&input)) {
    number = *integer;
  } else if (auto text = std::get_if<std::string_view>(&input)) {
    std::string_view digits = trimmed(*text);
    if (is_integer(type.tag)) {
      std::errc error = parse_number(digits, number);
      if (error == std::errc::result_out_of_range) return out_of_range(input, type);
      if (error != std::errc()) return cannot_convert(input, type);
    } else {
      auto parsed = parse_calendar(digits, type.tag);
      if (!parsed) return cannot_convert(input, type);
      number = *parsed;
    }
  } else if (std::holds_alternative<double>(input) || std::holds_alternative<float>(input)) {
    auto floating = std::get_if<double>(&input);
    auto whole = whole_number(floating ? *floating : std::get<float>(input));
    if (!whole) return cannot_convert(input, type);
    number = *whole;
  } else {
    return cannot_convert(input, type);
  }
  if (!integer_range(type.tag).contains(number)) return out_of_range(input, type);
  return Value(number);
}

template <typename Float>
Result<Value> coerce_float(const ValueView& input, const DataType& type) {
  if (auto number = std::get_if<double>(&input)) {
    if (std::isfinite(*number) && std::fabs(*number) > std::numeric_limits<Float>::max()) {
      return out_of_range(input, type);
    }
    return Value(static_cast<Float>(*number));
  }
  if (auto number = std::get_if<float>(&input)) return Value(static_cast<Float>(*number));
  if (auto number = std::get_if<int64_t>(&input)) return Value(static_cast<Float>(*number));
  if (auto text = std::get_if<std::string_view>(&input)) {
    Float number = 0;
    std::errc error = parse_number(trimmed(*text), number);
    if (error == std::errc()) return Value(number);
    if (error == std::errc::result_out_of_range) return out_of_range(input, type);
  }
  return cannot_convert(input, type);
}

Result<Value> coerce_decimal(const ValueView& input, const DataType& type) {
  ParsedDecimal parsed;
  if (auto decimal = std::get_if<Decimal>(&input)) {
    parsed.value = *decimal;
    if (!fits_precision(*decimal, type.precision)) parsed.error = DecimalError::kRange;
  } else if (auto text = std::get_if<std::string_view>(&input)) {
    parsed = parse_decimal(trimmed(*text), type.precision, type.scale);
  } else if (std::holds_alternative<int64_t>(input) || std::holds_alternative<double>(input) ||
             std::holds_alternative<float>(input)) {
    // By way of the shortest text, so that the double 0.1 becomes exactly 0.10.
    parsed = parse_decimal(to_text(input, DataType{TypeTag::kBigInt}), type.precision, type.scale);
  } else {
    parsed.error = DecimalError::kSyntax;
  }
  if (parsed.error == DecimalError::kSyntax) return cannot_convert(input, type);
  if (parsed.error == DecimalError::kRange) return out_of_range(input, type);
  return Value(parsed.value);
}

bool is_json(std::string_view text) {
  // One parser a thread keeps its buffers.
  thread_local simdjson::dom::parser parser;
  auto error = parser.parse(text.data(), text.size()).error();
  if (error == simdjson::SUCCESS) return true;
  // simdjson refuses numbers past 64 bits, and nesting past 1024, which are JSON all the same.
  if (error == simdjson::NUMBER_ERROR || error == simdjson::DEPTH_ERROR) {
    return nlohmann::json::accept(text);
  }
  return false;
}

// "[1,2.5]": the shortest digits of each.
std::string json_array(std::span<const float> numbers) {
  std::string text = "[";
  for (const float number : numbers) {
    std::array<char, 64> digits;
    const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), static_cast<double>(number)).ptr;
    if (text.size() > 1) text.push_back(',');
    text.append(digits.data(), end);
  }
  return text += "]";
}

// Numbers from 0 to 255 as bytes; nullopt if any is not.
std::optional<std::string> as_bytes(std::span<const float> numbers) {
  std::string bytes;
  for (const float number : numbers) {
    if (!(number >= 0 && number <= 255) || number != std::floor(number)) return std::nullopt;
    bytes.push_back(static_cast<char>(static_cast<unsigned char>(number)));
  }
  return bytes;
}

Result<Value> coerce_text(const ValueView& input, const DataType& type) {
  if (std::holds_alternative<Decimal>(input)) return cannot_convert(input, type);
  auto given = std::get_if<std::string_view>(&input);
  auto numbers = std::get_if<std::span<const float>>(&input);
  std::string text = given     ? std::string(*given)
                     : numbers ? json_array(*numbers)
                               : to_text(input, DataType{TypeTag::kBigInt});
  if (given && !simdjson::validate_utf8(text.data(), text.size())) {
    return fail(ErrorCode::kSchema, "Value " + shown(input) + " is not valid UTF-8, as " + sql_name(type) + " must be");
  }
  if (type.tag != TypeTag::kText && !is_json(text)) {
    return fail(ErrorCode::kSchema, "Value " + shown(input) + " is not valid JSON, as " + sql_name(type) + " must be");
  }
  if (type.tag == TypeTag::kFile && !trimmed(text).starts_with('{')) return cannot_convert(input, type);
  return Value(std::move(text));
}

Result<Value> coerce_bytes(const ValueView& input, const DataType& type) {
  if (auto numbers = std::get_if<std::span<const float>>(&input)) {
    if (auto bytes = as_bytes(*numbers)) return Value(*std::move(bytes));
  }
  auto text = std::get_if<std::string_view>(&input);
  if (!text) return cannot_convert(input, type);
  if (!text->starts_with("\\x")) return Value(std::in_place_type<std::string>, *text);
  auto bytes = parse_hex(text->substr(2));
  if (!bytes) return cannot_convert(input, type);
  return Value(*std::move(bytes));
}

Result<Value> coerce_uuid(const ValueView& input, const DataType& type) {
  if (auto uuid = std::get_if<Uuid>(&input)) return Value(*uuid);
  if (auto text = std::get_if<std::string_view>(&input)) {
    if (auto uuid = parse_uuid(trimmed(*text))) return Value(*uuid);
  }
  if (auto numbers = std::get_if<std::span<const float>>(&input); numbers && numbers->size() == sizeof(Uuid)) {
    if (auto bytes = as_bytes(*numbers)) {
      Uuid uuid;
      std::ranges::copy(*bytes, uuid.begin());
      return Value(uuid);
    }
  }
  return cannot_convert(input, type);
}

// "[1, 2.5]" as floats; nullopt where it is not a list of finite numbers.
std::optional<std::vector<float>> parse_vector(std::string_view text) {
  if (!text.starts_with('[') || !text.ends_with(']') || text.size() < 2) return std::nullopt;
  text = trimmed(text.substr(1, text.size() - 2));
  std::vector<float> vector;
  while (!text.empty()) {
    size_t comma = text.find(',');
    std::string_view digits = trimmed(text.substr(0, comma));
    float element = 0;
    std::errc error = parse_number(digits, element);
    if (error == std::errc::result_out_of_range) {
      // Models print doubles: one too small for a float is zero, one too large becomes infinite and is refused.
      double wide = 0;
      error = parse_number(digits, wide);
      element = static_cast<float>(wide);
    }
    if (error != std::errc()) return std::nullopt;
    vector.push_back(element);
    if (comma == std::string_view::npos) return vector;
    text = text.substr(comma + 1);
    if (text.empty()) return std::nullopt;
  }
  return vector;
}

Result<Value> coerce_embedding(const ValueView& input, const DataType& type) {
  std::vector<float> vector;
  if (auto given = std::get_if<std::span<const float>>(&input)) {
    vector.assign(given->begin(), given->end());
  } else if (auto text = std::get_if<std::string_view>(&input)) {
    auto parsed = parse_vector(trimmed(*text));
    if (!parsed) return cannot_convert(input, type);
    vector = *std::move(parsed);
  } else {
    return cannot_convert(input, type);
  }
  if (vector.size() != type.dimension) {
    return fail(ErrorCode::kSchema, "Embedding dimension mismatch: expected " + std::to_string(type.dimension) +
                                        " numbers, got " + std::to_string(vector.size()));
  }
  if (!std::ranges::all_of(vector, [](float element) { return std::isfinite(element); })) {
    return fail(ErrorCode::kSchema, "Value " + shown(input) + " has a number that is not finite");
  }
  return Value(std::move(vector));
}

}  // namespace

Result<Value> coerce(const ValueView& input, const DataType& type) {
  if (is_null(input)) return Value(Null{});
  switch (type.tag) {
    case TypeTag::kBoolean:
      return coerce_boolean(input, type);
    case TypeTag::kSmallInt:
    case TypeTag::kInt:
    case TypeTag::kBigInt:
    case TypeTag::kDate:
    case TypeTag::kTime:
    case TypeTag::kTimestamp:
    case TypeTag::kDateTime:
      return coerce_integer(input, type);
    case TypeTag::kFloat:
      return coerce_float<float>(input, type);
    case TypeTag::kDouble:
      return coerce_float<double>(input, type);
    case TypeTag::kText:
    case TypeTag::kJson:
    case TypeTag::kFile:
      return coerce_text(input, type);
    case TypeTag::kBytes:
      return coerce_bytes(input, type);
    case TypeTag::kUuid:
      return coerce_uuid(input, type);
    case TypeTag::kDecimal:
      return coerce_decimal(input, type);
    case TypeTag::kEmbedding:
      return coerce_embedding(input, type);
  }
  return cannot_convert(input, type);
}

}  // namespace kalamdb::model
