#include "base/result.h"

#include <gtest/gtest.h>

#include <memory>

namespace kalamdb {
namespace {

Result<int> parse_digit(char c) {
  if (c < '0' || c > '9') return fail(ErrorCode::kInvalidInput, std::string("not a digit: ") + c);
  return c - '0';
}

Result<int> add_digits(char a, char b) {
  KALAM_TRY(int x, parse_digit(a));
  KALAM_TRY(int y, parse_digit(b));
  return x + y;
}

Result<> check_digit(char c, bool& passed) {
  KALAM_CHECK(parse_digit(c));
  passed = true;
  return {};
}

TEST(ResultTest, TryUnwrapsOrReturnsTheError) {
  EXPECT_EQ(add_digits('3', '4').value(), 7);
  auto failed = add_digits('3', 'x');
  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error().code, ErrorCode::kInvalidInput);
  EXPECT_EQ(failed.error().message, "not a digit: x");
}

TEST(ResultTest, CheckStopsAtTheFirstError) {
  bool passed = false;
  EXPECT_FALSE(check_digit('x', passed));
  EXPECT_FALSE(passed);
  EXPECT_TRUE(check_digit('1', passed));
  EXPECT_TRUE(passed);
}

TEST(ResultTest, TryMovesValuesThatCannotBeCopied) {
  auto make = [] { return Result<std::unique_ptr<int>>(std::make_unique<int>(5)); };
  auto take = [&]() -> Result<int> {
    KALAM_TRY(std::unique_ptr<int> owned, make());
    return *owned;
  };
  EXPECT_EQ(take().value(), 5);
}

TEST(ResultTest, AnErrorPassesFromOneTypeToAnother) {
  Result<int> number = parse_digit('x');
  Result<std::string> text = fail(std::move(number).error());
  EXPECT_EQ(text.error().message, "not a digit: x");
}

}  // namespace
}  // namespace kalamdb
