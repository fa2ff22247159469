// Parsers fed with damaged messages: seeded, so a failure repeats. Whatever comes in, they answer with a value or an
// error. The fuzz targets in fuzz/ go further; this runs with every test run.
#include <gtest/gtest.h>

#include <random>
#include <vector>

#include "protocol/auth_messages.h"
#include "protocol/json_reader.h"
#include "protocol/live_messages.h"
#include "protocol/msgpack.h"
#include "protocol/sql_request.h"

namespace kalamdb::protocol {
namespace {

const std::vector<std::string> kSeeds = {
    R"({"sql":"SELECT * FROM app.t WHERE id = $1","params":[1,2.5,"x",null,true,[1,2],{"a":[{}]}],"namespace_id":"app"})",
    R"({"user":"alice","password":"s\u00e9cret\n","root_password":"r","email":"a@b"})",
    R"({"type":"authenticate","method":"jwt","token":"T","protocol":{"serialization":"json","compression":"gzip"}})",
    R"({"type":"subscribe","subscription":{"id":"s1","sql":"SELECT 1","options":{"batch_size":2,"from":"7"}}})",
    R"({"type":"next_batch","subscription_id":"s1","last_seq_id":123})",
};

std::string mutate(std::string text, std::mt19937& random) {
  constexpr std::string_view kTokens[] = {"{",   "}",    "[",     "]", "\"",   ",", ":",
                                          "\\u", "null", "1e999", "-", "\xFF", "\\"};
  const size_t edits = 1 + random() % 4;
  for (size_t edit = 0; edit < edits && !text.empty(); ++edit) {
    const size_t place = random() % text.size();
    switch (random() % 5) {
      case 0:
        text[place] = static_cast<char>(random());
        break;
      case 1:
        text.erase(place, 1 + random() % 8);
        break;
      case 2:
        text.insert(place, kTokens[random() % std::size(kTokens)]);
        break;
      case 3:
        text.insert(place, text.substr(random() % text.size(), random() % 30));
        break;
      default:
        text.resize(place);
        break;
    }
  }
  return text;
}

TEST(Mutation, DamagedMessagesAreAnsweredWithAValueOrAnError) {
  std::mt19937 random(20240101);
  size_t accepted = 0;
  size_t refused = 0;
  for (int round = 0; round < 300'000; ++round) {
    const std::string text = mutate(kSeeds[random() % kSeeds.size()], random);
    const auto request = parse_sql_request(text);
    const auto message = parse_client_message(text);
    (request || parse_login(text) || parse_setup(text) || message || parse_params(text) ? accepted : refused) += 1;
    EXPECT_TRUE(request || !request.error().message.empty());
    EXPECT_TRUE(message || message.error().message.size() <= 120U);
  }
  EXPECT_GT(accepted, 100U) << "the mutations are too wild to reach deep into the parsers";
  EXPECT_GT(refused, 100U);
}

TEST(Mutation, DamagedMessagePackIsAnsweredWithAValueOrAnError) {
  std::mt19937 random(20240102);
  size_t accepted = 0;
  for (int round = 0; round < 100'000; ++round) {
    const std::string bytes = mutate(to_msgpack(kSeeds[random() % kSeeds.size()]), random);
    const auto json = decode_msgpack(bytes, 1 << 20);
    if (json) (void)parse_client_message(*json);
    accepted += json ? 1 : 0;
  }
  EXPECT_GT(accepted, 100U);
}

TEST(Mutation, WhateverIsEncodedIsValidJson) {
  std::mt19937 random(7);
  for (int round = 0; round < 20'000; ++round) {
    std::string bytes(random() % 64, '\0');
    for (char& byte : bytes) byte = static_cast<char>(random() % 4 == 0 ? random() : 'a' + random() % 26);
    ASSERT_TRUE(parse_json(live_error_message(bytes, "CODE", bytes))) << round;
    ASSERT_TRUE(parse_json(auth_error_body(bytes, bytes))) << round;
  }
}

}  // namespace
}  // namespace kalamdb::protocol
