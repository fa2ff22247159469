#include "platform/clock.h"

#include <chrono>

namespace kalamdb::platform {
namespace {

template <typename SomeClock>
int64_t since_epoch_us() {
  return std::chrono::duration_cast<std::chrono::microseconds>(SomeClock::now().time_since_epoch()).count();
}

}  // namespace

int64_t SystemClock::now_us() const { return since_epoch_us<std::chrono::system_clock>(); }
int64_t SystemClock::monotonic_us() const { return since_epoch_us<std::chrono::steady_clock>(); }

}  // namespace kalamdb::platform
