#include "model/decimal.h"

#include <gtest/gtest.h>

#include <random>

#include "model/random_value.h"

namespace kalamdb::model {
namespace {

std::string parsed(std::string_view text, uint8_t precision, uint8_t scale) {
  ParsedDecimal result = parse_decimal(text, precision, scale);
  if (result.error == DecimalError::kSyntax) return "syntax";
  if (result.error == DecimalError::kRange) return "range";
  return format_decimal(result.value, scale);
}

TEST(DecimalTest, ShowsExactlyScaleDigits) {
  EXPECT_EQ(format_decimal({0}, 0), "0");
  EXPECT_EQ(format_decimal({0}, 2), "0.00");
  EXPECT_EQ(format_decimal({-50}, 2), "-0.50");
  EXPECT_EQ(format_decimal({12345}, 2), "123.45");
  EXPECT_EQ(format_decimal({-1}, 38), "-0." + std::string(37, '0') + "1");
  EXPECT_EQ(format_decimal({power_of_ten(38) - 1}, 0), std::string(38, '9'));
}

TEST(DecimalTest, ReadsPlainAndScientificNumbers) {
  EXPECT_EQ(parsed("12.5", 10, 2), "12.50");
  EXPECT_EQ(parsed("-.5", 10, 2), "-0.50");
  EXPECT_EQ(parsed("+7.", 10, 2), "7.00");
  EXPECT_EQ(parsed("1.5e3", 10, 2), "1500.00");
  EXPECT_EQ(parsed("15E-1", 10, 2), "1.50");
  EXPECT_EQ(parsed("000.0010", 10, 3), "0.001");
}

TEST(DecimalTest, RoundsHalfAwayFromZero) {
  EXPECT_EQ(parsed("0.005", 10, 2), "0.01");
  EXPECT_EQ(parsed("-0.005", 10, 2), "-0.01");
  EXPECT_EQ(parsed("0.00499999", 10, 2), "0.00");
  EXPECT_EQ(parsed("0.0005", 10, 2), "0.00");
  EXPECT_EQ(parsed("9.995", 10, 2), "10.00");
}

TEST(DecimalTest, RefusesWhatDoesNotFit) {
  EXPECT_EQ(parsed("99.994", 4, 2), "99.99");
  EXPECT_EQ(parsed("99.995", 4, 2), "range");
  EXPECT_EQ(parsed("100", 4, 2), "range");
  EXPECT_EQ(parsed(std::string(38, '9'), 38, 0), std::string(38, '9'));
  EXPECT_EQ(parsed("1" + std::string(38, '0'), 38, 0), "range");
  EXPECT_EQ(parsed("1e999999999999", 38, 0), "range");
  EXPECT_EQ(parsed("1e-999999999999", 38, 10), "0.0000000000");
  EXPECT_EQ(parsed("0e999999999", 38, 0), "0");
}

TEST(DecimalTest, RefusesWhatIsNoNumber) {
  for (std::string_view text : {"", ".", "-", "1.2.3", "1e", "1e+", "e5", "1x", "--1", "1e5x", "0x10", "nan"}) {
    EXPECT_EQ(parsed(text, 38, 2), "syntax") << text;
  }
}

TEST(DecimalTest, RandomValuesRoundTrip) {
  std::mt19937_64 random(3);
  for (int i = 0; i < 5'000; ++i) {
    auto precision = static_cast<uint8_t>(1 + random() % 38);
    auto scale = static_cast<uint8_t>(random() % (precision + 1));
    DataType type{TypeTag::kDecimal, 0, precision, scale};
    if (precision == 1) continue;  // random_value() needs a bound above one
    auto value = std::get<Decimal>(random_value(random, type));
    auto result = parse_decimal(format_decimal(value, scale), precision, scale);
    ASSERT_EQ(result.error, DecimalError::kNone);
    ASSERT_TRUE(result.value == value);
  }
}

}  // namespace
}  // namespace kalamdb::model
