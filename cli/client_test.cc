#include <gtest/gtest.h>

#include "cli/completion.h"
#include "cli/gzip.h"
#include "cli/live_printer.h"
#include "cli/output.h"

namespace kalamdb::cli {
namespace {

using Texts = std::vector<std::string>;

TEST(Completion, KeywordsFollowTheCaseTyped) {
  const Texts words = {"SELECT", "SET", "selfies", "app.notes"};
  EXPECT_EQ(complete_word("se", words), (Texts{"select", "selfies", "set"}));
  EXPECT_EQ(complete_word("SE", words), (Texts{"SELECT", "SET"}));
  EXPECT_EQ(complete_word("app.", words), Texts{"app.notes"});
  EXPECT_EQ(common_prefix({"select", "selfies"}), "sel");
}

TEST(Subscriptions, OptionsAreTakenOffTheQuery) {
  const auto plain = parse_subscription("SELECT * FROM a.b");
  EXPECT_EQ(plain->sql, "SELECT * FROM a.b");
  EXPECT_EQ(plain->options, "{}");
  const auto with = parse_subscription("SELECT *\nFROM a.b options (LAST_ROWS = 5, batch_size=2)");
  EXPECT_EQ(with->sql, "SELECT *\nFROM a.b");
  EXPECT_EQ(with->options, R"({"last_rows":5,"batch_size":2})");
  EXPECT_FALSE(parse_subscription("SELECT * FROM a.b OPTIONS (speed=1)").has_value());
}

TEST(Gzip, UnpacksAndRefuses) {
  const std::string packed(
      "\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03\x4b\x4c\x4a\x06\x00\xc2\x41\x24\x35\x03\x00\x00\x00", 23);
  EXPECT_EQ(gunzip(packed, 1000), "abc");
  EXPECT_FALSE(gunzip(packed.substr(0, 12), 1000).has_value());
  EXPECT_FALSE(gunzip("not gzip at all", 1000).has_value());
}

TEST(LivePrinter, GoesOnAfterTheLastRowSeen) {
  const Subscription subscription{.sql = "SELECT * FROM a.b", .options = R"({"last_rows":3,"batch_size":7})"};
  const LiveOptions options{.format = Format::kJson, .max_changes = 2};
  LivePrinter printer(subscription, options, "s1");
  EXPECT_EQ(printer.handle(R"({"type":"auth_success"})"), LiveAction::kSubscribe);
  EXPECT_NE(printer.subscribe_message().find(R"("options":{"last_rows":3,"batch_size":7})"), std::string::npos);
  EXPECT_EQ(printer.handle(R"({"type":"initial_data_batch","subscription_id":"s1","rows":[{"_seq":"5"}],)"
                           R"("batch_control":{"batch_num":0,"has_more":true,"status":"loading","last_seq_id":5}})"),
            LiveAction::kNextBatch);
  EXPECT_NE(printer.next_batch_message().find(R"("last_seq_id":5)"), std::string::npos);
  const std::string insert = R"({"type":"change","subscription_id":"s1","change_type":"insert","rows":[{"_seq":"9"}]})";
  EXPECT_EQ(printer.handle(insert), LiveAction::kNone);
  printer.resume();
  EXPECT_NE(printer.subscribe_message().find(R"("options":{"from":9,"batch_size":7})"), std::string::npos);
  EXPECT_EQ(printer.handle(insert), LiveAction::kNone) << "a repetition does not count";
  EXPECT_EQ(
      printer.handle(R"({"type":"change","subscription_id":"s1","change_type":"delete","old_values":[{"_seq":"10"}]})"),
      LiveAction::kDone);
}

TEST(Output, ShowsRowsMessagesAndErrors) {
  const HttpResponse rows{200,
                          R"({"status":"success","took":1.5,"results":[{"schema":[{"name":"a","data_type":"BigInt"},)"
                          R"({"name":"t","data_type":"Timestamp"}],"rows":[["1",1000000],[null,-1]],"row_count":2},)"
                          R"({"row_count":3,"message":"Inserted 3 rows","as_user":"bob"}]})"};
  const Rendered table = render_response(rows, {.user = "alice"});
  EXPECT_TRUE(table.ok);
  EXPECT_NE(table.out.find("│    1 │ 1970-01-01T00:00:01Z        │"), std::string::npos) << table.out;
  EXPECT_NE(table.out.find("(2 rows)\n"), std::string::npos);
  EXPECT_NE(table.out.find("Inserted 3 rows\nQuery OK, 3 rows affected\n\n[As: bob]\nTook: 1.500 ms\n"),
            std::string::npos);
  EXPECT_EQ(render_response(rows, {.format = Format::kCsv}).out,
            "a,t\n1,1970-01-01T00:00:01Z\n,1969-12-31T23:59:59.999999Z\n");
  const HttpResponse error{400, R"({"status":"error","results":[],"error":{"code":"INVALID_SQL","message":"no"}})"};
  EXPECT_FALSE(render_response(error, {}).ok);
  EXPECT_EQ(render_response(error, {}).error, "ERROR INVALID_SQL: no\n");
  EXPECT_EQ(describe_failure({401, R"({"error":"unauthorized","message":"Invalid credentials"})"}),
            "Server error (401): Invalid credentials\n");
}

}  // namespace
}  // namespace kalamdb::cli
