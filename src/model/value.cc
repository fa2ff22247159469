#include "model/value.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstring>

#include "base/assert.h"
#include "model/calendar.h"

namespace kalamdb::model {
namespace {

constexpr char kHexDigits[] = "0123456789abcdef";

int hex_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

// The shortest digits that read back as the same number, always with a point or an exponent: "1.0", "1e+20", "nan".
template <typename Float>
void append_float(std::string& out, Float value) {
  if (std::isnan(value)) {
    out += "nan";
    return;
  }
  if (std::isinf(value)) {
    out += value < 0 ? "-inf" : "inf";
    return;
  }
  Float magnitude = std::fabs(value);
  bool fixed = magnitude == 0 || (magnitude >= Float(1e-4) && magnitude < Float(1e16));
  char buffer[64];
  auto end = std::to_chars(buffer, buffer + sizeof buffer, value,
                           fixed ? std::chars_format::fixed : std::chars_format::scientific)
                 .ptr;
  std::string_view digits(buffer, end);
  out += digits;
  if (fixed && digits.find('.') == std::string_view::npos) out += ".0";
}

std::string integer_text(int64_t value, TypeTag tag) {
  switch (tag) {
    case TypeTag::kDate:
      return format_date(value);
    case TypeTag::kTime:
      return format_time(value);
    case TypeTag::kTimestamp:
      return format_timestamp(value);
    case TypeTag::kDateTime:
      return format_timestamp(value) + "+00";
    default:
      return std::to_string(value);
  }
}

std::string hex_text(std::string_view bytes) {
  std::string out = "\\x";
  out.reserve(2 + bytes.size() * 2);
  for (unsigned char byte : bytes) {
    out.push_back(kHexDigits[byte >> 4]);
    out.push_back(kHexDigits[byte & 15]);
  }
  return out;
}

std::string vector_text(std::span<const float> vector) {
  std::string out = "[";
  for (float element : vector) {
    if (out.size() > 1) out.push_back(',');
    append_float(out, element);
  }
  out.push_back(']');
  return out;
}

template <typename Float>
bool same_float(Float a, Float b) {
  return std::memcmp(&a, &b, sizeof a) == 0 || (std::isnan(a) && std::isnan(b));
}

// Builds a string by what each alternative needs; the others are handled alike.
template <typename... Ts>
struct Overloaded : Ts... {
  using Ts::operator()...;
};

}  // namespace

ValueView view(const Value& value) {
  return std::visit(Overloaded{
                        [](const std::string& text) { return ValueView(std::string_view(text)); },
                        [](const std::vector<float>& vector) { return ValueView(std::span<const float>(vector)); },
                        [](const auto& other) { return ValueView(other); },
                    },
                    value);
}

Value to_value(const ValueView& value) {
  return std::visit(
      Overloaded{
          [](std::string_view text) { return Value(std::string(text)); },
          [](std::span<const float> vector) { return Value(std::vector<float>(vector.begin(), vector.end())); },
          [](const auto& other) { return Value(other); },
      },
      value);
}

bool same(const ValueView& a, const ValueView& b) {
  if (a.index() != b.index()) return false;
  return std::visit(Overloaded{
                        [&](float x) { return same_float(x, std::get<float>(b)); },
                        [&](double x) { return same_float(x, std::get<double>(b)); },
                        [&](std::span<const float> x) {
                          return std::ranges::equal(x, std::get<std::span<const float>>(b), same_float<float>);
                        },
                        [&](const auto& x) { return x == std::get<std::decay_t<decltype(x)>>(b); },
                    },
                    a);
}

std::string to_text(const ValueView& value, const DataType& type) {
  return std::visit(
      Overloaded{
          [](Null) { return std::string("NULL"); },
          [](bool flag) { return std::string(flag ? "true" : "false"); },
          [&](int64_t number) { return integer_text(number, type.tag); },
          [](std::floating_point auto number) {
            std::string out;
            append_float(out, number);
            return out;
          },
          [&](std::string_view text) { return type.tag == TypeTag::kBytes ? hex_text(text) : std::string(text); },
          [](const Uuid& uuid) { return format_uuid(uuid); },
          [&](Decimal decimal) { return format_decimal(decimal, type.scale); },
          [](std::span<const float> vector) { return vector_text(vector); },
      },
      value);
}

std::string format_uuid(const Uuid& uuid) {
  std::string out;
  out.reserve(36);
  for (size_t i = 0; i < uuid.size(); ++i) {
    if (i == 4 || i == 6 || i == 8 || i == 10) out.push_back('-');
    out.push_back(kHexDigits[uuid[i] >> 4]);
    out.push_back(kHexDigits[uuid[i] & 15]);
  }
  return out;
}

std::optional<Uuid> parse_uuid(std::string_view text) {
  bool hyphens = text.size() == 36;
  if (!hyphens && text.size() != 32) return std::nullopt;
  Uuid uuid;
  size_t at = 0;
  for (size_t i = 0; i < uuid.size(); ++i) {
    if (hyphens && (i == 4 || i == 6 || i == 8 || i == 10) && text[at++] != '-') return std::nullopt;
    int high = hex_value(text[at]);
    int low = hex_value(text[at + 1]);
    if (high < 0 || low < 0) return std::nullopt;
    uuid[i] = static_cast<uint8_t>(high << 4 | low);
    at += 2;
  }
  return uuid;
}

std::optional<std::string> parse_hex(std::string_view digits) {
  if (digits.size() % 2 != 0) return std::nullopt;
  std::string bytes;
  bytes.reserve(digits.size() / 2);
  for (size_t i = 0; i < digits.size(); i += 2) {
    int high = hex_value(digits[i]);
    int low = hex_value(digits[i + 1]);
    if (high < 0 || low < 0) return std::nullopt;
    bytes.push_back(static_cast<char>(high << 4 | low));
  }
  return bytes;
}

}  // namespace kalamdb::model
