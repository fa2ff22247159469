// Points in time as texts.
#pragma once

#include <cstdint>
#include <string>

namespace kalamdb::platform {

// A time (microseconds since 1970-01-01) in UTC, formatted as by strftime(3), in at most 31 bytes.
std::string utc_text(int64_t time_us, const char* format);

}  // namespace kalamdb::platform
