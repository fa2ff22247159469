#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "model/value.h"

namespace kalamdb::model {
namespace {

using std::string_view_literals::operator""sv;

const DataType kBoolean{TypeTag::kBoolean};
const DataType kSmallInt{TypeTag::kSmallInt};
const DataType kInt{TypeTag::kInt};
const DataType kBigInt{TypeTag::kBigInt};
const DataType kFloat{TypeTag::kFloat};
const DataType kDouble{TypeTag::kDouble};
const DataType kText{TypeTag::kText};
const DataType kJson{TypeTag::kJson};
const DataType kBytes{TypeTag::kBytes};
const DataType kDate{TypeTag::kDate};
const DataType kTime{TypeTag::kTime};
const DataType kTimestamp{TypeTag::kTimestamp};
const DataType kDateTime{TypeTag::kDateTime};
const DataType kUuid{TypeTag::kUuid};
const DataType kFile{TypeTag::kFile};
const DataType kMoney{TypeTag::kDecimal, 0, 6, 2};
const DataType kVector{TypeTag::kEmbedding, 3};

// The value as text, or the error.
std::string coerced(const ValueView& input, const DataType& type) {
  auto value = coerce(input, type);
  if (!value) {
    EXPECT_EQ(value.error().code, ErrorCode::kSchema);
    return value.error().message;
  }
  return to_text(view(*value), type);
}

TEST(CoerceTest, IntegersHaveTheRangeOfTheirType) {
  EXPECT_EQ(coerced(int64_t{32767}, kSmallInt), "32767");
  EXPECT_EQ(coerced(int64_t{-32768}, kSmallInt), "-32768");
  EXPECT_EQ(coerced(int64_t{32768}, kSmallInt), "Value 32768 is out of range for SMALLINT");
  EXPECT_EQ(coerced(int64_t{2147483648}, kInt), "Value 2147483648 is out of range for INT");
  EXPECT_EQ(coerced("9223372036854775807"sv, kBigInt), "9223372036854775807");
  EXPECT_EQ(coerced("9223372036854775808"sv, kBigInt), "Value '9223372036854775808' is out of range for BIGINT");
  EXPECT_EQ(coerced(" +12 "sv, kInt), "12");
  EXPECT_EQ(coerced("12x"sv, kInt), "Cannot convert '12x' to INT");
  EXPECT_EQ(coerced("+-1"sv, kInt), "Cannot convert '+-1' to INT");
  EXPECT_EQ(coerced(""sv, kInt), "Cannot convert '' to INT");
  EXPECT_EQ(coerced(true, kInt), "Cannot convert true to INT");
}

TEST(CoerceTest, FloatsBecomeIntegersOnlyWhenWhole) {
  EXPECT_EQ(coerced(3.0, kInt), "3");
  EXPECT_EQ(coerced(3.5, kInt), "Cannot convert 3.5 to INT");
  EXPECT_EQ(coerced(-0x1p63, kBigInt), "-9223372036854775808");
  EXPECT_EQ(coerced(0x1p63, kBigInt), "Cannot convert 9.223372036854776e+18 to BIGINT");
  EXPECT_EQ(coerced(std::nan(""), kInt), "Cannot convert nan to INT");
}

TEST(CoerceTest, Booleans) {
  EXPECT_EQ(coerced(true, kBoolean), "true");
  EXPECT_EQ(coerced("Yes"sv, kBoolean), "true");
  EXPECT_EQ(coerced("OFF"sv, kBoolean), "false");
  EXPECT_EQ(coerced(int64_t{1}, kBoolean), "true");
  EXPECT_EQ(coerced(int64_t{2}, kBoolean), "Cannot convert 2 to BOOLEAN");
  EXPECT_EQ(coerced("maybe"sv, kBoolean), "Cannot convert 'maybe' to BOOLEAN");
}

TEST(CoerceTest, FloatsAndDoubles) {
  EXPECT_EQ(coerced(int64_t{7}, kDouble), "7.0");
  EXPECT_EQ(coerced(0.1, kFloat), "0.1");
  EXPECT_EQ(coerced("-1.5e3"sv, kDouble), "-1500.0");
  EXPECT_EQ(coerced("NaN"sv, kDouble), "nan");
  EXPECT_EQ(coerced("-Infinity"sv, kFloat), "-inf");
  EXPECT_EQ(coerced(1e39, kFloat), "Value 1e+39 is out of range for FLOAT");
  EXPECT_EQ(coerced(std::numeric_limits<double>::infinity(), kFloat), "inf");
  EXPECT_EQ(coerced("1e999"sv, kDouble), "Value '1e999' is out of range for DOUBLE");
  EXPECT_EQ(coerced("1,5"sv, kDouble), "Cannot convert '1,5' to DOUBLE");
}

TEST(CoerceTest, Decimals) {
  EXPECT_EQ(coerced(int64_t{12}, kMoney), "12.00");
  EXPECT_EQ(coerced(0.1, kMoney), "0.10");
  EXPECT_EQ(coerced("2.345"sv, kMoney), "2.35");
  EXPECT_EQ(coerced("-2.345"sv, kMoney), "-2.35");
  EXPECT_EQ(coerced(Decimal{999999}, kMoney), "9999.99");
  EXPECT_EQ(coerced(Decimal{1000000}, kMoney), "Value an unscaled decimal 1000000 is out of range for DECIMAL(6, 2)");
  EXPECT_EQ(coerced(int64_t{10000}, kMoney), "Value 10000 is out of range for DECIMAL(6, 2)");
  EXPECT_EQ(coerced(std::nan(""), kMoney), "Cannot convert nan to DECIMAL(6, 2)");
}

TEST(CoerceTest, DatesAndTimes) {
  EXPECT_EQ(coerced("2024-01-02"sv, kDate), "2024-01-02");
  EXPECT_EQ(coerced("2024-01-02T00:00:00.000Z"sv, kDate), "2024-01-02");
  EXPECT_EQ(coerced("1969-12-31T00:00:00Z"sv, kDate), "1969-12-31");
  EXPECT_EQ(coerced("2024-01-02T10:00:00Z"sv, kDate), "Cannot convert '2024-01-02T10:00:00Z' to DATE");
  EXPECT_EQ(coerced("2024-02-30"sv, kDate), "Cannot convert '2024-02-30' to DATE");
  EXPECT_EQ(coerced(int64_t{19724}, kDate), "2024-01-02");
  EXPECT_EQ(coerced(int64_t{3'000'000}, kDate), "Value 3000000 is out of range for DATE");
  EXPECT_EQ(coerced("10:30"sv, kTime), "10:30:00");
  EXPECT_EQ(coerced(int64_t{86'400'000'000}, kTime), "Value 86400000000 is out of range for TIME");
  EXPECT_EQ(coerced("2024-01-02T03:04:05.123456+01:00"sv, kTimestamp), "2024-01-02 02:04:05.123456");
  EXPECT_EQ(coerced("2024-01-02T03:04:05.123456+01:00"sv, kDateTime), "2024-01-02 02:04:05.123456+00");
  EXPECT_EQ(coerced(int64_t{1'704'164'645'000'000}, kTimestamp), "2024-01-02 03:04:05");
  EXPECT_EQ(coerced("yesterday"sv, kTimestamp), "Cannot convert 'yesterday' to TIMESTAMP");
}

TEST(CoerceTest, Texts) {
  EXPECT_EQ(coerced(int64_t{5}, kText), "5");
  EXPECT_EQ(coerced(2.5, kText), "2.5");
  EXPECT_EQ(coerced(true, kText), "true");
  EXPECT_EQ(coerced("h\xC3\xA9"sv, kText), "h\xC3\xA9");
  EXPECT_EQ(coerced("\xC3("sv, kText), "Value of 2 bytes is not valid UTF-8, as TEXT must be");
  EXPECT_EQ(coerced(Decimal{5}, kText), "Cannot convert an unscaled decimal 5 to TEXT");
}

TEST(CoerceTest, LongTextsAreShortenedInErrors) {
  std::string text;
  for (int i = 0; i < 40; ++i) text += "\xC3\xA9";
  text = "x" + text;
  std::string message = coerced(std::string_view(text), kInt);
  EXPECT_EQ(message, "Cannot convert '" + text.substr(0, 63) + "…' to INT");
}

TEST(CoerceTest, JsonIsCheckedAndKeptAsWritten) {
  EXPECT_EQ(coerced(R"({"a": [1, 2 ]})"sv, kJson), R"({"a": [1, 2 ]})");
  EXPECT_EQ(coerced("123456789012345678901234567890"sv, kJson), "123456789012345678901234567890");
  EXPECT_EQ(coerced(int64_t{5}, kJson), "5");
  EXPECT_EQ(coerced("{a:1}"sv, kJson), "Value '{a:1}' is not valid JSON, as JSON must be");
  EXPECT_EQ(coerced(""sv, kJson), "Value '' is not valid JSON, as JSON must be");
  EXPECT_EQ(coerced(R"({"id":"1"})"sv, kFile), R"({"id":"1"})");
  EXPECT_EQ(coerced("[1]"sv, kFile), "Cannot convert '[1]' to FILE");
}

TEST(CoerceTest, DeeplyNestedJsonIsCheckedWithoutRecursion) {
  constexpr size_t kDepth = 100'000;
  std::string nested = std::string(kDepth, '[') + std::string(kDepth, ']');
  EXPECT_TRUE(coerce(std::string_view(nested), kJson));
  nested.pop_back();
  EXPECT_FALSE(coerce(std::string_view(nested), kJson));
}

TEST(CoerceTest, Bytes) {
  EXPECT_EQ(coerced("\\xDEADBEEF"sv, kBytes), "\\xdeadbeef");
  EXPECT_EQ(coerced("abc"sv, kBytes), "\\x616263");
  EXPECT_EQ(coerced("\\xabc"sv, kBytes), "Cannot convert '\\xabc' to BYTES");
  EXPECT_EQ(coerced(int64_t{1}, kBytes), "Cannot convert 1 to BYTES");
}

TEST(CoerceTest, Uuids) {
  EXPECT_EQ(coerced("0190A5C47B2E7ABC8DEF0123456789AB"sv, kUuid), "0190a5c4-7b2e-7abc-8def-0123456789ab");
  EXPECT_EQ(coerced("nope"sv, kUuid), "Cannot convert 'nope' to UUID");
}

TEST(CoerceTest, Embeddings) {
  EXPECT_EQ(coerced("[0.5, -1 ,2e0]"sv, kVector), "[0.5,-1.0,2.0]");
  EXPECT_EQ(coerced("[1e-60,0,0]"sv, kVector), "[0.0,0.0,0.0]");
  std::vector<float> vector{1, 2, 3};
  EXPECT_EQ(coerced(std::span<const float>(vector), kVector), "[1.0,2.0,3.0]");
  EXPECT_EQ(coerced("[1,2]"sv, kVector), "Embedding dimension mismatch: expected 3 numbers, got 2");
  EXPECT_EQ(coerced("[]"sv, kVector), "Embedding dimension mismatch: expected 3 numbers, got 0");
  for (std::string_view text : {"[1,2,3,]"sv, "[1,,3]"sv, "1,2,3"sv, "["sv, "]["sv, "[a,b,c]"sv}) {
    EXPECT_FALSE(coerce(text, kVector)) << text;
  }
  EXPECT_FALSE(coerce("[1,2,1e60]"sv, kVector));
  EXPECT_FALSE(coerce("[1,2,nan]"sv, kVector));
}

}  // namespace
}  // namespace kalamdb::model
