// The S3 store against a service that the environment names, and whose gateway fails when it is told to
// (test/e2e/kalam_testlib/s3.py). Run by test/e2e/test_s3_store.py.
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <fstream>
#include <thread>

#include "cold/s3_store.h"
#include "platform/temporary_directory.h"

namespace kalamdb::cold {
namespace {

std::string environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

std::string service_unavailable(int times) {
  std::string faults;
  for (int i = 0; i < times; ++i) faults += R"({"kind": "status", "status": 503, "code": "SlowDown"},)";
  faults.pop_back();
  return faults;
}

class S3StoreTest : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_NE(environment("KALAMDB_S3_ENDPOINT"), "") << "run by test/e2e/test_s3_store.py";
    store_ = open(options());
    seen();  // what tests before have left
  }

  // Names of a test of its own, and little time between attempts.
  static S3Options options() {
    return {.bucket = environment("KALAMDB_S3_BUCKET"),
            .prefix = std::string("kalam db/") + testing::UnitTest::GetInstance()->current_test_info()->name(),
            .endpoint = environment("KALAMDB_S3_ENDPOINT"),
            .credentials = {environment("KALAMDB_S3_ACCESS_KEY"), environment("KALAMDB_S3_SECRET_KEY"), ""},
            .http = {.allow_private_addresses = true},
            .backoff_ms = 1,
            .max_backoff_ms = 4,
            .request_timeout_ms = 20'000};
  }

  std::unique_ptr<S3Store> open(S3Options options) {
    auto store = S3Store::open(std::move(options), directory_ / "staging", files_, clock_, random_);
    EXPECT_TRUE(store) << store.error().message;
    return std::move(*store);
  }

  // What the gateway answers to a command.
  static std::string control(const std::string& command) {
    HttpClient http({.allow_private_addresses = true});
    const auto answer = http.send({.method = "POST",
                                   .url = environment("KALAMDB_S3_CONTROL"),
                                   .body = command,
                                   .max_answer_bytes = 1 << 20,
                                   .timeout_ms = 10'000});
    EXPECT_TRUE(answer && answer->status == 200);
    return answer ? answer->body : "";
  }
  static void fail(const std::string& faults) { control(R"({"fail": [)" + faults + "]}"); }
  static std::string seen() { return control("{}"); }
  static size_t count(const std::string& text, const std::string& part) {
    size_t found = 0;
    for (size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++found;
    return found;
  }

  Result<> put_file(S3Store& store, const std::string& name, const std::string& bytes) {
    const auto staged = store.staging_file(name);
    EXPECT_TRUE(staged);
    std::ofstream(*staged) << bytes;
    auto put = store.put_file(name, *staged);
    EXPECT_EQ(files_.exists(*staged), !put.has_value());
    return put;
  }

  // Bytes that tell their position.
  static std::string pattern(size_t length) {
    std::string bytes;
    while (bytes.size() < length) bytes += std::to_string(bytes.size()) + " ";
    bytes.resize(length);
    return bytes;
  }

  platform::TemporaryDirectory directory_;
  platform::RealFileSystem files_;
  platform::SystemClock clock_;
  platform::SystemRandom random_;
  std::unique_ptr<S3Store> store_;
};

TEST_F(S3StoreTest, KeepsObjects) {
  ASSERT_TRUE(store_->put("app/notes/manifest.json", "{}"));
  ASSERT_TRUE(store_->put("app/notes/manifest.json", "{1}"));
  ASSERT_TRUE(store_->put("app/empty", ""));
  EXPECT_EQ(store_->get("app/notes/manifest.json").value(), "{1}");
  EXPECT_EQ(store_->get("app/empty").value(), "");
  ASSERT_TRUE(put_file(*store_, "app/notes/ann/batch-0.parquet", "0123456789"));
  EXPECT_EQ(store_->get_range("app/notes/ann/batch-0.parquet", 3, 4).value(), "3456");
  EXPECT_EQ(store_->get_range("app/notes/ann/batch-0.parquet", 0, 10).value(), "0123456789");
  EXPECT_EQ(store_->get_range("app/notes/ann/batch-0.parquet", 10, 0).value(), "");
  EXPECT_EQ(store_->get_range("app/notes/ann/batch-0.parquet", 8, 3).error().code, ErrorCode::kIo);
  EXPECT_EQ(store_->get_range("app/notes/ann/batch-0.parquet", 20, 3).error().code, ErrorCode::kIo);
  EXPECT_EQ(store_->get_range("app/notes/ann/batch-0.parquet", UINT64_MAX, 3).error().code, ErrorCode::kIo);
  EXPECT_EQ(store_->size("app/notes/ann/batch-0.parquet").value(), 10u);
  EXPECT_EQ(store_->size("app/empty").value(), 0u);
  EXPECT_EQ(store_->local_path("app/empty"), std::nullopt);
  const std::vector<ObjectInfo> all = {
      {"app/empty", 0}, {"app/notes/ann/batch-0.parquet", 10}, {"app/notes/manifest.json", 3}};
  EXPECT_EQ(store_->list("").value(), all);
  EXPECT_EQ(store_->list("app").value(), all);
  EXPECT_EQ(store_->list("app/notes/ann").value(), std::vector(1, all[1]));
  EXPECT_TRUE(store_->list("app/not").value().empty()) << "a directory, not a prefix";
  ASSERT_TRUE(store_->remove("app/empty"));
  ASSERT_TRUE(store_->remove("app/empty")) << "what is gone stays gone";
  ASSERT_TRUE(store_->remove_directory("app/notes/ann"));
  EXPECT_EQ(store_->list("").value(), std::vector(1, all[2]));
}

TEST_F(S3StoreTest, WhatIsNotThere) {
  EXPECT_EQ(store_->get("a").error().code, ErrorCode::kNotFound);
  EXPECT_EQ(store_->get_range("a", 0, 1).error().code, ErrorCode::kNotFound);
  EXPECT_EQ(store_->get_range("a", 0, 0).error().code, ErrorCode::kNotFound);
  EXPECT_EQ(store_->size("a").value(), std::nullopt);
  EXPECT_TRUE(store_->list("a").value().empty());
  EXPECT_EQ(store_->get("../a").error().code, ErrorCode::kInvalidInput);
}

TEST_F(S3StoreTest, UnusualNames) {
  const std::vector<std::string> names = {"a b/c  d",    "a+b",          "100%",  "%41",       "é/日本/🙂",
                                          "q?x=1&y=2#z", "(x)*!'~@$,;",  "a:b=c", "\"q\"<&>'", "a\\b",
                                          "[x]{y}|z^`",  ".hidden",      "…",     "a%2Fb",     "ends ",
                                          " begins",     "plus+ and %20"};
  for (const auto& name : names) {
    ASSERT_TRUE(store_->put(name, name)) << store_->put(name, name).error().message;
    ASSERT_EQ(store_->get(name).value(), name);
    ASSERT_EQ(store_->size(name).value(), name.size());
  }
  std::vector<ObjectInfo> expected;
  for (const auto& name : names) expected.push_back({name, name.size()});
  std::ranges::sort(expected, {}, &ObjectInfo::name);
  EXPECT_EQ(store_->list("").value(), expected);
  EXPECT_EQ(store_->list("a b").value(), (std::vector<ObjectInfo>{{"a b/c  d", 8}}));
  for (const auto& name : names) ASSERT_TRUE(store_->remove(name)) << name;
  EXPECT_TRUE(store_->list("").value().empty());
}

TEST_F(S3StoreTest, TheBucketMayBeInTheHostName) {
  S3Options virtual_hosted = options();
  virtual_hosted.path_style = false;
  virtual_hosted.endpoint.replace(0, std::string("http://127.0.0.1").size(), "http://localhost");
  auto store = open(virtual_hosted);
  ASSERT_TRUE(store->put("a b/c", "x"));
  EXPECT_TRUE(seen().contains("[\"PUT /kalam%20db/TheBucketMayBeInTheHostName/a%20b/c\"]"));
  EXPECT_EQ(store_->get("a b/c").value(), "x");
  EXPECT_EQ(store->list("a b").value(), (std::vector<ObjectInfo>{{"a b/c", 1}}));
}

TEST_F(S3StoreTest, LargeFilesGoUpInParts) {
  S3Options in_parts = options();
  in_parts.part_bytes = 5 << 20;
  auto store = open(in_parts);
  const std::string bytes = pattern((11 << 20) + 7);
  ASSERT_TRUE(put_file(*store, "a b/large", bytes));
  const std::string requests = seen();
  EXPECT_EQ(count(requests, "partNumber="), 3u) << requests;
  EXPECT_EQ(store->size("a b/large").value(), bytes.size());
  EXPECT_TRUE(store->get("a b/large").value() == bytes);
  EXPECT_EQ(store->get_range("a b/large", (5 << 20) - 3, 9).value(), bytes.substr((5 << 20) - 3, 9));
}

TEST_F(S3StoreTest, AnUploadThatFailsIsAborted) {
  S3Options in_parts = options();
  in_parts.part_bytes = 5 << 20;
  auto store = open(in_parts);
  fail(R"({"kind": "pass"}, {"kind": "pass"}, {"kind": "status", "status": 403, "code": "AccessDenied"})");
  const auto put = put_file(*store, "large", pattern(6 << 20));
  EXPECT_EQ(put.error().code, ErrorCode::kUnavailable);
  EXPECT_TRUE(control("{}").contains(R"("uploads": [])"));
  EXPECT_EQ(store->size("large").value(), std::nullopt);
}

TEST_F(S3StoreTest, AnUploadSurvivesFaultsOfEachStep) {
  S3Options in_parts = options();
  in_parts.part_bytes = 5 << 20;
  auto store = open(in_parts);
  const std::string bytes = pattern(6 << 20);
  const std::string pass = R"({"kind": "pass"},)";
  for (const std::string fault : {R"({"kind": "refuse"})", R"({"kind": "lost_answer"})",
                                  R"({"kind": "status", "status": 500, "code": "InternalError"})"}) {
    std::string before;
    for (int step = 0; step < 4; ++step, before += pass) {
      const std::string name = "large" + std::to_string(step);
      fail(before + fault);
      const auto put = put_file(*store, name, bytes);
      ASSERT_TRUE(put) << step << fault << put.error().message;
      ASSERT_TRUE(store->get(name).value() == bytes);
      ASSERT_TRUE(store->remove(name));
    }
  }
}

TEST_F(S3StoreTest, AnErrorMayComeAsASuccess) {
  S3Options in_parts = options();
  in_parts.part_bytes = 5 << 20;
  auto store = open(in_parts);
  const std::string pass = R"({"kind": "pass"},{"kind": "pass"},{"kind": "pass"},)";
  fail(pass + R"({"kind": "ok_error", "code": "InternalError"})");
  ASSERT_TRUE(put_file(*store, "a", pattern(6 << 20)));
  fail(pass + R"({"kind": "ok_error", "code": "InvalidPart"})");
  EXPECT_EQ(put_file(*store, "b", pattern(6 << 20)).error().message,
            "Cannot write s3://kalamdb/" + in_parts.prefix + "/b: InvalidPart: Injected");
}

TEST_F(S3StoreTest, PutsInPlaceOfWhatWasSeen) {
  EXPECT_EQ(store_->version("m").value(), std::nullopt);
  EXPECT_EQ(store_->put_if("m", "1", "\"never there\"").error().code, ErrorCode::kConflict);
  const auto first = store_->put_if("m", "1", std::nullopt);
  ASSERT_TRUE(first) << first.error().message;
  EXPECT_EQ(store_->version("m").value(), *first);
  EXPECT_EQ(store_->put_if("m", "x", std::nullopt).error().message,
            "Cannot write s3://kalamdb/" + options().prefix + "/m: it was changed meanwhile, by another server");
  fail(R"({"kind": "lost_answer"})");
  const auto second = store_->put_if("m", "2", *first);
  ASSERT_TRUE(second) << "an attempt that was lost is no other server: " << second.error().message;
  EXPECT_EQ(store_->version("m").value(), *second);
  EXPECT_EQ(store_->put_if("m", "x", *first).error().code, ErrorCode::kConflict);
  EXPECT_EQ(store_->get("m").value(), "2");
}

TEST_F(S3StoreTest, OfManyWhoPutAtOnceOneSucceeds) {
  const auto before = store_->put_if("m", "0", std::nullopt);
  ASSERT_TRUE(before);
  std::atomic<int> done = 0;
  std::vector<std::thread> threads;
  for (int t = 1; t <= 4; ++t) {
    threads.emplace_back([&, t] { done += store_->put_if("m", std::to_string(t), *before) ? 1 : 0; });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(done, 1);
}

TEST_F(S3StoreTest, ListsMoreThanAPage) {
  constexpr int kObjects = 1100;
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (int i = t; i < kObjects; i += 4) EXPECT_TRUE(store_->put("d/" + std::to_string(100'000 + i), "x"));
    });
  }
  for (auto& thread : threads) thread.join();
  ASSERT_TRUE(store_->put("e", "other"));
  seen();
  const auto list = store_->list("d");
  ASSERT_TRUE(list) << list.error().message << seen();
  const auto& listed = *list;
  EXPECT_EQ(count(seen(), "continuation-token="), 1u);
  ASSERT_EQ(listed.size(), static_cast<size_t>(kObjects));
  for (int i = 0; i < kObjects; ++i) EXPECT_EQ(listed[i].name, "d/" + std::to_string(100'000 + i));
}

TEST_F(S3StoreTest, WrongCredentialsAreNamedAsTheReason) {
  S3Options wrong = options();
  wrong.credentials.secret_key = "not-the-secret";
  auto put = open(wrong)->put("a", "x");
  EXPECT_EQ(put.error().code, ErrorCode::kUnavailable);
  EXPECT_TRUE(
      put.error().message.starts_with("Cannot write s3://kalamdb/" + wrong.prefix + "/a: SignatureDoesNotMatch: "))
      << put.error().message;
  EXPECT_TRUE(put.error().message.ends_with("; check the storage's credentials, region and the server's clock"));
  EXPECT_FALSE(put.error().message.contains("not-the-secret"));
  wrong.credentials = {"NOBODY", "x", "a-token"};
  EXPECT_EQ(open(wrong)->get("a").error().code, ErrorCode::kUnavailable);
  EXPECT_EQ(open(wrong)->size("a").error().code, ErrorCode::kUnavailable) << "not: there is none";
  wrong.credentials = options().credentials;
  wrong.credentials.session_token = "a-token";
  EXPECT_TRUE(open(wrong)->list("").error().message.contains("InvalidToken"));
  wrong = options();
  wrong.region = "eu-west-1";
  EXPECT_TRUE(open(wrong)->list("").error().message.contains("expecting 'us-east-1'"));
  EXPECT_EQ(count(seen(), "kalamdb"), 5u) << "what will not pass is not tried again";
}

TEST_F(S3StoreTest, SecretsThatTheServiceRepeatsAreNotShown) {
  S3Options with_token = options();
  with_token.credentials.session_token = "the-session-token";
  fail(R"({"kind": "status", "status": 403, "code": "AccessDenied", "message": "the-session-token is old"})");
  const auto got = open(with_token)->get("a");
  EXPECT_TRUE(got.error().message.contains("AccessDenied: … is old")) << got.error().message;
}

TEST_F(S3StoreTest, AMissingBucketIsNoMissingObject) {
  S3Options elsewhere = options();
  elsewhere.bucket = "no-such-bucket";
  auto store = open(elsewhere);
  EXPECT_EQ(store->get("a").error().message, "Cannot read s3://no-such-bucket/" + elsewhere.prefix +
                                                 "/a: NoSuchBucket: The specified bucket does not exist");
  EXPECT_EQ(store->size("a").error().code, ErrorCode::kUnavailable);
  EXPECT_EQ(store->list("a").error().code, ErrorCode::kUnavailable);
  EXPECT_EQ(store->put("a", "x").error().code, ErrorCode::kUnavailable);
  EXPECT_EQ(store->remove("a").error().code, ErrorCode::kUnavailable);
}

TEST_F(S3StoreTest, WhatPassesIsTriedAgain) {
  ASSERT_TRUE(store_->put("a", "0123456789"));
  for (const std::string& faults :
       {service_unavailable(4), std::string(R"({"kind": "refuse"}, {"kind": "status", "status": 500, "code": "x"})"),
        std::string(R"({"kind": "cut", "after": 4})")}) {
    fail(faults);
    const auto got = store_->get("a");
    ASSERT_TRUE(got) << faults << got.error().message;
    EXPECT_EQ(*got, "0123456789");
  }
  fail(R"({"kind": "lost_answer"})");
  EXPECT_TRUE(store_->put("b", "x"));
  fail(R"({"kind": "lost_answer"})");
  EXPECT_TRUE(store_->remove("b"));
}

TEST_F(S3StoreTest, AnAnswerThatDoesNotComeIsNotAwaited) {
  ASSERT_TRUE(store_->put("a", "0123456789"));
  S3Options impatient = options();
  impatient.http.stall_timeout_ms = 1000;
  fail(R"({"kind": "hang"})");
  EXPECT_EQ(open(impatient)->get("a").value(), "0123456789") << "the second attempt's";
  // A request ends in time with all its attempts, too.
  impatient = options();
  impatient.request_timeout_ms = 2000;
  seen();
  fail(R"({"kind": "hang"})");
  EXPECT_EQ(open(impatient)->get("a").error().code, ErrorCode::kUnavailable);
  EXPECT_EQ(count(seen(), "GET"), 1u);
}

TEST_F(S3StoreTest, WhatDoesNotPassEnds) {
  fail(service_unavailable(5));
  const auto got = store_->get("a");
  EXPECT_EQ(got.error().code, ErrorCode::kUnavailable);
  EXPECT_EQ(got.error().message,
            "Cannot read s3://kalamdb/" + options().prefix + "/a: SlowDown: Injected (after 5 attempts)");
  EXPECT_EQ(count(seen(), "GET"), 5u);
}

TEST_F(S3StoreTest, AServiceThatComesBackIsUsedAgain) {
  ASSERT_TRUE(store_->put("a", "x"));
  control(R"({"away": true})");
  EXPECT_EQ(store_->get("a").error().code, ErrorCode::kUnavailable);
  EXPECT_EQ(store_->put("a", "y").error().code, ErrorCode::kUnavailable);
  control(R"({"away": false})");
  EXPECT_EQ(store_->get("a").value(), "x");
}

TEST_F(S3StoreTest, AnswersAreBounded) {
  ASSERT_TRUE(store_->put("a", "0123456789"));
  fail(R"({"kind": "flood"})");
  const auto flooded = store_->get_range("a", 0, 10);
  EXPECT_TRUE(flooded.error().message.ends_with("the answer has more than 1048576 bytes")) << flooded.error().message;
  fail(R"({"kind": "flood"})");
  EXPECT_FALSE(store_->get("a"));
}

TEST_F(S3StoreTest, RedirectsAreNotFollowed) {
  fail(R"({"kind": "redirect", "location": ")" + environment("KALAMDB_S3_CONTROL") + R"("})");
  const auto got = store_->get("a");
  EXPECT_EQ(got.error().code, ErrorCode::kUnavailable);
  EXPECT_TRUE(got.error().message.contains("HTTP status 307")) << got.error().message;
}

TEST_F(S3StoreTest, PrivateAddressesNeedLeave) {
  S3Options strict = options();
  strict.http.allow_private_addresses = false;
  for (const std::string host : {"127.0.0.1", "localhost", "[::1]", "2130706433", "0x7f.1", "169.254.169.254"}) {
    strict.endpoint =
        "http://" + host + environment("KALAMDB_S3_ENDPOINT").substr(std::string("http://127.0.0.1").size());
    const auto got = open(strict)->get("a");
    EXPECT_EQ(got.error().code, ErrorCode::kUnavailable);
    EXPECT_TRUE(got.error().message.contains("storage.allow_private_endpoints")) << got.error().message;
  }
  EXPECT_TRUE(seen().contains(R"("seen": [])"));
}

TEST_F(S3StoreTest, ConnectionsAreUsedAgainByManyThreads) {
  const std::string bytes = pattern(100'000);
  ASSERT_TRUE(store_->put("a", bytes));
  std::vector<std::thread> threads;
  for (size_t t = 0; t < 8; ++t) {
    threads.emplace_back([&, t] {
      for (size_t i = 0; i < 20; ++i) {
        const size_t offset = (t * 20 + i) * 500;
        const auto got = store_->get_range("a", offset, 1000);
        EXPECT_TRUE(got && *got == bytes.substr(offset, 1000));
      }
    });
  }
  for (auto& thread : threads) thread.join();
}

}  // namespace
}  // namespace kalamdb::cold
