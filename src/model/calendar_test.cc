#include "model/calendar.h"

#include <gtest/gtest.h>

#include <random>

#include "model/random_value.h"

namespace kalamdb::model {
namespace {

TEST(CalendarTest, DatesCountFromTheEpoch) {
  EXPECT_EQ(parse_date("1970-01-01"), 0);
  EXPECT_EQ(parse_date("1969-12-31"), -1);
  EXPECT_EQ(parse_date("2000-02-29"), 11016);
  EXPECT_EQ(parse_date("0001-01-01"), kMinDate);
  EXPECT_EQ(parse_date("9999-12-31"), kMaxDate);
}

TEST(CalendarTest, DatesThatDoNotExistAreRefused) {
  for (std::string_view text : {"2023-02-29", "2024-13-01", "2024-00-10", "2024-04-31", "0000-01-01", "2024-1-1",
                                "10000-01-01", "-001-01-01", "2024/01/01", "2024-01-01x", ""}) {
    EXPECT_FALSE(parse_date(text)) << text;
  }
}

TEST(CalendarTest, TimesOfDay) {
  EXPECT_EQ(parse_time("00:00"), 0);
  EXPECT_EQ(parse_time("23:59:59.999999"), kMicrosPerDay - 1);
  EXPECT_EQ(parse_time("01:02:03.5"), 3'723'500'000);
  EXPECT_EQ(parse_time("01:02:03.500000000"), 3'723'500'000);
  for (std::string_view text :
       {"24:00", "12:60", "12:00:60", "12", "12:00:00.", "12:00:00.0000001", "1:00", "12:00Z"}) {
    EXPECT_FALSE(parse_time(text)) << text;
  }
}

TEST(CalendarTest, TimestampsWithAndWithoutOffset) {
  constexpr int64_t kMoment = 1'704'164'645'000'000;  // 2024-01-02T03:04:05Z
  for (std::string_view text : {"2024-01-02 03:04:05", "2024-01-02T03:04:05", "2024-01-02T03:04:05Z",
                                "2024-01-02t03:04:05.000z", "2024-01-02T05:04:05+02", "2024-01-02T08:34:05+05:30",
                                "2024-01-02T08:34:05+0530", "2024-01-01 19:04:05-08:00"}) {
    EXPECT_EQ(parse_timestamp(text), kMoment) << text;
  }
  EXPECT_EQ(parse_timestamp("2024-01-02"), 1'704'153'600'000'000);
  EXPECT_EQ(parse_timestamp("1969-12-31T23:59:59.999999Z"), -1);
}

TEST(CalendarTest, MalformedTimestampsAreRefused) {
  for (std::string_view text : {"2024-01-02T", "2024-01-02X03:04", "2024-01-02T03:04:05+", "2024-01-02T03:04:05+2",
                                "2024-01-02T03:04:05+02:", "2024-01-02T03:04:05+24:00", "2024-01-02T03:04:05+02:60",
                                "2024-01-02T03:04:05ZZ", "2024-01-02T03:04:05 UTC"}) {
    EXPECT_FALSE(parse_timestamp(text)) << text;
  }
}

TEST(CalendarTest, AnOffsetMayNotLeaveTheCalendar) {
  EXPECT_EQ(parse_timestamp("0001-01-01T00:00:00Z"), kMinTimestamp);
  EXPECT_FALSE(parse_timestamp("0001-01-01T00:00:00+01:00"));
  EXPECT_EQ(parse_timestamp("9999-12-31T23:59:59.999999Z"), kMaxTimestamp);
  EXPECT_FALSE(parse_timestamp("9999-12-31T23:59:59-01:00"));
}

TEST(CalendarTest, TextHasNoTrailingZeros) {
  EXPECT_EQ(format_timestamp(0), "1970-01-01 00:00:00");
  EXPECT_EQ(format_timestamp(1'704'164'645'000'006), "2024-01-02 03:04:05.000006");
  EXPECT_EQ(format_timestamp(-500'000), "1969-12-31 23:59:59.5");
  EXPECT_EQ(format_time(3'723'120'000), "01:02:03.12");
  EXPECT_EQ(format_date(kMinDate), "0001-01-01");
  EXPECT_EQ(format_date(kMaxDate + 1), "2932897");
}

TEST(CalendarTest, RandomMomentsRoundTrip) {
  std::mt19937_64 random(1);
  for (int i = 0; i < 20'000; ++i) {
    int64_t micros = random_integer(random, kMinTimestamp, kMaxTimestamp);
    ASSERT_EQ(parse_timestamp(format_timestamp(micros)), micros);
    int64_t days = random_integer(random, kMinDate, kMaxDate);
    ASSERT_EQ(parse_date(format_date(days)), days);
    int64_t time = random_integer(random, 0, kMicrosPerDay - 1);
    ASSERT_EQ(parse_time(format_time(time)), time);
  }
}

}  // namespace
}  // namespace kalamdb::model
