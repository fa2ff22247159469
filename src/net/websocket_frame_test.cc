// The frame format alone.
#include "net/websocket_frame.h"

#include <gtest/gtest.h>

#include <random>
#include <string>
#include <vector>

#include "net/test_client.h"

namespace kalamdb::net {
namespace {

// Writes down what the reader finds.
class Recorder final : public FrameSink {
 public:
  std::vector<std::string> events;

  void on_frame_message(std::string payload, bool binary) override {
    events.push_back((binary ? "binary:" : "text:") + payload);
  }
  void on_frame_oversized(size_t bytes) override { events.push_back("oversized:" + std::to_string(bytes)); }
  void on_frame_control(Opcode opcode, std::string_view payload) override {
    events.push_back(std::to_string(static_cast<int>(opcode)) + ":" + std::string(payload));
  }
};

struct Outcome {
  std::vector<std::string> events;
  uint16_t error = 0;
};

// Feeds the bytes in portions of that size.
Outcome read(std::string bytes, size_t portion, size_t max_message_bytes = 1000) {
  FrameReader reader(max_message_bytes);
  Recorder recorder;
  for (size_t i = 0; i < bytes.size(); i += portion) {
    if (auto error = reader.feed(bytes.data() + i, std::min(portion, bytes.size() - i), recorder)) {
      return {recorder.events, error->code};
    }
  }
  return {recorder.events, 0};
}

TEST(FrameReader, ReadsMessagesInAnyPortions) {
  std::string bytes = TestClient::frame(1, "hello") + TestClient::frame(2, std::string("\0\xff", 2)) +
                      TestClient::frame(1, "") + TestClient::frame(1, std::string(300, 'x'));
  for (size_t portion : {1, 2, 3, 7, 1000}) {
    Outcome outcome = read(bytes, portion);
    EXPECT_EQ(outcome.events, (std::vector<std::string>{"text:hello", std::string("binary:\0\xff", 9),
                                                        "text:", "text:" + std::string(300, 'x')}));
    EXPECT_EQ(outcome.error, 0);
  }
}

TEST(FrameReader, JoinsFragmentsAroundControlFrames) {
  std::string bytes = TestClient::frame(1, "a\xc3", false) + TestClient::frame(9, "ping") +
                      TestClient::frame(0, "\xa4", false) + TestClient::frame(0, "c") + TestClient::frame(10, "");
  EXPECT_EQ(read(bytes, 5).events, (std::vector<std::string>{"9:ping",
                                                             "text:a\xc3\xa4"
                                                             "c",
                                                             "10:"}));
}

TEST(FrameReader, DropsMessagesOverTheBound) {
  std::string bytes = TestClient::frame(1, std::string(1001, 'x')) + TestClient::frame(1, "next") +
                      TestClient::frame(2, std::string(600, 'y'), false) + TestClient::frame(9, "still") +
                      TestClient::frame(0, std::string(70'000, 'y')) + TestClient::frame(1, std::string(1000, 'z'));
  for (size_t portion : {1, 64, 100'000}) {
    EXPECT_EQ(read(bytes, portion).events,
              (std::vector<std::string>{"oversized:1001", "text:next", "9:still", "oversized:70600",
                                        "text:" + std::string(1000, 'z')}));
  }
}

TEST(FrameReader, RefusesViolations) {
  std::string unmasked("\x81\x01x", 3);
  std::string reserved = TestClient::frame(1, "x");
  reserved[0] = static_cast<char>(0xc1);
  std::string huge("\x82\xff\xff\xff\xff\xff\xff\xff\xff\xff\0\0\0\0", 14);
  for (const std::string& bytes :
       {unmasked, reserved, huge, TestClient::frame(3, ""), TestClient::frame(11, ""), TestClient::frame(0, "x"),
        TestClient::frame(1, "a", false) + TestClient::frame(1, "b"), TestClient::frame(9, "x", false),
        TestClient::frame(9, std::string(126, 'x'))}) {
    for (size_t portion : {1, 100}) EXPECT_EQ(read(bytes, portion).error, 1002);
  }
  EXPECT_EQ(read(TestClient::frame(1, "\xff"), 100).error, 1007);
  EXPECT_EQ(read(TestClient::frame(1, "\xc3", false) + TestClient::frame(0, "x"), 1).error, 1007);
}

TEST(FrameReader, SurvivesRandomBytes) {
  std::mt19937 random(7);
  size_t errors = 0;
  for (int round = 0; round < 5000; ++round) {
    std::string bytes(random() % 200, '\0');
    for (char& c : bytes) c = static_cast<char>(random());
    if (!bytes.empty() && round % 2 == 0) bytes[0] = static_cast<char>(0x81 + round % 4);
    Outcome outcome = read(bytes, 1 + random() % 50, 50);
    errors += outcome.error != 0;
    for (const std::string& event : outcome.events) EXPECT_LE(event.size(), 140u);
  }
  EXPECT_GT(errors, 1000u);
}

TEST(WebSocketFrame, WritesTheThreeHeaderForms) {
  char out[10];
  EXPECT_EQ(std::string(out, write_frame_header(out, Opcode::kText, 125)), std::string("\x81\x7d"));
  EXPECT_EQ(std::string(out, write_frame_header(out, Opcode::kBinary, 126)), std::string("\x82\x7e\0\x7e", 4));
  EXPECT_EQ(std::string(out, write_frame_header(out, Opcode::kText, 0xffff)), std::string("\x81\x7e\xff\xff", 4));
  EXPECT_EQ(std::string(out, write_frame_header(out, Opcode::kText, 0x10000)),
            std::string("\x81\x7f\0\0\0\0\0\x01\0\0", 10));
  for (size_t size : {0, 125, 126, 0xffff, 0x10000}) {
    EXPECT_EQ(frame_header_size(size), write_frame_header(out, Opcode::kText, size));
  }
}

TEST(WebSocketFrame, ChecksClosePayloads) {
  EXPECT_EQ(parse_close("").code, 1005);
  EXPECT_EQ(parse_close(close_payload(1000, "bye")).code, 1000);
  EXPECT_EQ(parse_close(close_payload(4999, "")).code, 4999);
  for (uint16_t code : {0, 999, 1004, 1006, 1015, 2999, 5000}) {
    EXPECT_TRUE(parse_close(close_payload(code, "")).error.has_value()) << code;
  }
  EXPECT_EQ(parse_close("\x03").error->code, 1002);
  EXPECT_EQ(parse_close(close_payload(1000, "\xff")).error->code, 1007);
  // A long reason is cut between characters.
  std::string reason = std::string(122, 'a') + "\xc3\xa4";
  EXPECT_EQ(close_payload(1000, reason).size(), 124u);
}

TEST(WebSocketFrame, ValidatesUtf8) {
  for (const char* good : {"", "plain ascii, longer than a block", "\xc3\xa4", "\xe2\x82\xac", "\xf0\x9f\x98\x80",
                           "\xed\x9f\xbf", "\xee\x80\x80", "\xf4\x8f\xbf\xbf", "12345678\xc2\x80"}) {
    EXPECT_TRUE(valid_utf8(good)) << good;
  }
  for (const char* bad : {"\x80", "\xc3", "\xc0\x80", "\xc1\xbf", "\xe0\x9f\xbf", "\xed\xa0\x80", "\xf0\x8f\xbf\xbf",
                          "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xe2\x82", "\xe2\x28\xa1", "abcdefgh\xff"}) {
    EXPECT_FALSE(valid_utf8(bad)) << bad;
  }
}

// The example of RFC 6455 §1.3.
TEST(WebSocketFrame, AnswersTheKey) {
  EXPECT_EQ(websocket_accept("dGhlIHNhbXBsZSBub25jZQ=="), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
}

}  // namespace
}  // namespace kalamdb::net
