#include "platform/id_generator.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <thread>

namespace kalamdb::platform {
namespace {

constexpr int64_t kNowUs = 1'704'164'645'123'456;  // 2024-01-02T03:04:05.123456Z

TEST(SnowflakeTest, CarriesTimeNodeAndCounter) {
  ManualClock clock(kNowUs);
  SnowflakeGenerator ids(clock, 1023);
  int64_t first = ids.next();
  EXPECT_EQ(seq_time_us(first), 1'704'164'645'123'000);
  EXPECT_EQ(first >> 12 & 1023, 1023);
  EXPECT_EQ(first & 4095, 0);
  EXPECT_EQ(ids.next(), first + 1);
  clock.advance_us(1'000);
  EXPECT_EQ(ids.next(), first + (1 << 22));
}

TEST(SnowflakeTest, IncreasesWhenTheClockStepsBack) {
  ManualClock clock(kNowUs);
  SnowflakeGenerator ids(clock, 1);
  int64_t before = ids.next();
  clock.set_now_us(kNowUs - 3'600'000'000);
  EXPECT_EQ(ids.next(), before + 1);
  clock.set_now_us(0);  // before the Snowflake epoch
  EXPECT_EQ(ids.next(), before + 2);
}

TEST(SnowflakeTest, GoesOnInTheNextMillisecondWhenCountersAreUsedUp) {
  ManualClock clock(kNowUs);
  SnowflakeGenerator ids(clock, 5);
  int64_t last = ids.next();
  for (int i = 1; i < 4096; ++i) last = ids.next();
  EXPECT_EQ(last & 4095, 4095);
  int64_t next = ids.next();
  EXPECT_GT(next, last);
  EXPECT_EQ(next & 4095, 0);
  EXPECT_EQ(next >> 12 & 1023, 5);
  EXPECT_EQ(seq_time_us(next), seq_time_us(last) + 1'000);
}

TEST(SnowflakeTest, StartsAboveItsFloorWhateverNodeThatIsFrom) {
  ManualClock clock(kNowUs);
  SnowflakeGenerator other(clock, 1023);
  for (int i = 0; i < 5'000; ++i) other.next();
  int64_t floor = other.next();
  SnowflakeGenerator ids(clock, 0, floor);
  EXPECT_GT(ids.next(), floor);
}

TEST(SnowflakeTest, ReservedIdsFollowOneAnother) {
  ManualClock clock(kNowUs);
  SnowflakeGenerator ids(clock, 9);
  EXPECT_TRUE(ids.reserve(0).empty());
  int64_t before = ids.next();
  std::vector<int64_t> reserved = ids.reserve(10'000);
  int64_t after = ids.next();
  ASSERT_EQ(reserved.size(), 10'000u);
  EXPECT_GT(reserved.front(), before);
  EXPECT_EQ(std::ranges::adjacent_find(reserved, std::greater_equal<>()), reserved.end());
  EXPECT_GT(after, reserved.back());
  for (int64_t id : reserved) ASSERT_EQ(id >> 12 & 1023, 9);
}

TEST(SnowflakeTest, ThreadsNeverGetTheSameId) {
  SystemClock clock;
  SnowflakeGenerator ids(clock, 1);
  constexpr int kThreads = 4;
  constexpr int kEach = 20'000;
  std::vector<std::vector<int64_t>> taken(kThreads);
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < kEach; ++i) taken[t].push_back(ids.next());
    });
  }
  for (std::thread& thread : threads) thread.join();
  std::set<int64_t> all;
  for (const auto& of_thread : taken) {
    EXPECT_EQ(std::ranges::adjacent_find(of_thread, std::greater_equal<>()), of_thread.end());
    all.insert(of_thread.begin(), of_thread.end());
  }
  EXPECT_EQ(all.size(), static_cast<size_t>(kThreads * kEach));
}

TEST(UuidTest, VersionAndVariantBits) {
  ManualClock clock(kNowUs);
  SeededRandom random(1);
  for (int i = 0; i < 100; ++i) {
    auto v7 = make_uuid_v7(clock, random);
    auto v4 = make_uuid_v4(random);
    EXPECT_EQ(v7[6] >> 4, 7);
    EXPECT_EQ(v7[8] >> 6, 2);
    EXPECT_EQ(v4[6] >> 4, 4);
    EXPECT_EQ(v4[8] >> 6, 2);
    EXPECT_NE(v7, make_uuid_v7(clock, random));
  }
}

TEST(UuidTest, Version7CarriesMillisecondsAndSortsByMicrosecond) {
  ManualClock clock(kNowUs);
  SeededRandom random(2);
  auto before = make_uuid_v7(clock, random);
  uint64_t milliseconds = 0;
  for (int i = 0; i < 6; ++i) milliseconds = milliseconds << 8 | before[i];
  EXPECT_EQ(milliseconds, 1'704'164'645'123u);
  for (int i = 0; i < 3'000; ++i) {
    clock.advance_us(1);
    auto after = make_uuid_v7(clock, random);
    ASSERT_LT(before, after);
    before = after;
  }
}

TEST(UlidTest, CarriesMillisecondsInCrockfordBase32) {
  // The specification's example: 1469918176385 ms is "01ARYZ6S41".
  ManualClock clock(1'469'918'176'385'000);
  SeededRandom random(3);
  std::string ulid = make_ulid(clock, random);
  EXPECT_EQ(ulid.size(), 26u);
  EXPECT_EQ(ulid.substr(0, 10), "01ARYZ6S41");
  EXPECT_EQ(ulid.find_first_not_of("0123456789ABCDEFGHJKMNPQRSTVWXYZ"), std::string::npos);
  EXPECT_NE(make_ulid(clock, random), ulid);
}

TEST(UlidTest, SortsByMicrosecond) {
  ManualClock clock(kNowUs);
  SeededRandom random(4);
  std::string before = make_ulid(clock, random);
  for (int i = 0; i < 3'000; ++i) {
    clock.advance_us(1);
    std::string after = make_ulid(clock, random);
    ASSERT_LT(before, after);
    before = after;
  }
}

TEST(SnowflakeTest, GoesOnBehindAFloorThatIsRaised) {
  ManualClock clock(kNowUs);
  SnowflakeGenerator ids(clock, 1);
  const int64_t before = ids.next();
  const int64_t floor = before + (int64_t{5000} << 22);
  ids.raise_floor(floor);
  const int64_t behind = ids.next();
  EXPECT_GT(behind, floor);
  ids.raise_floor(before);  // lower than what has been given
  EXPECT_GT(ids.next(), behind);
}

}  // namespace
}  // namespace kalamdb::platform
