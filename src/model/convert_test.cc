#include "model/convert.h"

#include <gtest/gtest.h>

#include "model/random_value.h"

namespace kalamdb::model {
namespace {

TEST(ConvertTest, WhatAlwaysConvertsDoes) {
  std::mt19937_64 random(7);
  for (const DataType& from : all_types()) {
    for (const DataType& to : all_types()) {
      if (conversion(from, to) != Conversion::kAlways) continue;
      for (int i = 0; i < 200; ++i) {
        const Value value = random_value(random, from);
        const auto converted = convert(view(value), from, to);
        ASSERT_TRUE(converted) << sql_name(from) << " to " << sql_name(to) << ": " << to_text(view(value), from) << ": "
                               << converted.error().message;
      }
    }
  }
}

TEST(ConvertTest, ValuesThatDoNotFitAreRefused) {
  const DataType big{TypeTag::kBigInt};
  EXPECT_FALSE(convert(int64_t{40000}, big, {TypeTag::kSmallInt}));
  EXPECT_EQ(*convert(int64_t{-5}, big, {TypeTag::kSmallInt}), Value(int64_t{-5}));
  EXPECT_FALSE(convert(std::string_view("x"), {TypeTag::kText}, big));
  EXPECT_FALSE(convert(1.5, {TypeTag::kDouble}, big));
  EXPECT_EQ(*convert(Null{}, {TypeTag::kText}, big), Value(Null{}));
  EXPECT_EQ(*convert(Decimal{150}, {TypeTag::kDecimal, 0, 5, 2}, {TypeTag::kDecimal, 0, 8, 3}), Value(Decimal{1500}));
  EXPECT_EQ(*convert(Decimal{150}, {TypeTag::kDecimal, 0, 5, 2}, {TypeTag::kText}), Value(std::string("1.50")));
}

TEST(ConvertTest, SomePairsMeanNothing) {
  EXPECT_EQ(conversion({TypeTag::kUuid}, {TypeTag::kInt}), Conversion::kNone);
  EXPECT_EQ(conversion({TypeTag::kInt}, {TypeTag::kDate}), Conversion::kNone);
  EXPECT_EQ(conversion({TypeTag::kText}, {TypeTag::kFile}), Conversion::kNone);
  EXPECT_EQ(conversion({TypeTag::kEmbedding, 3}, {TypeTag::kEmbedding, 4}), Conversion::kNone);
}

}  // namespace
}  // namespace kalamdb::model
