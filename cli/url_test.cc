#include "cli/url.h"

#include <gtest/gtest.h>

namespace kalamdb::cli {
namespace {

std::string chosen(UrlOptions options, std::optional<std::string> stored = std::nullopt) {
  const auto url = choose_url(options, stored);
  return url ? url->text() : "error: " + url.error().message;
}

TEST(Url, ReadsWhatPeopleWrite) {
  EXPECT_EQ(parse_url("http://localhost:8080")->text(), "http://localhost:8080");
  EXPECT_EQ(parse_url("https://db.example")->text(), "https://db.example:443");
  EXPECT_EQ(parse_url("localhost:9000")->text(), "http://localhost:9000");
  EXPECT_EQ(parse_url("127.0.0.1:9000/")->text(), "http://127.0.0.1:9000");
  EXPECT_EQ(parse_url("db.example:9000")->text(), "https://db.example:9000");
  EXPECT_EQ(parse_url("http://[::1]:8080")->text(), "http://[::1]:8080");
  EXPECT_EQ(parse_url("http://[::1]:8080")->host, "::1");
  EXPECT_TRUE(parse_url("[::1]")->is_local());
}

TEST(Url, RefusesTheRest) {
  for (const char* text : {"", "ftp://x", "http://", "http://x:0", "http://x:70000", "http://x:y", "http://x/path",
                           "http://user@x", "[::1", "[::1]x"}) {
    EXPECT_FALSE(parse_url(text).has_value()) << text;
  }
}

TEST(Url, IsChosenInOrder) {
  EXPECT_EQ(chosen({}), "http://localhost:8080");
  EXPECT_EQ(chosen({}, "http://stored:1"), "http://stored:1");
  EXPECT_EQ(chosen({.host = "db"}, "http://stored:1"), "http://db:3000");
  EXPECT_EQ(chosen({.host = "db", .port = 9}), "http://db:9");
  EXPECT_EQ(chosen({.port = 9}), "http://localhost:9");
  EXPECT_EQ(chosen({.host = "::1"}), "http://[::1]:3000");
  EXPECT_EQ(chosen({.url = "http://u:2", .host = "db"}), "http://u:2");
}

}  // namespace
}  // namespace kalamdb::cli
