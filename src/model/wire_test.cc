#include <gtest/gtest.h>

#include "model/random_value.h"
#include "model/value.h"

namespace kalamdb::model {
namespace {

using std::string_literals::operator""s;

std::string wire(const ValueView& value, const DataType& type) {
  std::string bytes;
  append_wire(bytes, value, type);
  return bytes;
}

// These bytes are stored and sent: they may never change.
TEST(WireTest, GoldenBytes) {
  std::vector<float> vector{1};
  Uuid uuid{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
  EXPECT_EQ(wire(Null{}, {TypeTag::kText}), "\x00"s);
  EXPECT_EQ(wire(true, {TypeTag::kBoolean}), "\x01\x01"s);
  EXPECT_EQ(wire(int64_t{-2}, {TypeTag::kInt}), "\x02\xFE\xFF\xFF\xFF"s);
  EXPECT_EQ(wire(int64_t{1}, {TypeTag::kBigInt}), "\x03\x01\0\0\0\0\0\0\0"s);
  EXPECT_EQ(wire(1.0, {TypeTag::kDouble}), "\x04\0\0\0\0\0\0\xF0\x3F"s);
  EXPECT_EQ(wire(1.0f, {TypeTag::kFloat}), "\x05\0\0\x80\x3F"s);
  EXPECT_EQ(wire(std::string_view("hi"), {TypeTag::kText}), "\x06\x02\0\0\0hi"s);
  EXPECT_EQ(wire(int64_t{1}, {TypeTag::kTimestamp}), "\x07\x01\0\0\0\0\0\0\0"s);
  EXPECT_EQ(wire(int64_t{-1}, {TypeTag::kDate}), "\x08\xFF\xFF\xFF\xFF"s);
  EXPECT_EQ(wire(int64_t{1}, {TypeTag::kDateTime}), "\x09\x01\0\0\0\0\0\0\0"s);
  EXPECT_EQ(wire(int64_t{1}, {TypeTag::kTime}), "\x0A\x01\0\0\0\0\0\0\0"s);
  EXPECT_EQ(wire(std::string_view("{}"), {TypeTag::kJson}), "\x0B\x02\0\0\0{}"s);
  EXPECT_EQ(wire(std::string_view("\0", 1), {TypeTag::kBytes}), "\x0C\x01\0\0\0\0"s);
  EXPECT_EQ(wire(std::span<const float>(vector), {TypeTag::kEmbedding, 1}), "\x0D\x01\0\0\0\0\0\x80\x3F"s);
  EXPECT_EQ(wire(uuid, {TypeTag::kUuid}), "\x0E\0\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0A\x0B\x0C\x0D\x0E\x0F"s);
  EXPECT_EQ(wire(Decimal{-1}, {TypeTag::kDecimal, 0, 10, 2}), "\x0F\x0A\x02"s + std::string(16, '\xFF'));
  EXPECT_EQ(wire(int64_t{258}, {TypeTag::kSmallInt}), "\x10\x02\x01"s);
  EXPECT_EQ(wire(std::string_view("{}"), {TypeTag::kFile}), "\x11\x02\0\0\0{}"s);
}

TEST(WireTest, EveryTypeRoundTripsOneBehindAnother) {
  std::mt19937_64 random(1);
  std::string bytes;
  std::vector<std::pair<DataType, Value>> written;
  for (int i = 0; i < 100; ++i) {
    for (const DataType& type : all_types()) {
      written.emplace_back(type, random_value(random, type));
      append_wire(bytes, view(written.back().second), type);
    }
  }
  std::string_view rest = bytes;
  for (const auto& [type, value] : written) {
    auto read = read_wire(rest);
    ASSERT_TRUE(read) << sql_name(type);
    EXPECT_EQ(read->first, type);
    EXPECT_TRUE(same(view(read->second), view(value))) << sql_name(type);
  }
  EXPECT_TRUE(rest.empty());
}

TEST(WireTest, TruncatedValuesAreCorruption) {
  std::mt19937_64 random(2);
  for (const DataType& type : all_types()) {
    std::string bytes = wire(view(random_value(random, type)), type);
    for (size_t length = 0; length < bytes.size(); ++length) {
      std::string_view rest = std::string_view(bytes).substr(0, length);
      auto read = read_wire(rest);
      ASSERT_FALSE(read) << sql_name(type) << " cut to " << length;
      EXPECT_EQ(read.error().code, ErrorCode::kCorruption);
    }
  }
}

TEST(WireTest, ImpossibleHeadersAreCorruption) {
  for (std::string bytes :
       {"\x12"s, "\xFF"s, "\x01\x02"s, "\x0D\0\0\0\0"s, "\x0D\x01\x20\0\0"s + std::string(8193 * 4, '\0'),
        "\x0F\0\0"s + std::string(16, '\0'), "\x0F\x27\0"s + std::string(16, '\0'),
        "\x0F\x05\x06"s + std::string(16, '\0'), "\x06\xFF\xFF\xFF\xFFhi"s}) {
    std::string_view rest = bytes;
    EXPECT_FALSE(read_wire(rest));
  }
}

}  // namespace
}  // namespace kalamdb::model
