#include "hot/keys.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <tuple>
#include <vector>

namespace kalamdb::hot {
namespace {

std::string random_bytes(std::mt19937& random, size_t max_length) {
  // Few values, so that prefixes, zeros and 0xFF are frequent.
  static constexpr char kBytes[] = {'\0', '\x01', 'a', '\xFE', '\xFF'};
  std::string out(random() % (max_length + 1), ' ');
  for (char& c : out) c = kBytes[random() % sizeof kBytes];
  return out;
}

TEST(Keys, SortAsTableUserAndKeyDo) {
  std::mt19937 random(7);
  std::vector<std::pair<std::tuple<uint32_t, std::string, std::string>, std::string>> all;
  for (int i = 0; i < 600; ++i) {
    const uint32_t table = random() % 3 == 0 ? 0x01FF : 1 + random() % 300;
    std::string user = random_bytes(random, 4);
    std::string key = random_bytes(random, 4);
    std::string stored = row_key(TableId(table), UserId(user), key);
    all.push_back({{table, std::move(user), std::move(key)}, std::move(stored)});
  }
  for (const auto& a : all) {
    for (const auto& b : all) ASSERT_EQ(a.first < b.first, a.second < b.second);
  }
}

TEST(Keys, RowKeysAreTheTablesPrefixAndTheUserKey) {
  const UserId user(std::string("a\0b", 3));
  EXPECT_EQ(row_key(TableId(3), user, "key"), table_prefix(TableId(3)) + user_key(user, "key"));
}

TEST(Keys, ScopePrefixesAreReadBack) {
  std::mt19937 random(8);
  for (int i = 0; i < 500; ++i) {
    const UserId user(random_bytes(random, 6));
    const std::string prefix = scope_prefix(TableId(9), user);
    const std::string key = row_key(TableId(9), user, random_bytes(random, 6));
    ASSERT_EQ(scope_prefix_length(key), prefix.size());
    ASSERT_EQ(scope_user(key), user);
  }
  EXPECT_EQ(scope_prefix_length(""), 0u);
  EXPECT_EQ(scope_prefix_length(shard_prefix(TableId(3), 7) + std::string(8, '\0')), 0u);
  EXPECT_EQ(scope_prefix_length(table_prefix(TableId(3))), 0u);
  EXPECT_EQ(scope_prefix_length(table_prefix(TableId(3)) + "ann"), 0u);
  EXPECT_EQ(scope_user(table_prefix(TableId(3)) + std::string("a\0", 2)), std::nullopt);
}

TEST(Keys, PrefixEndBoundsExactlyThePrefix) {
  EXPECT_EQ(prefix_end("ab"), "ac");
  EXPECT_EQ(prefix_end("a\xFF\xFF"), "b");
  EXPECT_EQ(prefix_end("\xFF\xFF"), "");
  EXPECT_EQ(prefix_end(""), "");
  const std::string end = prefix_end(scope_prefix(TableId(1), UserId("ann")));
  EXPECT_LT(row_key(TableId(1), UserId("ann"), "\xFF\xFF\xFF"), end);
  EXPECT_GE(row_key(TableId(1), UserId("anna"), ""), end);
  EXPECT_GE(row_key(TableId(1), UserId(std::string("ann\0", 4)), ""), end);
}

TEST(Keys, ChangesSortBySeq) {
  EXPECT_LT(change_key(TableId(1), UserId("u"), 255), change_key(TableId(1), UserId("u"), 256));
  EXPECT_LT(change_key(TableId(1), UserId("u"), 256), change_key(TableId(1), UserId("u"), int64_t{1} << 60));
  EXPECT_EQ(successor("a"), std::string("a\0", 2));
}

}  // namespace
}  // namespace kalamdb::hot
