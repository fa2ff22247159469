// JSON as text, appended straight to a string: strings, numbers and times as the wire has them. What comes out is valid
// JSON in valid UTF-8 whatever goes in.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace kalamdb::protocol {

// Appends `text` quoted and escaped. Bytes that are not UTF-8 become U+FFFD.
void append_json_string(std::string& out, std::string_view text);

void append_integer(std::string& out, int64_t number);
void append_integer(std::string& out, uint64_t number);
// The shortest digits that read back as the same number, always with a fraction or an exponent ("1.0"). NaN and
// infinities, which JSON does not have, become null; false tells so.
bool append_number(std::string& out, double number);
bool append_number(std::string& out, float number);

// Microseconds as milliseconds with at most three decimals: 1234 is "1.234", 2000 is "2.0". Never negative.
void append_milliseconds(std::string& out, int64_t microseconds);

// "2024-01-02T03:04:05.000006Z" for microseconds since the Unix epoch (years 0 to 9999).
std::string rfc3339(int64_t time_us);

}  // namespace kalamdb::protocol
