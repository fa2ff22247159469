#include "platform/utc_text.h"

#include <array>
#include <ctime>

namespace kalamdb::platform {

std::string utc_text(int64_t time_us, const char* format) {
  const std::time_t seconds = time_us / 1'000'000;
  std::tm utc{};
  ::gmtime_r(&seconds, &utc);
  std::array<char, 32> text;
  return {text.data(), std::strftime(text.data(), text.size(), format, &utc)};
}

}  // namespace kalamdb::platform
