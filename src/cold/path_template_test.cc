#include "cold/path_template.h"

#include <gtest/gtest.h>

#include <set>

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
  EXPECT_EQ(user_error("{namespace}/{tableName}"), "User table template: {userId} is required");
  EXPECT_EQ(user_error("{namespace}/{userId}/{tableName}"),
            "User table template: {tableName} must appear before {userId}");
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
  EXPECT_EQ(resolve_path("{shape}", names).error().code, ErrorCode::kInvalidInput);
  EXPECT_FALSE(resolve_path("{namespace", names));
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
