#include "cold/bloom.h"

#include <gtest/gtest.h>

#include <random>
#include <vector>

namespace kalamdb::cold {
namespace {

std::vector<std::string> keys(size_t count, uint64_t from) {
  std::vector<std::string> out;
  for (size_t i = 0; i < count; ++i) out.push_back("key " + std::to_string(from + i));
  return out;
}

TEST(BloomFilter, HasEveryKeyAndFewOthers) {
  for (const size_t count : {size_t{0}, size_t{1}, size_t{100}, size_t{50'000}}) {
    const auto filter = BloomFilter::build(keys(count, 0));
    for (const auto& key : keys(count, 0)) ASSERT_TRUE(filter.may_contain(key));
    size_t false_positives = 0;
    for (const auto& key : keys(20'000, 1'000'000)) false_positives += filter.may_contain(key) ? 1 : 0;
    EXPECT_LT(false_positives, 20'000 * 2 / 100) << count << " keys";
    EXPECT_LT(filter.record().size(), 100 + count * 11 / 8);
  }
}

TEST(BloomFilter, IsReadAsItWasWrittenOrIsAnError) {
  const auto filter = BloomFilter::build(keys(1000, 0));
  const auto decoded = BloomFilter::decode(filter.record());
  ASSERT_TRUE(decoded);
  EXPECT_TRUE(decoded->may_contain("key 999"));
  std::mt19937 random(5);
  for (int i = 0; i < 300; ++i) {
    std::string damaged = filter.record();
    const size_t at = random() % damaged.size();
    if (i % 2 == 0) {
      damaged[at] = static_cast<char>(damaged[at] ^ 1 << random() % 8);
    } else {
      damaged.resize(at);
    }
    const auto result = BloomFilter::decode(std::move(damaged));
    ASSERT_FALSE(result);
    ASSERT_EQ(result.error().code, ErrorCode::kCorruption);
  }
}

}  // namespace
}  // namespace kalamdb::cold
