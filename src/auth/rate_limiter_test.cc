#include "auth/rate_limiter.h"

#include <gtest/gtest.h>

namespace kalamdb::auth {
namespace {

TEST(RateLimiter, BucketsEmptyAndFill) {
  platform::ManualClock clock(0);
  RateLimiter limiter(clock, 10);
  for (int i = 0; i < 10; ++i) EXPECT_TRUE(limiter.admit("a"));
  EXPECT_FALSE(limiter.admit("a"));
  EXPECT_TRUE(limiter.admit("b")) << "each key has its own bucket";
  clock.advance_us(100'000);
  EXPECT_TRUE(limiter.admit("a"));
  EXPECT_FALSE(limiter.admit("a"));
  clock.advance_us(3'600'000'000);
  int admitted = 0;
  while (limiter.admit("a")) ++admitted;
  EXPECT_EQ(admitted, 10) << "a bucket holds one second's worth, however long it fills";
}

TEST(RateLimiter, ZeroMeansNoLimit) {
  platform::ManualClock clock(0);
  RateLimiter limiter(clock, 0);
  for (int i = 0; i < 1000; ++i) EXPECT_TRUE(limiter.admit("a"));
}

TEST(GenerationalCache, StaysBoundedAndKeepsWhatIsUsed) {
  GenerationalCache<int> cache(320);
  cache.put("kept", -1);
  for (int i = 0; i < 100'000; ++i) {
    cache.put(std::to_string(i), i);
    ASSERT_EQ(cache.find("kept"), -1) << "used after each insertion";
  }
  int held = 0;
  for (int i = 0; i < 100'000; ++i) held += cache.find(std::to_string(i)).has_value();
  EXPECT_LE(held, 400);
  EXPECT_GE(held, 100);
  cache.erase("kept");
  EXPECT_FALSE(cache.find("kept"));
}

}  // namespace
}  // namespace kalamdb::auth
