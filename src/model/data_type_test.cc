#include "model/data_type.h"

#include <gtest/gtest.h>

#include "model/random_value.h"

namespace kalamdb::model {
namespace {

TEST(DataTypeTest, TagsAreStable) {
  const std::pair<TypeTag, std::string_view> kExpected[] = {
      {TypeTag{0x01}, "BOOLEAN"},   {TypeTag{0x02}, "INT"},  {TypeTag{0x03}, "BIGINT"},    {TypeTag{0x04}, "DOUBLE"},
      {TypeTag{0x05}, "FLOAT"},     {TypeTag{0x06}, "TEXT"}, {TypeTag{0x07}, "TIMESTAMP"}, {TypeTag{0x08}, "DATE"},
      {TypeTag{0x09}, "DATETIME"},  {TypeTag{0x0A}, "TIME"}, {TypeTag{0x0B}, "JSON"},      {TypeTag{0x0C}, "BYTES"},
      {TypeTag{0x0D}, "EMBEDDING"}, {TypeTag{0x0E}, "UUID"}, {TypeTag{0x0F}, "DECIMAL"},   {TypeTag{0x10}, "SMALLINT"},
      {TypeTag{0x11}, "FILE"},
  };
  for (auto [tag, name] : kExpected) EXPECT_EQ(type_name(tag), name);
}

TEST(DataTypeTest, EveryTypeHasANameThatParsesBack) {
  for (const DataType& type : all_types()) {
    bool decimal = type.tag == TypeTag::kDecimal;
    auto parsed = parse_type(type_name(type.tag), decimal ? type.precision : type.dimension, type.scale);
    ASSERT_TRUE(parsed) << sql_name(type);
    EXPECT_EQ(*parsed, type);
  }
  EXPECT_EQ(sql_name({TypeTag::kEmbedding, 384}), "EMBEDDING(384)");
  EXPECT_EQ(sql_name({TypeTag::kDecimal, 0, 10, 2}), "DECIMAL(10, 2)");
}

TEST(DataTypeTest, AliasesInAnyLetterCase) {
  const std::pair<std::string_view, TypeTag> kAliases[] = {
      {"int8", TypeTag::kBigInt},
      {"INT2", TypeTag::kSmallInt},
      {"Int4", TypeTag::kInt},
      {"tinyint", TypeTag::kSmallInt},
      {"MediumInt", TypeTag::kInt},
      {"bool", TypeTag::kBoolean},
      {"real", TypeTag::kFloat},
      {"float8", TypeTag::kDouble},
      {"double precision", TypeTag::kDouble},
      {"varchar", TypeTag::kText},
      {"character varying", TypeTag::kText},
      {"jsonb", TypeTag::kJson},
      {"blob", TypeTag::kBytes},
      {"bytea", TypeTag::kBytes},
      {"binary", TypeTag::kBytes},
      {"numeric", TypeTag::kDecimal},
      {"timestamptz", TypeTag::kDateTime},
      {"enum", TypeTag::kText},
  };
  for (auto [name, tag] : kAliases) {
    auto parsed = parse_type(name);
    ASSERT_TRUE(parsed) << name;
    EXPECT_EQ(parsed->tag, tag) << name;
  }
}

TEST(DataTypeTest, DecimalNumbersHaveDefaultsAndBounds) {
  EXPECT_EQ(*parse_type("DECIMAL"), (DataType{TypeTag::kDecimal, 0, 38, 10}));
  EXPECT_EQ(*parse_type("DECIMAL", 7), (DataType{TypeTag::kDecimal, 0, 7, 0}));
  EXPECT_TRUE(parse_type("DECIMAL", 38, 38));
  EXPECT_FALSE(parse_type("DECIMAL", 39, 0));
  EXPECT_FALSE(parse_type("DECIMAL", 0, 0));
  EXPECT_FALSE(parse_type("DECIMAL", 5, 6));
  EXPECT_FALSE(parse_type("DECIMAL", 5, -1));
}

TEST(DataTypeTest, EmbeddingNeedsADimension) {
  EXPECT_FALSE(parse_type("EMBEDDING"));
  EXPECT_FALSE(parse_type("EMBEDDING", 0));
  EXPECT_TRUE(parse_type("EMBEDDING", 8192));
  EXPECT_FALSE(parse_type("EMBEDDING", 8193));
}

TEST(DataTypeTest, RefusalsNameTheType) {
  EXPECT_EQ(parse_type("INTERVAL").error().message, "Unsupported column type 'INTERVAL'");
  EXPECT_EQ(parse_type("frob").error().code, ErrorCode::kInvalidSql);
  EXPECT_NE(parse_type("INT UNSIGNED").error().message.find("Unsigned"), std::string::npos);
  EXPECT_NE(parse_type("ubigint").error().message.find("Unsigned"), std::string::npos);
}

TEST(DataTypeTest, SerialTypes) {
  for (std::string_view name : {"serial", "BIGSERIAL", "SmallSerial", "SERIAL2", "SERIAL4", "SERIAL8"}) {
    EXPECT_TRUE(is_serial_type(name)) << name;
  }
  EXPECT_FALSE(is_serial_type("BIGINT"));
}

}  // namespace
}  // namespace kalamdb::model
