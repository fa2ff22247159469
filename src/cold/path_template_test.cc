#include "cold/path_template.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <vector>

namespace kalamdb::cold {
namespace {

std::string shared_error(std::string_view text) {
  const auto valid = validate_shared_template(text);
  return valid ? "" : valid.error().message;
}
std::string user_error(std::string_view text) {
  const auto valid = validate_user_template(text);
  return valid ? "" : valid.error().message;
}

TEST(PathTemplate, RulesOfSharedTemplates) {
  EXPECT_EQ(shared_error(kDefaultSharedTemplate), "");
  EXPECT_EQ(shared_error("data/{namespace}-{tableName}/v1.0"), "");
  EXPECT_EQ(shared_error("{tableName}/{namespace}"),
            "Shared table template: {namespace} must appear before {tableName}");
  EXPECT_EQ(shared_error("{tableName}"), "Shared table template: {namespace} is required");
  EXPECT_EQ(shared_error("{namespace}"), "Shared table template: {tableName} is required");
  EXPECT_EQ(shared_error("x"), "Shared table template: Both {namespace} and {tableName} are required");
  EXPECT_NE(shared_error("{namespace}/{tableName}/{userId}"), "");
}

TEST(PathTemplate, RulesOfUserTemplates) {
  EXPECT_EQ(user_error(kDefaultUserTemplate), "");
  EXPECT_EQ(user_error("{namespace}/{tableName}"),
            "User table template: {userId} is required, or {shard} where users share segments");
  EXPECT_EQ(user_error("{namespace}/{userId}/{tableName}"),
            "User table template: {tableName} must appear before {userId}");
}

TEST(PathTemplate, ShardsComeBetweenTableAndUser) {
  EXPECT_EQ(user_error("{namespace}/{tableName}/{shard}/{userId}"), "");
  EXPECT_EQ(user_error("{namespace}/{shard}/{tableName}/{userId}"),
            "User table template: {tableName} must appear before {shard}");
  EXPECT_EQ(user_error("{namespace}/{tableName}/{userId}/{shard}"),
            "User table template: {shard} must appear before {userId}");
  EXPECT_EQ(user_error("{namespace}/{tableName}/{shard}"), "");
  EXPECT_EQ(user_error("{userId}"), "User table template: the first part of the path may not have {userId} or {shard}");
  EXPECT_EQ(shared_error("{namespace}/{tableName}/{shard}"), "");
  EXPECT_NE(shared_error("{namespace}/{tableName}/{shard_id}"), "") << "a legacy spelling";
}

TEST(PathTemplate, IsSplitBehindTheTable) {
  const auto parts = [](std::string_view text) {
    const SplitTemplate split = split_at_table(text);
    return split.table + " | " + split.rest;
  };
  EXPECT_EQ(parts(kDefaultSharedTemplate), "{namespace}/{tableName} | ");
  EXPECT_EQ(parts(kDefaultUserTemplate), "{namespace}/{tableName} | {userId}");
  EXPECT_EQ(parts("d/{namespace}-{tableName}/v1/{shard}/{userId}/x"),
            "d/{namespace}-{tableName} | v1/{shard}/{userId}/x");
  EXPECT_EQ(parts("{namespace}/{table_name}/{user-id}"), "{namespace}/{table_name} | {user-id}");
  EXPECT_EQ(parts("{namespace}/{tableName}-{userId}"), "{namespace} | {tableName}-{userId}");
  EXPECT_EQ(parts("{namespace}/{userId}/x"), "{namespace} | {userId}/x");
  EXPECT_EQ(parts("{userId}"), " | {userId}");
  EXPECT_EQ(parts("a/b"), "a/b | ");
}

TEST(PathTemplate, NothingLeadsOut) {
  for (const char* text : {"/{namespace}/{tableName}", "../{namespace}/{tableName}", "{namespace}/../{tableName}",
                           "{namespace}//{tableName}", "{namespace}/{tableName}/", "{namespace}/{tableName}/.hidden",
                           "{namespace}/{tableName}/{other}", "{namespace}/{tableName}/a b",
                           "{namespace}/{tableName}/{", "{namespace}/{tableName}/}", "{namespace}\\{tableName}"}) {
    EXPECT_NE(shared_error(text), "") << text;
  }
}

TEST(PathTemplate, PlaceholdersAreFilledIn) {
  const PathNames names{.namespace_id = "app", .table_name = "notes", .user = UserId("ann")};
  EXPECT_EQ(*resolve_path("{namespace}/{tableName}/{userId}", names), "app/notes/ann");
  EXPECT_EQ(*resolve_path("d/{namespace_id}/{table_name}/{user-id}/x", names), "d/app/notes/ann/x");
  EXPECT_EQ(*resolve_path("{tableName}/{shard}/{userId}", names), "notes/0/ann");
  EXPECT_EQ(*resolve_path("{tableName}/s{shard-id}/{shard_id}", names), "notes/s0/0");
  const PathNames shared{.namespace_id = "app", .table_name = "rooms"};
  EXPECT_EQ(*resolve_path("{shard}/{tableName}/{shard}/x/s{shard}/{shard}", shared), "rooms/x/s");
  EXPECT_EQ(resolve_path("{shape}", names).error().code, ErrorCode::kInvalidInput);
  EXPECT_FALSE(resolve_path("{namespace", names));
}

// Files lie there: these may never change.
TEST(UserShard, IsTheSameForAllTime) {
  EXPECT_EQ(user_shard(UserId("ann"), 8), 0u);
  EXPECT_EQ(user_shard(UserId("bob"), 8), 5u);
  EXPECT_EQ(user_shard(UserId("usr_01"), 8), 5u);
  EXPECT_EQ(user_shard(UserId("ann"), 1000), 888u);
  EXPECT_EQ(user_shard(UserId("ann"), 1), 0u);
}

TEST(UserShard, SpreadsUsers) {
  std::vector<int> users(16);
  for (int i = 0; i < 16'000; ++i) ++users[user_shard(UserId("user-" + std::to_string(i)), 16)];
  EXPECT_GT(std::ranges::min(users), 850);
  EXPECT_LT(std::ranges::max(users), 1150);
}

TEST(PathComponent, DiffersForEveryUserAndStaysInItsDirectory) {
  const std::string text(300, 'x');
  std::set<std::string> seen;
  const std::vector<std::string> users = {
      "ann", "Ann",      "an.n",     ".", "..", ".ann", "a/b", "a%2Fb", "a\\b", "a b", "é", "~", std::string("a\0b", 3),
      text,  text + "1", text + "2", "%", "%25"};
  for (const auto& user : users) {
    const std::string component = path_component(UserId(user));
    EXPECT_TRUE(seen.insert(component).second) << user;
    EXPECT_NE(component.front(), '.') << user;
    EXPECT_EQ(component.find_first_of(std::string("/\\\0", 3)), std::string::npos) << user;
    EXPECT_LE(component.size(), 200u);
  }
  EXPECT_EQ(path_component(UserId("ann@example.com")), "ann@example.com");
}

}  // namespace
}  // namespace kalamdb::cold
