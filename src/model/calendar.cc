#include "model/calendar.h"

#include <chrono>

namespace kalamdb::model {
namespace {

// Takes `count` digits from the front of `text`; nullopt when they are not all there.
std::optional<int> take_digits(std::string_view& text, size_t count) {
  if (text.size() < count) return std::nullopt;
  int value = 0;
  for (size_t i = 0; i < count; ++i) {
    if (text[i] < '0' || text[i] > '9') return std::nullopt;
    value = value * 10 + (text[i] - '0');
  }
  text.remove_prefix(count);
  return value;
}

bool take(std::string_view& text, char c) {
  if (text.empty() || text.front() != c) return false;
  text.remove_prefix(1);
  return true;
}

std::optional<int64_t> take_date(std::string_view& text) {
  auto year = take_digits(text, 4);
  if (!year || !take(text, '-')) return std::nullopt;
  auto month = take_digits(text, 2);
  if (!month || !take(text, '-')) return std::nullopt;
  auto day = take_digits(text, 2);
  if (!day || *year == 0) return std::nullopt;
  std::chrono::year_month_day date{std::chrono::year(*year), std::chrono::month(*month), std::chrono::day(*day)};
  if (!date.ok()) return std::nullopt;
  return std::chrono::sys_days(date).time_since_epoch().count();
}

// The digits after the point, as microseconds.
std::optional<int64_t> take_fraction(std::string_view& text) {
  int64_t micros = 0;
  size_t digits = 0;
  for (; digits < text.size() && text[digits] >= '0' && text[digits] <= '9'; ++digits) {
    if (digits < 6) {
      micros = micros * 10 + (text[digits] - '0');
    } else if (text[digits] != '0') {
      return std::nullopt;  // a column holds microseconds, and nothing is rounded silently
    }
  }
  if (digits == 0) return std::nullopt;
  text.remove_prefix(digits);
  for (; digits < 6; ++digits) micros *= 10;
  return micros;
}

std::optional<int64_t> take_time(std::string_view& text) {
  auto hour = take_digits(text, 2);
  if (!hour || *hour > 23 || !take(text, ':')) return std::nullopt;
  auto minute = take_digits(text, 2);
  if (!minute || *minute > 59) return std::nullopt;
  int64_t micros = (*hour * 60 + *minute) * 60'000'000LL;
  if (!take(text, ':')) return micros;
  auto second = take_digits(text, 2);
  if (!second || *second > 59) return std::nullopt;
  micros += *second * 1'000'000LL;
  if (!take(text, '.')) return micros;
  auto fraction = take_fraction(text);
  if (!fraction) return std::nullopt;
  return micros + *fraction;
}

// What to add to local time to get UTC; `text` holds the offset and nothing else, and may be empty.
std::optional<int64_t> parse_offset(std::string_view text) {
  if (text.empty() || text == "Z" || text == "z") return 0;
  bool east = take(text, '+');
  if (!east && !take(text, '-')) return std::nullopt;
  auto hours = take_digits(text, 2);
  if (!hours || *hours > 23) return std::nullopt;
  int minutes = 0;
  if (!text.empty()) {
    take(text, ':');
    auto parsed = take_digits(text, 2);
    if (!parsed || *parsed > 59 || !text.empty()) return std::nullopt;
    minutes = *parsed;
  }
  int64_t micros = (*hours * 60 + minutes) * 60'000'000LL;
  return east ? -micros : micros;
}

void append_digits(std::string& out, int value, int count) {
  char digits[8];
  for (int i = count - 1; i >= 0; --i, value /= 10) digits[i] = static_cast<char>('0' + value % 10);
  out.append(digits, count);
}

void append_date(std::string& out, int64_t days) {
  std::chrono::year_month_day date{std::chrono::sys_days(std::chrono::days(days))};
  append_digits(out, static_cast<int>(date.year()), 4);
  out.push_back('-');
  append_digits(out, static_cast<int>(static_cast<unsigned>(date.month())), 2);
  out.push_back('-');
  append_digits(out, static_cast<int>(static_cast<unsigned>(date.day())), 2);
}

void append_time(std::string& out, int64_t micros) {
  int seconds = static_cast<int>(micros / 1'000'000);
  append_digits(out, seconds / 3600, 2);
  out.push_back(':');
  append_digits(out, seconds / 60 % 60, 2);
  out.push_back(':');
  append_digits(out, seconds % 60, 2);
  int fraction = static_cast<int>(micros % 1'000'000);
  if (fraction == 0) return;
  int count = 6;
  for (; fraction % 10 == 0; fraction /= 10) --count;
  out.push_back('.');
  append_digits(out, fraction, count);
}

}  // namespace

std::optional<int64_t> parse_date(std::string_view text) {
  auto days = take_date(text);
  return text.empty() ? days : std::nullopt;
}

std::optional<int64_t> parse_time(std::string_view text) {
  auto micros = take_time(text);
  return text.empty() ? micros : std::nullopt;
}

std::optional<int64_t> parse_timestamp(std::string_view text) {
  auto days = take_date(text);
  if (!days) return std::nullopt;
  if (text.empty()) return *days * kMicrosPerDay;
  if (!take(text, 'T') && !take(text, 't') && !take(text, ' ')) return std::nullopt;
  auto time = take_time(text);
  if (!time) return std::nullopt;
  auto offset = parse_offset(text);
  if (!offset) return std::nullopt;
  int64_t micros = *days * kMicrosPerDay + *time + *offset;
  if (micros < kMinTimestamp || micros > kMaxTimestamp) return std::nullopt;
  return micros;
}

std::string format_date(int64_t days) {
  if (days < kMinDate || days > kMaxDate) return std::to_string(days);
  std::string out;
  append_date(out, days);
  return out;
}

std::string format_time(int64_t micros) {
  if (micros < 0 || micros >= kMicrosPerDay) return std::to_string(micros);
  std::string out;
  append_time(out, micros);
  return out;
}

std::string format_timestamp(int64_t micros) {
  if (micros < kMinTimestamp || micros > kMaxTimestamp) return std::to_string(micros);
  int64_t days = micros / kMicrosPerDay;
  int64_t time = micros % kMicrosPerDay;
  if (time < 0) {
    time += kMicrosPerDay;
    --days;
  }
  std::string out;
  out.reserve(26);
  append_date(out, days);
  out.push_back(' ');
  append_time(out, time);
  return out;
}

}  // namespace kalamdb::model
