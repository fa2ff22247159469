#include "cold/s3_client.h"

#include <gtest/gtest.h>

#include <functional>

namespace kalamdb::cold {
namespace {

// What a service has to say is in test/s3_test.cc.
class S3ClientTest : public testing::Test {
 protected:
  std::string error(const std::function<void(S3Options&)>& change) {
    S3Options options{.bucket = "bucket", .credentials = {"access", "secret", ""}};
    change(options);
    const auto client = S3Client::create(std::move(options), clock_, random_);
    if (client) return "";
    EXPECT_EQ(client.error().code, ErrorCode::kInvalidInput);
    return client.error().message;
  }

  platform::ManualClock clock_{0};
  platform::SeededRandom random_{1};
};

TEST_F(S3ClientTest, OptionsThatCanNotBe) {
  EXPECT_EQ(error([](S3Options&) {}), "");
  EXPECT_EQ(error([](S3Options& o) { o.prefix = "a/b"; }), "");
  for (const char* bucket : {"", "ab", "a/b", "a..b", ".ab", "bucket@evil.com", "bucket?x", "b\r\nx", "a b c"}) {
    EXPECT_NE(error([&](S3Options& o) { o.bucket = bucket; }), "") << bucket;
  }
  for (const char* region : {"", "eu/west", "evil.com#", "a b"}) {
    EXPECT_NE(error([&](S3Options& o) { o.region = region; }), "") << region;
  }
  for (const char* prefix : {"/a", "a/", "../a", "a//b"}) {
    EXPECT_NE(error([&](S3Options& o) { o.prefix = prefix; }), "") << prefix;
  }
  EXPECT_NE(error([](S3Options& o) { o.endpoint = "file:///etc/passwd"; }), "");
  EXPECT_NE(error([](S3Options& o) { o.credentials.secret_key = ""; }), "");
  EXPECT_NE(error([](S3Options& o) { o.credentials.access_key = "a\r\nx-evil: 1"; }), "");
  const std::string message = error([](S3Options& o) { o.credentials = {"access", "secret", "the\ntoken"}; });
  EXPECT_NE(message, "");
  EXPECT_FALSE(message.contains("the\ntoken")) << message;
}

}  // namespace
}  // namespace kalamdb::cold
