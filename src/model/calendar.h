// Dates and times as text and as the numbers that columns store. Proleptic Gregorian calendar, years 1 to 9999, so that
// every stored value has a text that PostgreSQL, JavaScript and ISO 8601 read alike.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace kalamdb::model {

inline constexpr int64_t kMicrosPerDay = 86'400'000'000;
inline constexpr int64_t kMinDate = -719'162;   // 0001-01-01
inline constexpr int64_t kMaxDate = 2'932'896;  // 9999-12-31
inline constexpr int64_t kMinTimestamp = kMinDate * kMicrosPerDay;
inline constexpr int64_t kMaxTimestamp = (kMaxDate + 1) * kMicrosPerDay - 1;

// "YYYY-MM-DD" as days since 1970-01-01; nullopt if it is not a date of the calendar.
std::optional<int64_t> parse_date(std::string_view text);
// "HH:MM[:SS[.ffffff]]" as microseconds since midnight. Digits past the sixth must be zeros.
std::optional<int64_t> parse_time(std::string_view text);
// "YYYY-MM-DD[(T| )HH:MM[:SS[.ffffff]][Z|±HH[[:]MM]]]" as microseconds since the Unix epoch. An offset is applied, so
// that the result is UTC; without one the text is taken to be UTC.
std::optional<int64_t> parse_timestamp(std::string_view text);

// The text that the functions above read. A fraction is shown without trailing zeros, and only if there is one. A value
// outside the years above, which no column holds, comes out as its number.
std::string format_date(int64_t days);
std::string format_time(int64_t micros);
std::string format_timestamp(int64_t micros);

}  // namespace kalamdb::model
