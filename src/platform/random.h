// Randomness as a seam: the system's, fit for secrets, or a seeded one that repeats itself.
#pragma once

#include <cstdint>
#include <mutex>
#include <random>
#include <span>
#include <string>

namespace kalamdb::platform {

// Thread-safe.
class Random {
 public:
  virtual ~Random() = default;
  virtual void fill(std::span<uint8_t> bytes) = 0;
};

// The kernel's generator: good for keys, tokens and salts.
class SystemRandom final : public Random {
 public:
  void fill(std::span<uint8_t> bytes) override;
};

// The same bytes for the same seed, as long as one thread asks. For tests only.
class SeededRandom final : public Random {
 public:
  explicit SeededRandom(uint64_t seed) : engine_(seed) {}
  void fill(std::span<uint8_t> bytes) override;

 private:
  std::mutex mutex_;
  std::mt19937_64 engine_;
};

uint64_t random_u64(Random& random);
// `byte_count` random bytes as twice as many lowercase hexadecimal digits.
std::string random_hex(Random& random, size_t byte_count);

}  // namespace kalamdb::platform
