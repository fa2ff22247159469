#include "model/column_stats.h"

#include <gtest/gtest.h>

#include <limits>
#include <random>

#include "model/key_codec.h"

namespace kalamdb::model {
namespace {

ColumnDefinition column(TypeTag tag) { return {.name = "c", .ordinal = 3, .type = {tag}, .own_slot = 7}; }

ColumnStats stats_of(const ColumnDefinition& definition, const std::vector<Value>& values) {
  ColumnStatsBuilder builder(definition);
  for (const Value& value : values) builder.add(view(value));
  return builder.finish();
}

std::string key(const Value& value, TypeTag tag) {
  std::string bytes;
  append_key(bytes, view(value), {tag});
  return bytes;
}

TEST(ColumnStats, BoundsAndNulls) {
  const auto stats = stats_of(column(TypeTag::kInt), {int64_t{5}, Null{}, int64_t{-3}, int64_t{4}, Null{}});
  EXPECT_EQ(stats, (ColumnStats{7, 2, key(int64_t{-3}, TypeTag::kInt), key(int64_t{5}, TypeTag::kInt)}));
  EXPECT_EQ(stats_of(column(TypeTag::kInt), {Null{}, Null{}}), (ColumnStats{.slot = 7, .null_count = 2}));
  EXPECT_EQ(stats_of(column(TypeTag::kInt), {}), ColumnStats{.slot = 7});
  const auto bytes = stats_of(column(TypeTag::kBytes), {std::string("\xFF\x00", 2), std::string()});
  EXPECT_EQ(bytes.min, key(std::string(), TypeTag::kBytes));
  EXPECT_EQ(bytes.max, key(std::string("\xFF\x00", 2), TypeTag::kBytes));
}

TEST(ColumnStats, NanIsTheGreatestNumberAndZerosAreOne) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const double infinity = std::numeric_limits<double>::infinity();
  const auto stats = stats_of(column(TypeTag::kDouble), {1.0, nan, -infinity, infinity});
  EXPECT_EQ(stats.min, key(-infinity, TypeTag::kDouble));
  EXPECT_EQ(stats.max, key(nan, TypeTag::kDouble));
  EXPECT_EQ(stats_of(column(TypeTag::kDouble), {nan}).min, key(nan, TypeTag::kDouble));
  const auto zeros = stats_of(column(TypeTag::kDouble), {-0.0, 0.0});
  EXPECT_EQ(zeros.min, zeros.max);
}

TEST(ColumnStats, LongTextsAreCutToBoundsThatStillHold) {
  const std::string a(100, 'a');
  auto stats = stats_of(column(TypeTag::kText), {a, a + "b"});
  EXPECT_EQ(stats.min, key(std::string(64, 'a'), TypeTag::kText));
  EXPECT_EQ(stats.max, key(std::string(63, 'a') + "b", TypeTag::kText));
  // Whole characters, of which the next one may have another length, and none is a surrogate.
  const std::string umlauts(62, 'x');
  stats = stats_of(column(TypeTag::kText), {umlauts + "\u07FF" + a});
  EXPECT_EQ(stats.max, key(umlauts + "\u0800", TypeTag::kText));
  stats = stats_of(column(TypeTag::kText), {umlauts + "x\u07FF" + a});
  EXPECT_EQ(stats.min, key(umlauts + "x", TypeTag::kText));
  EXPECT_EQ(stats.max, key(umlauts + "y", TypeTag::kText));
  stats = stats_of(column(TypeTag::kText), {std::string(61, 'x') + "\uD7FF" + a});
  EXPECT_EQ(stats.max, key(std::string(61, 'x') + "\uE000", TypeTag::kText));
  // Nothing is greater than the last character: the one before it counts on, or there is no bound.
  std::string last;
  for (int i = 0; i < 20; ++i) last += "\U0010FFFF";
  EXPECT_EQ(stats_of(column(TypeTag::kText), {"a" + last}).max, key(std::string("b"), TypeTag::kText));
  EXPECT_EQ(stats_of(column(TypeTag::kText), {last}).max, "");
  EXPECT_EQ(stats_of(column(TypeTag::kText), {last}).min, "");
  EXPECT_EQ(stats_of(column(TypeTag::kBytes), {std::string(80, '\xFF')}).max, "");
  EXPECT_EQ(stats_of(column(TypeTag::kBytes), {"a" + std::string(80, '\xFF')}).max,
            key(std::string("b"), TypeTag::kBytes));
}

TEST(ColumnStats, AllValuesLieWithinTheBounds) {
  std::mt19937 random(4);
  const std::vector<std::string> characters = {
      "a", "z", "\u00FF", "\uD7FF", "\uFFFF", "\U0010FFFF", std::string(1, '\0')};
  for (int round = 0; round < 2000; ++round) {
    std::vector<Value> values;
    for (int i = 0; i < 3; ++i) {
      std::string text;
      const size_t length = random() % 90;
      const size_t first = random() % characters.size();
      for (size_t c = 0; c < length; ++c) text += characters[c < 70 ? first : random() % characters.size()];
      values.emplace_back(std::move(text));
    }
    const ColumnStats stats = stats_of(column(TypeTag::kText), values);
    if (stats.max.empty()) continue;
    for (const Value& value : values) {
      ASSERT_LE(stats.min, key(value, TypeTag::kText));
      ASSERT_GE(stats.max, key(value, TypeTag::kText));
    }
  }
}

}  // namespace
}  // namespace kalamdb::model
