#include "platform/id_generator.h"

#include <algorithm>
#include <span>

#include "base/assert.h"

namespace kalamdb::platform {
namespace {

constexpr int kCounterBits = 12;
constexpr int kNodeBits = 10;
constexpr int64_t kCounterMask = (1 << kCounterBits) - 1;

// Now, as milliseconds since the Unix epoch and the fraction of a millisecond in 12 bits.
struct Moment {
  explicit Moment(const Clock& clock) {
    auto now_us = static_cast<uint64_t>(std::max<int64_t>(0, clock.now_us()));
    milliseconds = now_us / 1000;
    fraction = static_cast<uint16_t>(now_us % 1000 * 4096 / 1000);
  }
  void write_milliseconds(std::span<uint8_t> bytes) const {
    for (int i = 0; i < 6; ++i) bytes[i] = static_cast<uint8_t>(milliseconds >> (40 - 8 * i));
  }
  uint64_t milliseconds;
  uint16_t fraction;
};

void set_version(std::array<uint8_t, 16>& uuid, uint8_t version) {
  uuid[6] = static_cast<uint8_t>(version << 4 | (uuid[6] & 0x0F));
  uuid[8] = static_cast<uint8_t>(0x80 | (uuid[8] & 0x3F));
}

// The last tick that is no greater id than `floor`, which may be another node's: its whole millisecond counts as used.
int64_t tick_of(int64_t floor) { return (floor >> (kNodeBits + kCounterBits)) << kCounterBits | kCounterMask; }

}  // namespace

SnowflakeGenerator::SnowflakeGenerator(const Clock& clock, uint16_t node_number, int64_t floor)
    : clock_(clock), node_bits_(static_cast<int64_t>(node_number) << kCounterBits), last_tick_(tick_of(floor)) {
  KALAM_ASSERT(node_number <= kMaxNodeNumber && floor >= 0);
}

int64_t SnowflakeGenerator::id_of(int64_t tick) const {
  return (tick >> kCounterBits) << (kNodeBits + kCounterBits) | node_bits_ | (tick & kCounterMask);
}

int64_t SnowflakeGenerator::take_ticks(int64_t count) {
  int64_t clock_tick = (clock_.now_us() / 1000 - kSeqEpochMs) << kCounterBits;
  int64_t last = last_tick_.load(std::memory_order_relaxed);
  int64_t first;
  do {
    first = std::max(clock_tick, last + 1);
  } while (!last_tick_.compare_exchange_weak(last, first + count - 1, std::memory_order_relaxed));
  return first;
}

int64_t SnowflakeGenerator::next() { return id_of(take_ticks(1)); }

void SnowflakeGenerator::raise_floor(int64_t floor) {
  KALAM_ASSERT(floor >= 0);
  const int64_t tick = tick_of(floor);
  int64_t last = last_tick_.load(std::memory_order_relaxed);
  while (last < tick && !last_tick_.compare_exchange_weak(last, tick, std::memory_order_relaxed)) {
  }
}

std::vector<int64_t> SnowflakeGenerator::reserve(size_t count) {
  if (count == 0) return {};
  int64_t first = take_ticks(static_cast<int64_t>(count));
  std::vector<int64_t> ids(count);
  for (size_t i = 0; i < count; ++i) ids[i] = id_of(first + static_cast<int64_t>(i));
  return ids;
}

std::array<uint8_t, 16> make_uuid_v7(const Clock& clock, Random& random) {
  std::array<uint8_t, 16> uuid;
  random.fill(std::span(uuid).subspan(8));
  Moment now(clock);
  now.write_milliseconds(uuid);
  uuid[6] = static_cast<uint8_t>(now.fraction >> 8);
  uuid[7] = static_cast<uint8_t>(now.fraction);
  set_version(uuid, 7);
  return uuid;
}

std::array<uint8_t, 16> make_uuid_v4(Random& random) {
  std::array<uint8_t, 16> uuid;
  random.fill(uuid);
  set_version(uuid, 4);
  return uuid;
}

std::string make_ulid(const Clock& clock, Random& random) {
  constexpr char kDigits[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
  constexpr int kLength = 26;
  std::array<uint8_t, 16> bytes;
  random.fill(bytes);
  Moment now(clock);
  now.write_milliseconds(bytes);
  bytes[6] = static_cast<uint8_t>(now.fraction >> 4);
  bytes[7] = static_cast<uint8_t>(now.fraction << 4 | (bytes[7] & 0x0F));
  // 128 bits from the right, five at a time; the first digit has the three that are left.
  std::string text(kLength, '0');
  uint32_t window = 0;
  int window_bits = 0;
  int byte = 15;
  for (int digit = kLength - 1; digit >= 0; --digit) {
    if (window_bits < 5 && byte >= 0) {
      window |= static_cast<uint32_t>(bytes[byte--]) << window_bits;
      window_bits += 8;
    }
    text[digit] = kDigits[window & 31];
    window >>= 5;
    window_bits -= 5;
  }
  return text;
}

}  // namespace kalamdb::platform
