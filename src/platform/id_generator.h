// Identifiers made of time and randomness: Snowflakes, UUIDs and ULIDs.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <string>
#include <vector>

#include "base/ids.h"
#include "platform/clock.h"
#include "platform/random.h"

namespace kalamdb::platform {

inline constexpr uint16_t kMaxNodeNumber = 1023;

// Makes Snowflakes in the layout of base/ids.h, each greater than the one before, also when the clock steps back or all
// 4,096 counters of a millisecond are used up: then it goes on with the next millisecond, ahead of the clock, without
// waiting. Thread-safe, without locks.
class SnowflakeGenerator {
 public:
  // `node_number` is at most kMaxNodeNumber. Every id is greater than `floor`, which is not negative. `clock` must
  // outlive the generator.
  SnowflakeGenerator(const Clock& clock, uint16_t node_number, int64_t floor = 0);

  int64_t next();
  // Every later id is greater than `floor`, which is not negative.
  void raise_floor(int64_t floor);
  // `count` ids in ascending order, without any other in between.
  std::vector<int64_t> reserve(size_t count);

 private:
  // Takes `count` ticks in a row and returns the first.
  int64_t take_ticks(int64_t count);
  int64_t id_of(int64_t tick) const;

  const Clock& clock_;
  const int64_t node_bits_;
  // The last id given, as milliseconds and counter without the node between them, so that one more is the next.
  std::atomic<int64_t> last_tick_;
};

// UUIDs of RFC 9562. Version 7 has the millisecond in front and the fraction of it in the 12 bits behind the version,
// so that UUIDs sort by the microsecond in which they were made.
std::array<uint8_t, 16> make_uuid_v7(const Clock& clock, Random& random);
std::array<uint8_t, 16> make_uuid_v4(Random& random);

// 26 characters of Crockford's base 32 (https://github.com/ulid/spec): 48 bits of milliseconds and 80 random bits, the
// first 12 of which are the fraction of the millisecond, for the order.
std::string make_ulid(const Clock& clock, Random& random);

}  // namespace kalamdb::platform
