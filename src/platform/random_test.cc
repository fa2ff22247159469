#include "platform/random.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <vector>

namespace kalamdb::platform {
namespace {

TEST(RandomTest, SystemRandomFillsEveryByte) {
  SystemRandom random;
  std::vector<uint8_t> bytes(1'000'000);
  random.fill(bytes);
  size_t zeros = static_cast<size_t>(std::ranges::count(bytes, 0));
  EXPECT_GT(zeros, 3'000u);  // 3,906 expected
  EXPECT_LT(zeros, 5'000u);
  std::set<uint64_t> words;
  for (int i = 0; i < 1'000; ++i) words.insert(random_u64(random));
  EXPECT_EQ(words.size(), 1'000u);
}

TEST(RandomTest, SeededRandomRepeatsItself) {
  SeededRandom a(7);
  SeededRandom b(7);
  SeededRandom other(8);
  std::string hex = random_hex(a, 20);
  EXPECT_EQ(hex, random_hex(b, 20));
  EXPECT_NE(hex, random_hex(other, 20));
  EXPECT_NE(hex, random_hex(a, 20));
}

TEST(RandomTest, HexHasTwoDigitsAByte) {
  SeededRandom random(1);
  EXPECT_EQ(random_hex(random, 0), "");
  std::string hex = random_hex(random, 33);
  EXPECT_EQ(hex.size(), 66u);
  EXPECT_EQ(hex.find_first_not_of("0123456789abcdef"), std::string::npos);
}

}  // namespace
}  // namespace kalamdb::platform
