#include "model/value.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "model/random_value.h"

namespace kalamdb::model {
namespace {

const DataType kText{TypeTag::kText};

TEST(ValueTest, ViewsAndValuesConvertBothWays) {
  std::mt19937_64 random(1);
  for (const DataType& type : all_types()) {
    for (int i = 0; i < 50; ++i) {
      Value value = random_value(random, type);
      EXPECT_TRUE(same(view(to_value(view(value))), view(value))) << sql_name(type);
    }
  }
  EXPECT_TRUE(is_null(view(Value(Null{}))));
}

TEST(ValueTest, SameIsEqualityOfWhatIsStored) {
  const double kNan = std::numeric_limits<double>::quiet_NaN();
  EXPECT_TRUE(same(Null{}, Null{}));
  EXPECT_TRUE(same(kNan, -kNan));
  EXPECT_FALSE(same(0.0, -0.0));
  EXPECT_FALSE(same(Null{}, int64_t{0}));
  EXPECT_FALSE(same(1.0, int64_t{1}));
  EXPECT_FALSE(same(std::string_view("a"), std::string_view("b")));
  std::vector<float> a{1, NAN};
  std::vector<float> b{1, NAN, 2};
  EXPECT_TRUE(same(std::span<const float>(a), std::span<const float>(b).first(2)));
  EXPECT_FALSE(same(std::span<const float>(a), std::span<const float>(b)));
}

TEST(ValueTest, CanonicalText) {
  EXPECT_EQ(to_text(Null{}, kText), "NULL");
  EXPECT_EQ(to_text(true, {TypeTag::kBoolean}), "true");
  EXPECT_EQ(to_text(int64_t{-42}, {TypeTag::kInt}), "-42");
  EXPECT_EQ(to_text(1.0, {TypeTag::kDouble}), "1.0");
  EXPECT_EQ(to_text(0.1f, {TypeTag::kFloat}), "0.1");
  EXPECT_EQ(to_text(1e20, {TypeTag::kDouble}), "1e+20");
  EXPECT_EQ(to_text(100000.0, {TypeTag::kDouble}), "100000.0");
  EXPECT_EQ(to_text(-std::numeric_limits<double>::infinity(), {TypeTag::kDouble}), "-inf");
  EXPECT_EQ(to_text(int64_t{1'704'164'645'000'006}, {TypeTag::kTimestamp}), "2024-01-02 03:04:05.000006");
  EXPECT_EQ(to_text(int64_t{0}, {TypeTag::kDateTime}), "1970-01-01 00:00:00+00");
  EXPECT_EQ(to_text(int64_t{0}, {TypeTag::kDate}), "1970-01-01");
  EXPECT_EQ(to_text(int64_t{1}, {TypeTag::kTime}), "00:00:00.000001");
  EXPECT_EQ(to_text(std::string_view("\xDE\x00", 2), {TypeTag::kBytes}), "\\xde00");
  EXPECT_EQ(to_text(Decimal{-50}, {TypeTag::kDecimal, 0, 10, 2}), "-0.50");
  std::vector<float> vector{1, 2.5};
  EXPECT_EQ(to_text(std::span<const float>(vector), {TypeTag::kEmbedding, 2}), "[1.0,2.5]");
}

TEST(ValueTest, CanonicalTextOfEveryTypeReadsBack) {
  std::mt19937_64 random(2);
  for (const DataType& type : all_types()) {
    for (int i = 0; i < 500; ++i) {
      Value value = random_value(random, type);
      std::string text = to_text(view(value), type);
      auto read = coerce(std::string_view(text), type);
      ASSERT_TRUE(read) << sql_name(type) << " " << text << ": " << read.error().message;
      ASSERT_TRUE(same(view(*read), view(value))) << sql_name(type) << " " << text;
    }
  }
}

TEST(ValueTest, CoercingToItsOwnTypeChangesNothing) {
  std::mt19937_64 random(3);
  for (const DataType& type : all_types()) {
    for (int i = 0; i < 100; ++i) {
      Value value = random_value(random, type);
      auto coerced = coerce(view(value), type);
      ASSERT_TRUE(coerced) << sql_name(type) << ": " << coerced.error().message;
      ASSERT_TRUE(same(view(*coerced), view(value))) << sql_name(type);
    }
    EXPECT_TRUE(is_null(*coerce(Null{}, type)));
  }
}

TEST(ValueTest, UuidsWithAndWithoutHyphens) {
  auto uuid = parse_uuid("0190A5C4-7B2E-7abc-8def-0123456789ab");
  ASSERT_TRUE(uuid);
  EXPECT_EQ(format_uuid(*uuid), "0190a5c4-7b2e-7abc-8def-0123456789ab");
  EXPECT_EQ(parse_uuid("0190a5c47b2e7abc8def0123456789ab"), uuid);
  for (std::string_view text : {"", "0190a5c4", "0190a5c4-7b2e-7abc-8def-0123456789ag",
                                "0190a5c4-7b2e-7abc-8def0-123456789ab", "0190a5c4-7b2e-7abc-8def-0123456789abc"}) {
    EXPECT_FALSE(parse_uuid(text)) << text;
  }
}

TEST(ValueTest, HexDigits) {
  EXPECT_EQ(parse_hex("DEad00"), std::string("\xDE\xAD\x00", 3));
  EXPECT_EQ(parse_hex(""), "");
  EXPECT_FALSE(parse_hex("abc"));
  EXPECT_FALSE(parse_hex("zz"));
}

}  // namespace
}  // namespace kalamdb::model
