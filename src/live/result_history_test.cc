#include "live/result_history.h"

#include <gtest/gtest.h>

#include <map>
#include <random>

namespace kalamdb::live {
namespace {

RowPtr row(const std::string& text) { return std::make_shared<const std::string>(text); }

std::vector<std::string> since(const ResultHistory& history, Seq cursor) {
  std::vector<std::string> told;
  for (const auto& change : history.since(cursor)) {
    told.push_back(std::to_string(change.seq) + change.key + (change.gone != nullptr ? "-" + *change.gone : ""));
  }
  return told;
}

TEST(ResultHistoryTest, TellsTheLastChangeOfEachKeyAfterACursor) {
  ResultHistory history(1 << 20);
  history.restart(10);
  history.add("a", 11, nullptr);
  history.add("b", 11, row("was"));
  history.add("a", 12, nullptr);
  history.add("c", 13, nullptr);
  EXPECT_FALSE(history.reaches(9));
  EXPECT_TRUE(history.reaches(10));
  EXPECT_EQ(since(history, 10), (std::vector<std::string>{"11b-was", "12a", "13c"}));
  EXPECT_EQ(since(history, 11), (std::vector<std::string>{"12a", "13c"}));
  EXPECT_EQ(since(history, 13), std::vector<std::string>{});
  history.restart(14);
  EXPECT_FALSE(history.reaches(13));
  EXPECT_EQ(history.bytes(), 0);
  EXPECT_EQ(since(history, 14), std::vector<std::string>{});
}

TEST(ResultHistoryTest, ForgetsTheOldestPastItsBoundAndSaysSo) {
  constexpr size_t kBound = 10'000;
  ResultHistory history(kBound);
  history.restart(0);
  std::map<std::string, Seq> last;
  std::mt19937 random(1);
  for (Seq seq = 1; seq <= 2000; ++seq) {
    const std::string key = std::to_string(random() % 200);
    history.add(key, seq, random() % 2 ? row(std::string(random() % 50, 'x')) : nullptr);
    last[key] = seq;
    ASSERT_LE(history.bytes(), kBound);
  }
  EXPECT_FALSE(history.reaches(0));
  Seq first = 0;
  while (!history.reaches(first)) ++first;
  EXPECT_LT(first, 2000);
  size_t expected = 0;
  for (const auto& [key, seq] : last) expected += seq > first;
  EXPECT_EQ(history.since(first).size(), expected);
}

}  // namespace
}  // namespace kalamdb::live
