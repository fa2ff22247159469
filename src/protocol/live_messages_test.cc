#include "protocol/live_messages.h"

#include <gtest/gtest.h>
#include <zlib.h>

namespace kalamdb::protocol {
namespace {

template <typename Message>
Message parse(std::string_view json) {
  const auto message = parse_client_message(json);
  if (!message) {
    ADD_FAILURE() << message.error().message;
    return {};
  }
  return std::get<Message>(*message);
}

std::string error_of(std::string_view json) {
  const auto message = parse_client_message(json);
  return message ? "" : message.error().message;
}

TEST(LiveMessages, Authenticate) {
  const auto message = parse<Authenticate>(
      R"({"type":"authenticate","method":"jwt","token":"T","protocol":{"serialization":"msgpack","compression":"none"}})");
  EXPECT_EQ(message.token, "T");
  EXPECT_EQ(message.protocol.serialization, Serialization::kMsgpack);
  EXPECT_EQ(message.protocol.compression, Compression::kNone);
  EXPECT_EQ(error_of(R"({"type":"authenticate","method":"jwt","token":"T"})"),
            "Invalid message: missing field `protocol`");
  EXPECT_EQ(error_of(R"({"type":"authenticate","method":"jwt","token":"T","protocol":{"serialization":"json"}})"),
            "Invalid message: missing field `compression`");
  EXPECT_EQ(error_of(R"({"type":"authenticate","method":"basic","token":"T"})"),
            "Invalid message: unknown method, expected `jwt`");
}

TEST(LiveMessages, SubscribeTellsNoOptionsFromEmptyOnes) {
  const auto all = parse<Subscribe>(
      R"({"type":"subscribe","subscription":{"id":"s1","sql":"SELECT * FROM app.messages","options":{}}})");
  EXPECT_EQ(all.id, "s1");
  EXPECT_EQ(all.sql, "SELECT * FROM app.messages");
  ASSERT_TRUE(all.options);
  EXPECT_FALSE(all.options->batch_size || all.options->last_rows || all.options->from);
  EXPECT_FALSE(parse<Subscribe>(R"({"type":"subscribe","subscription":{"id":"s","sql":"q","options":null}})").options);
  EXPECT_FALSE(parse<Subscribe>(R"({"type":"subscribe","subscription":{"id":"s","sql":"q"}})").options);
}

TEST(LiveMessages, SubscribeOptions) {
  const auto message = parse<Subscribe>(
      R"({"subscription":{"options":{"batch_size":2,"last_rows":4294967295,"from":"7"},"sql":"q","id":"s"},"type":"subscribe"})");
  EXPECT_EQ(message.options->batch_size, 2U);
  EXPECT_EQ(message.options->last_rows, UINT32_MAX);
  EXPECT_EQ(message.options->from, 7);
  EXPECT_EQ(
      parse<Subscribe>(
          R"({"type":"subscribe","subscription":{"id":"s","sql":"q","options":{"from_seq_id":9007199254740993}}})")
          .options->from,
      9007199254740993);
  auto with_options = [](const std::string& options) {
    return error_of(R"({"type":"subscribe","subscription":{"id":"s","sql":"q","options":)" + options + "}}");
  };
  EXPECT_EQ(with_options("[]"), "Invalid message: `options` must be an object or null");
  EXPECT_EQ(with_options(R"({"last_rows":4294967296})"),
            "Invalid message: `last_rows` must be a whole number from 0 to 4294967295");
  EXPECT_EQ(with_options(R"({"from":1.5})"), "Invalid message: `from` must be a whole number or a decimal string");
  EXPECT_EQ(with_options(R"({"from":"7x"})"), "Invalid message: `from` must be a whole number or a decimal string");
  EXPECT_EQ(with_options(R"({"from":1,"from_seq_id":2})"), "Invalid message: duplicate field `from`");
}

TEST(LiveMessages, NextBatchUnsubscribeAndPing) {
  EXPECT_EQ(parse<NextBatch>(R"({"type":"next_batch","subscription_id":"s1","last_seq_id":123})").last_seq_id, 123);
  EXPECT_EQ(parse<NextBatch>(R"({"type":"next_batch","subscription_id":"s1","last_seq_id":"123"})").last_seq_id, 123);
  EXPECT_FALSE(parse<NextBatch>(R"({"type":"next_batch","subscription_id":"s1","last_seq_id":null})").last_seq_id);
  EXPECT_FALSE(parse<NextBatch>(R"({"type":"next_batch","subscription_id":"s1"})").last_seq_id);
  EXPECT_EQ(parse<Unsubscribe>(R"({"type":"unsubscribe","subscription_id":"s1"})").subscription_id, "s1");
  parse<Ping>(R"({"type":"ping"})");
}

TEST(LiveMessages, BadMessagesSayWhyWithinACloseFrame) {
  EXPECT_EQ(error_of("nonsense"), "Invalid message: the text is not well-formed JSON");
  EXPECT_EQ(error_of("{}"), "Invalid message: missing field `type`");
  EXPECT_EQ(error_of(R"({"type":"hello"})"), "Invalid message: unknown type `hello`");
  EXPECT_EQ(error_of(R"({"type":7})"), "Invalid message: `type` must be a string");
  std::string wide;
  for (int i = 0; i < 200; ++i) wide += "é";
  const std::string reason = error_of(R"({"type":")" + wide + R"("})");
  EXPECT_LE(reason.size(), 120U);
  EXPECT_TRUE(reason.ends_with("é"));
}

TEST(LiveMessages, ServerMessages) {
  EXPECT_EQ(
      auth_success_message("alice", "user", {}),
      R"({"type":"auth_success","user":"alice","role":"user","protocol":{"serialization":"json","compression":"gzip"}})");
  EXPECT_EQ(auth_error_message("Invalid credentials"), R"({"type":"auth_error","message":"Invalid credentials"})");
  EXPECT_EQ(subscription_ack_message("s1", 0, {.batch_num = 0, .has_more = true, .last_seq_id = 123}, "[]"),
            R"({"type":"subscription_ack","subscription_id":"s1","total_rows":0,)"
            R"("batch_control":{"batch_num":0,"has_more":true,"status":"loading","last_seq_id":123},"schema":[]})");
  EXPECT_EQ(initial_data_batch_message("s1", R"({"id":"1"},{"id":"2"})", {.batch_num = 1, .has_more = true}),
            R"({"type":"initial_data_batch","subscription_id":"s1","rows":[{"id":"1"},{"id":"2"}],)"
            R"("batch_control":{"batch_num":1,"has_more":true,"status":"loading_batch","last_seq_id":null}})");
  EXPECT_EQ(initial_data_batch_message("s1", "", {.batch_num = 1, .last_seq_id = 130}),
            R"({"type":"initial_data_batch","subscription_id":"s1","rows":[],)"
            R"("batch_control":{"batch_num":1,"has_more":false,"status":"ready","last_seq_id":130}})");
  EXPECT_EQ(change_message("s1", change_tail(ChangeType::kUpdate, R"({"_seq":"140"})", R"({"_seq":"122"})")),
            R"({"type":"change","subscription_id":"s1","change_type":"update",)"
            R"("rows":[{"_seq":"140"}],"old_values":[{"_seq":"122"}]})");
  EXPECT_EQ(change_message("s\"1", change_tail(ChangeType::kDelete, "", R"({"_seq":"122"})")),
            R"({"type":"change","subscription_id":"s\"1","change_type":"delete","old_values":[{"_seq":"122"}]})");
  EXPECT_EQ(change_message("s", change_tail(ChangeType::kInsert, "{}", "")),
            R"({"type":"change","subscription_id":"s","change_type":"insert","rows":[{}]})");
  EXPECT_EQ(live_error_message("subscribe", "AUTH_REQUIRED", "no"),
            R"({"type":"error","subscription_id":"subscribe","code":"AUTH_REQUIRED","message":"no"})");
}

std::string gunzip(const std::string& bytes) {
  std::string text(1 << 20, '\0');
  z_stream stream{};
  inflateInit2(&stream, 15 + 16);
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
  stream.avail_in = static_cast<uInt>(bytes.size());
  stream.next_out = reinterpret_cast<Bytef*>(text.data());
  stream.avail_out = static_cast<uInt>(text.size());
  EXPECT_EQ(inflate(&stream, Z_FINISH), Z_STREAM_END);
  text.resize(stream.total_out);
  inflateEnd(&stream);
  return text;
}

TEST(LiveMessages, LargePayloadsAreCompressedWhereThatHelps) {
  const std::string small(511, 'a');
  EXPECT_FALSE(encode_frame(small, {}).binary);
  const std::string large(512, 'a');
  EXPECT_EQ(encode_frame(large, kPlainText).payload, large);
  for (int round = 0; round < 3; ++round) {
    const EncodedFrame frame = encode_frame(large, {});
    EXPECT_TRUE(frame.binary);
    EXPECT_TRUE(frame.payload.starts_with("\x1f\x8b"));
    EXPECT_EQ(gunzip(frame.payload), large);
  }
  std::string noise;
  uint32_t state = 1;
  for (int i = 0; i < 600; ++i) noise.push_back(static_cast<char>((state = state * 1664525 + 1013904223) >> 24));
  const EncodedFrame frame = encode_frame(noise, {});
  EXPECT_FALSE(frame.binary);
  EXPECT_EQ(frame.payload, noise);
}

TEST(LiveMessages, MessagePackIsAnotherFormOfTheSame) {
  const std::string json =
      R"({"type":"change","b":[1,-1,300,1.5,0.1,null,true],"a":{"text":"\u00e9","big":9007199254740993}})";
  const EncodedFrame plain = encode_frame(json, {.gzip = false, .msgpack = true});
  EXPECT_TRUE(plain.binary);
  EXPECT_EQ(plain.payload.substr(0, 6),
            "\x83\xA4"
            "type");
  EXPECT_EQ(decode_msgpack(plain.payload, 1000).value(),
            R"({"type":"change","b":[1,-1,300,1.5,0.1,null,true],"a":{"text":"é","big":9007199254740993}})");
  const std::string large = R"({"text":")" + std::string(2000, 'x') + R"("})";
  const EncodedFrame compressed = encode_frame(large, {.gzip = true, .msgpack = true});
  EXPECT_LT(compressed.payload.size(), 100U);
  EXPECT_EQ(decode_msgpack(compressed.payload, 3000).value(), large);
  const auto bomb = decode_msgpack(compressed.payload, 1000);
  ASSERT_FALSE(bomb);
  EXPECT_EQ(bomb.error().message, "Message exceeds maximum size of 1000 bytes");
  // Sixteen deep is accepted, more is not, however deep.
  EXPECT_TRUE(decode_msgpack(std::string(16, '\x91') + '\xC0', 1000));
  for (const size_t depth : {17, 1'000'000}) EXPECT_FALSE(decode_msgpack(std::string(depth, '\x91') + '\xC0', 1000));
  for (const std::string_view bad :
       {std::string_view(""), std::string_view("\xC1"), std::string_view("\x81"), std::string_view("\xC0\xC0"),
        std::string_view("\x1F\x8B"), std::string_view("\x1F\x8Bxxxxxxxxxxxxxxxxxxxxx")}) {
    EXPECT_FALSE(decode_msgpack(bad, 1000));
  }
}

}  // namespace
}  // namespace kalamdb::protocol
