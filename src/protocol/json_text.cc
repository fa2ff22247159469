#include "protocol/json_text.h"

#include <simdjson.h>

#include <bit>
#include <charconv>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstring>

namespace kalamdb::protocol {
namespace {

constexpr uint64_t kOnes = 0x0101010101010101;
constexpr uint64_t kHighBits = 0x8080808080808080;

uint64_t load_word(const char* bytes) {
  uint64_t word;
  std::memcpy(&word, bytes, sizeof word);
  return word;
}

// The high bit of every byte that JSON wants escaped: below 0x20, '"' or '\'. Bytes above the first flagged one may be
// flagged wrongly (the subtractions borrow), so only the lowest flag counts.
uint64_t bytes_to_escape(uint64_t word) {
  const uint64_t control = (word - kOnes * 0x20) & ~word;
  const uint64_t quote_zero = word ^ (kOnes * '"');
  const uint64_t quote = (quote_zero - kOnes) & ~quote_zero;
  const uint64_t backslash_zero = word ^ (kOnes * '\\');
  const uint64_t backslash = (backslash_zero - kOnes) & ~backslash_zero;
  return (control | quote | backslash) & kHighBits;
}

bool needs_escape(unsigned char byte) { return byte < 0x20 || byte == '"' || byte == '\\'; }

bool is_ascii(std::string_view text) {
  uint64_t all = 0;
  size_t i = 0;
  for (; i + 8 <= text.size(); i += 8) all |= load_word(text.data() + i);
  for (; i < text.size(); ++i) all |= static_cast<unsigned char>(text[i]);
  return (all & kHighBits) == 0;
}

void append_escape(std::string& out, unsigned char byte) {
  switch (byte) {
    case '"':
      out.append("\\\"", 2);
      return;
    case '\\':
      out.append("\\\\", 2);
      return;
    case '\n':
      out.append("\\n", 2);
      return;
    case '\r':
      out.append("\\r", 2);
      return;
    case '\t':
      out.append("\\t", 2);
      return;
    case '\b':
      out.append("\\b", 2);
      return;
    case '\f':
      out.append("\\f", 2);
      return;
    default: {
      constexpr char kHex[] = "0123456789abcdef";
      const char escape[] = {'\\', 'u', '0', '0', kHex[byte >> 4], kHex[byte & 15]};
      out.append(escape, sizeof escape);
    }
  }
}

void append_escaped(std::string& out, std::string_view text) {
  size_t copied = 0;
  size_t i = 0;
  auto escape_at = [&] {
    out.append(text.data() + copied, i - copied);
    append_escape(out, static_cast<unsigned char>(text[i]));
    copied = ++i;
  };
  while (i + 8 <= text.size()) {
    const uint64_t flags = bytes_to_escape(load_word(text.data() + i));
    if (flags == 0) {
      i += 8;
      continue;
    }
    i += static_cast<size_t>(std::countr_zero(flags)) / 8;
    escape_at();
  }
  while (i < text.size()) {
    if (needs_escape(static_cast<unsigned char>(text[i]))) {
      escape_at();
    } else {
      ++i;
    }
  }
  out.append(text.data() + copied, text.size() - copied);
}

// `text` with every byte that is not part of a well-formed sequence replaced by U+FFFD.
std::string repair_utf8(std::string_view text) {
  std::string repaired;
  size_t i = 0;
  while (i < text.size()) {
    size_t length = 1;
    const auto lead = static_cast<unsigned char>(text[i]);
    if (lead >= 0xF0) {
      length = 4;
    } else if (lead >= 0xE0) {
      length = 3;
    } else if (lead >= 0x80) {
      length = 2;
    }
    if (i + length <= text.size() && simdjson::validate_utf8(text.data() + i, length)) {
      repaired.append(text.data() + i, length);
      i += length;
    } else {
      repaired.append("\xEF\xBF\xBD");
      ++i;
    }
  }
  return repaired;
}

template <typename Number>
void append_digits(std::string& out, Number number) {
  char digits[32];
  const auto end = std::to_chars(digits, digits + sizeof digits, number).ptr;
  out.append(digits, static_cast<size_t>(end - digits));
}

template <typename Float>
bool append_float(std::string& out, Float number) {
  if (!std::isfinite(number)) {
    out.append("null", 4);
    return false;
  }
  const size_t start = out.size();
  append_digits(out, number);
  if (out.find_first_of(".e", start) == std::string::npos) out.append(".0", 2);
  return true;
}

}  // namespace

void append_json_string(std::string& out, std::string_view text) {
  out.push_back('"');
  if (is_ascii(text) || simdjson::validate_utf8(text.data(), text.size())) [[likely]] {
    append_escaped(out, text);
  } else {
    append_escaped(out, repair_utf8(text));
  }
  out.push_back('"');
}

void append_integer(std::string& out, int64_t number) { append_digits(out, number); }
void append_integer(std::string& out, uint64_t number) { append_digits(out, number); }
bool append_number(std::string& out, double number) { return append_float(out, number); }
bool append_number(std::string& out, float number) { return append_float(out, number); }

void append_milliseconds(std::string& out, int64_t microseconds) {
  if (microseconds < 0) microseconds = 0;
  append_integer(out, microseconds / 1000);
  const auto rest = static_cast<int>(microseconds % 1000);
  const char decimals[] = {'.', static_cast<char>('0' + rest / 100), static_cast<char>('0' + rest / 10 % 10),
                           static_cast<char>('0' + rest % 10)};
  size_t length = 4;
  while (length > 2 && decimals[length - 1] == '0') --length;
  out.append(decimals, length);
}

std::string rfc3339(int64_t time_us) {
  const std::chrono::sys_time<std::chrono::microseconds> time{std::chrono::microseconds{time_us}};
  const auto day = std::chrono::floor<std::chrono::days>(time);
  const std::chrono::year_month_day date{day};
  const std::chrono::hh_mm_ss clock{time - day};
  char text[48];
  const int length =
      std::snprintf(text, sizeof text, "%04d-%02u-%02uT%02d:%02d:%02d.%06dZ", static_cast<int>(date.year()),
                    static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()),
                    static_cast<int>(clock.hours().count()), static_cast<int>(clock.minutes().count()),
                    static_cast<int>(clock.seconds().count()), static_cast<int>(clock.subseconds().count()));
  return std::string(text, static_cast<size_t>(length));
}

}  // namespace kalamdb::protocol
