#include "platform/clock.h"

#include <gtest/gtest.h>

namespace kalamdb::platform {
namespace {

TEST(ClockTest, SystemClockIsInThisCenturyAndMovesOn) {
  SystemClock clock;
  EXPECT_GT(clock.now_us(), 1'704'067'200'000'000);  // 2024
  EXPECT_LT(clock.now_us(), 4'102'444'800'000'000);  // 2100: microseconds, not nanoseconds
  int64_t before = clock.monotonic_us();
  while (clock.monotonic_us() == before) {
  }
  EXPECT_GT(clock.monotonic_us(), before);
}

TEST(ClockTest, ManualClockMovesOnlyWhenTold) {
  ManualClock clock(1'000);
  EXPECT_EQ(clock.now_us(), 1'000);
  int64_t monotonic = clock.monotonic_us();
  clock.advance_us(50);
  EXPECT_EQ(clock.now_us(), 1'050);
  EXPECT_EQ(clock.monotonic_us(), monotonic + 50);
  clock.set_now_us(10);
  EXPECT_EQ(clock.now_us(), 10);
  EXPECT_EQ(clock.monotonic_us(), monotonic + 50) << "a wall clock that steps back does not take time back";
}

}  // namespace
}  // namespace kalamdb::platform
