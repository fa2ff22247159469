#include "protocol/cells.h"

#include <gtest/gtest.h>

#include <limits>

namespace kalamdb::protocol {
namespace {

using model::DataType;
using model::TypeTag;
using model::ValueView;

std::string cell(const ValueView& value, DataType type) {
  std::string out;
  append_cell(out, value, type);
  return out;
}

std::string data_type(DataType type) {
  std::string out;
  append_data_type(out, type);
  return out;
}

TEST(Cells, EveryTypeHasItsEncoding) {
  EXPECT_EQ(cell(true, {TypeTag::kBoolean}), "true");
  EXPECT_EQ(cell(int64_t{-7}, {TypeTag::kSmallInt}), "-7");
  EXPECT_EQ(cell(int64_t{42}, {TypeTag::kInt}), "42");
  EXPECT_EQ(cell(int64_t{123}, {TypeTag::kBigInt}), R"("123")");
  EXPECT_EQ(cell(std::numeric_limits<int64_t>::min(), {TypeTag::kBigInt}), R"("-9223372036854775808")");
  EXPECT_EQ(cell(0.5F, {TypeTag::kFloat}), "0.5");
  EXPECT_EQ(cell(2.25, {TypeTag::kDouble}), "2.25");
  EXPECT_EQ(cell(std::string_view("a\"b"), {TypeTag::kText}), R"("a\"b")");
  EXPECT_EQ(cell(int64_t{1704067200000001}, {TypeTag::kTimestamp}), "1704067200000001");
  EXPECT_EQ(cell(int64_t{1704067200000001}, {TypeTag::kDateTime}), "1704067200000001");
  EXPECT_EQ(cell(int64_t{19723}, {TypeTag::kDate}), "19723");
  EXPECT_EQ(cell(int64_t{3600000000}, {TypeTag::kTime}), "3600000000");
  EXPECT_EQ(cell(std::string_view(R"({"a":1})"), {TypeTag::kJson}), R"("{\"a\":1}")");
  EXPECT_EQ(cell(std::string_view("\x00\xDE\xAD", 3), {TypeTag::kBytes}), "[0,222,173]");
  EXPECT_EQ(cell(std::string_view(), {TypeTag::kBytes}), "[]");
  const float numbers[] = {0.25F, -1.0F};
  EXPECT_EQ(cell(std::span<const float>(numbers), {.tag = TypeTag::kEmbedding, .dimension = 2}), "[0.25,-1.0]");
  EXPECT_EQ(cell(std::string_view(R"({"id":"1"})"), {TypeTag::kFile}), R"("{\"id\":\"1\"}")");
  EXPECT_EQ(cell(model::Null{}, {TypeTag::kBigInt}), "null");
}

TEST(Cells, UuidsAreLowercaseWithHyphens) {
  const model::Uuid uuid = {0x12, 0x3e, 0x45, 0x67, 0xe8, 0x9b, 0x12, 0xd3,
                            0xa4, 0x56, 0x42, 0x66, 0x14, 0x17, 0x40, 0xAB};
  EXPECT_EQ(cell(uuid, {TypeTag::kUuid}), R"("123e4567-e89b-12d3-a456-4266141740ab")");
}

TEST(Cells, DecimalsKeepEveryDigitOfTheirScale) {
  const DataType money{.tag = TypeTag::kDecimal, .precision = 10, .scale = 2};
  EXPECT_EQ(cell(model::Decimal{12345}, money), R"("123.45")");
  EXPECT_EQ(cell(model::Decimal{-5}, money), R"("-0.05")");
  EXPECT_EQ(cell(model::Decimal{0}, money), R"("0.00")");
  EXPECT_EQ(cell(model::Decimal{-7}, {.tag = TypeTag::kDecimal, .precision = 5, .scale = 0}), R"("-7")");
  model::Decimal largest{1};
  for (int digit = 0; digit < 38; ++digit) largest.unscaled *= 10;
  largest.unscaled -= 1;
  EXPECT_EQ(cell(largest, {.tag = TypeTag::kDecimal, .precision = 38, .scale = 38}),
            "\"0." + std::string(38, '9') + "\"");
  largest.unscaled = -largest.unscaled;
  EXPECT_EQ(cell(largest, {.tag = TypeTag::kDecimal, .precision = 38, .scale = 0}),
            "\"-" + std::string(38, '9') + "\"");
}

TEST(Cells, NotFiniteValuesAreReported) {
  std::string out;
  const float numbers[] = {1.0F, std::numeric_limits<float>::infinity()};
  EXPECT_FALSE(append_cell(out, std::span<const float>(numbers), {.tag = TypeTag::kEmbedding, .dimension = 2}));
  EXPECT_EQ(out, "[1.0,null]");
  EXPECT_FALSE(append_cell(out, std::numeric_limits<double>::quiet_NaN(), {TypeTag::kDouble}));
  EXPECT_TRUE(append_cell(out, 1.0, {TypeTag::kDouble}));
}

TEST(Cells, DataTypesAreSpelledAsClientsParseThem) {
  EXPECT_EQ(data_type({TypeTag::kBigInt}), R"("BigInt")");
  EXPECT_EQ(data_type({TypeTag::kDateTime}), R"("DateTime")");
  EXPECT_EQ(data_type({TypeTag::kSmallInt}), R"("SmallInt")");
  EXPECT_EQ(data_type({.tag = TypeTag::kEmbedding, .dimension = 384}), R"({"Embedding":384})");
  EXPECT_EQ(data_type({.tag = TypeTag::kDecimal, .precision = 10, .scale = 2}),
            R"({"Decimal":{"precision":10,"scale":2}})");
}

TEST(Cells, SchemaFieldsCarryTheFlagsOfStoredColumns) {
  std::string out;
  const Field fields[] = {{"id", {TypeTag::kBigInt}, flags_of({.name = "id", .primary_key_position = 1})},
                          {"body", {TypeTag::kText}, flags_of({.name = "body"})},
                          {"at", {TypeTag::kTimestamp}, flags_of({.name = "at", .nullable = false})}};
  append_schema(out, fields);
  EXPECT_EQ(out, R"([{"name":"id","data_type":"BigInt","index":0,"flags":["pk","nn","uq"]},)"
                 R"({"name":"body","data_type":"Text","index":1},)"
                 R"({"name":"at","data_type":"Timestamp","index":2,"flags":["nn"]}])");
}

TEST(Cells, RowsAsObjectsLeaveOutWhatIsNotThere) {
  const Field fields[] = {{"i\"d", {TypeTag::kBigInt}}, {"body", {TypeTag::kText}}, {"n", {TypeTag::kInt}}};
  const RowObjectEncoder encoder(fields);
  std::string out;
  encoder.append(out, [](size_t column) -> std::optional<ValueView> {
    if (column == 0) return int64_t{1};
    if (column == 1) return std::nullopt;
    return model::Null{};
  });
  EXPECT_EQ(out, R"({"i\"d":"1","n":null})");
  out.clear();
  encoder.append(out, [](size_t) -> std::optional<ValueView> { return std::nullopt; });
  EXPECT_EQ(out, "{}");
}

}  // namespace
}  // namespace kalamdb::protocol
