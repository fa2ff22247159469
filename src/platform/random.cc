#include "platform/random.h"

#include <sys/random.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <vector>

#include "base/assert.h"

namespace kalamdb::platform {

void SystemRandom::fill(std::span<uint8_t> bytes) {
  while (!bytes.empty()) {
    ssize_t filled = getrandom(bytes.data(), bytes.size(), 0);
    // With these arguments the call fails only when a signal interrupts it.
    KALAM_ASSERT(filled > 0 || errno == EINTR);
    if (filled > 0) bytes = bytes.subspan(static_cast<size_t>(filled));
  }
}

void SeededRandom::fill(std::span<uint8_t> bytes) {
  std::lock_guard lock(mutex_);
  while (!bytes.empty()) {
    uint64_t word = engine_();
    size_t count = std::min(bytes.size(), sizeof word);
    std::memcpy(bytes.data(), &word, count);
    bytes = bytes.subspan(count);
  }
}

uint64_t random_u64(Random& random) {
  uint8_t bytes[sizeof(uint64_t)];
  random.fill(bytes);
  uint64_t value;
  std::memcpy(&value, bytes, sizeof value);
  return value;
}

std::string random_hex(Random& random, size_t byte_count) {
  constexpr char kDigits[] = "0123456789abcdef";
  std::vector<uint8_t> bytes(byte_count);
  random.fill(bytes);
  std::string hex;
  hex.reserve(byte_count * 2);
  for (uint8_t byte : bytes) {
    hex.push_back(kDigits[byte >> 4]);
    hex.push_back(kDigits[byte & 15]);
  }
  return hex;
}

}  // namespace kalamdb::platform
