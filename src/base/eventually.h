// For tests only.
#pragma once

#include <chrono>
#include <thread>

namespace kalamdb {

// Whether `condition` holds within 30 seconds; asked every 5 ms.
template <typename Condition>
bool eventually(Condition condition) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  while (!condition()) {
    if (std::chrono::steady_clock::now() > end) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  return true;
}

}  // namespace kalamdb
