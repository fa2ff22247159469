#include "base/position_set.h"

#include <gtest/gtest.h>

#include <random>
#include <set>

namespace kalamdb {
namespace {

TEST(PositionSetTest, HoldsWhatWasAdded) {
  PositionSet set;
  EXPECT_TRUE(set.empty());
  set.add(5);
  set.add(5);
  set.add(4'000'000'000);
  EXPECT_EQ(set.size(), 2u);
  EXPECT_TRUE(set.contains(5));
  EXPECT_FALSE(set.contains(6));
  EXPECT_TRUE(set.contains(4'000'000'000));
}

TEST(PositionSetTest, IntersectsHalfOpenRanges) {
  PositionSet set;
  set.add(10);
  EXPECT_TRUE(set.intersects(10, 11));
  EXPECT_FALSE(set.intersects(0, 10));
  EXPECT_FALSE(set.intersects(11, 20));
  EXPECT_FALSE(set.intersects(10, 10));
}

TEST(PositionSetTest, CountsHalfOpenRanges) {
  PositionSet set;
  for (const uint32_t position : {3u, 10u, 11u, 70'000u}) set.add(position);
  EXPECT_EQ(set.count(3, 11), 2u);
  EXPECT_EQ(set.count(4, 10), 0u);
  EXPECT_EQ(set.count(0, 70'001), 4u);
  EXPECT_EQ(set.count(11, 11), 0u);
}

TEST(PositionSetTest, CopiesAreIndependent) {
  PositionSet set;
  set.add(1);
  PositionSet copy = set;
  copy.add(2);
  EXPECT_FALSE(set.contains(2));
  set = copy;
  EXPECT_TRUE(set.contains(2));
}

TEST(PositionSetTest, RandomSetsRoundTrip) {
  std::mt19937 random(7);
  for (int round = 0; round < 20; ++round) {
    PositionSet set;
    std::set<uint32_t> expected;
    for (int i = 0; i < 500; ++i) {
      uint32_t position = random() % (1u << (1 + random() % 30));
      set.add(position);
      expected.insert(position);
    }
    auto decoded = PositionSet::decode(set.encode());
    ASSERT_TRUE(decoded);
    EXPECT_EQ(decoded->size(), expected.size());
    for (uint32_t position : expected) EXPECT_TRUE(decoded->contains(position));
  }
}

TEST(PositionSetTest, DamagedBytesAreCorruption) {
  PositionSet set;
  for (uint32_t i = 0; i < 100; ++i) set.add(i * 70'000);
  std::string bytes = set.encode();
  for (size_t length = 0; length < bytes.size(); ++length) {
    auto decoded = PositionSet::decode(std::string_view(bytes).substr(0, length));
    ASSERT_FALSE(decoded) << length;
    EXPECT_EQ(decoded.error().code, ErrorCode::kCorruption);
  }
}

}  // namespace
}  // namespace kalamdb
