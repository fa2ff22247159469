#include "protocol/json_text.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <limits>

#include "protocol/json_reader.h"

namespace kalamdb::protocol {
namespace {

std::string as_json(std::string_view text) {
  std::string out;
  append_json_string(out, text);
  return out;
}

template <typename Number>
std::string number(Number value) {
  std::string out;
  append_number(out, value);
  return out;
}

TEST(JsonText, StringsAreQuotedAndEscaped) {
  EXPECT_EQ(as_json(""), R"("")");
  EXPECT_EQ(as_json("plain text, longer than one word"), R"("plain text, longer than one word")");
  EXPECT_EQ(as_json("a\"b\\c/d"), R"("a\"b\\c/d")");
  EXPECT_EQ(as_json("\b\f\n\r\t"), R"("\b\f\n\r\t")");
  EXPECT_EQ(as_json(std::string_view("\0\x1f\x7f", 3)), "\"\\u0000\\u001f\x7f\"");
  EXPECT_EQ(as_json("سلام 世界 🌍"), "\"سلام 世界 🌍\"");
}

TEST(JsonText, EveryByteAtEveryOffsetSurvivesARoundTrip) {
  for (int byte = 0; byte < 128; ++byte) {
    for (size_t offset = 0; offset < 20; ++offset) {
      std::string text(20, 'x');
      text[offset] = static_cast<char>(byte);
      const auto parsed = parse_json(as_json(text));
      ASSERT_TRUE(parsed) << byte << " at " << offset;
      ASSERT_EQ(std::string_view{*parsed}, text) << byte << " at " << offset;
    }
  }
}

TEST(JsonText, BrokenUtf8IsRepaired) {
  EXPECT_EQ(as_json("a\xFFz"), "\"a\xEF\xBF\xBDz\"");
  EXPECT_EQ(as_json("ok \xC3\xA9 cut \xE4\xB8"), "\"ok \xC3\xA9 cut \xEF\xBF\xBD\xEF\xBF\xBD\"");
  EXPECT_EQ(as_json("\xED\xA0\x80"), "\"\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\"") << "a surrogate is no character";
}

TEST(JsonText, NumbersReadBackAsThemselves) {
  EXPECT_EQ(number(1.0), "1.0");
  EXPECT_EQ(number(0.1), "0.1");
  EXPECT_EQ(number(0.1F), "0.1");
  EXPECT_EQ(number(-0.0), "-0.0");
  EXPECT_EQ(number(1e300), "1e+300");
  EXPECT_EQ(std::strtod(number(std::numeric_limits<double>::denorm_min()).c_str(), nullptr),
            std::numeric_limits<double>::denorm_min());
}

TEST(JsonText, NotFiniteNumbersAreNull) {
  std::string out;
  EXPECT_FALSE(append_number(out, std::numeric_limits<double>::quiet_NaN()));
  EXPECT_FALSE(append_number(out, -std::numeric_limits<float>::infinity()));
  EXPECT_EQ(out, "nullnull");
}

TEST(JsonText, MillisecondsHaveAtMostThreeDecimals) {
  auto text = [](int64_t microseconds) {
    std::string out;
    append_milliseconds(out, microseconds);
    return out;
  };
  EXPECT_EQ(text(0), "0.0");
  EXPECT_EQ(text(5), "0.005");
  EXPECT_EQ(text(1230), "1.23");
  EXPECT_EQ(text(2000), "2.0");
  EXPECT_EQ(text(123456789), "123456.789");
  EXPECT_EQ(text(-1), "0.0");
}

TEST(JsonText, TimesAreRfc3339) {
  EXPECT_EQ(rfc3339(0), "1970-01-01T00:00:00.000000Z");
  EXPECT_EQ(rfc3339(1704164645000006), "2024-01-02T03:04:05.000006Z");
  EXPECT_EQ(rfc3339(-1), "1969-12-31T23:59:59.999999Z");
}

}  // namespace
}  // namespace kalamdb::protocol
