#include "model/key_codec.h"

#include <gtest/gtest.h>

#include <cmath>
#include <compare>

#include "model/random_value.h"

namespace kalamdb::model {
namespace {

using std::string_literals::operator""s;

std::string key_of(const ValueView& value, const DataType& type) {
  std::string key;
  append_key(key, value, type);
  return key;
}

int sign(auto order) { return order < 0 ? -1 : order > 0 ? 1 : 0; }

// NaN after everything, zeros equal.
int compare_floats(double a, double b) {
  if (std::isnan(a) || std::isnan(b)) return static_cast<int>(std::isnan(a)) - static_cast<int>(std::isnan(b));
  return a < b ? -1 : a > b ? 1 : 0;
}

// The order of values that keys must have, written the plain way.
int compare(const Value& a, const Value& b) {
  if (auto x = std::get_if<bool>(&a)) return sign(*x <=> std::get<bool>(b));
  if (auto x = std::get_if<int64_t>(&a)) return sign(*x <=> std::get<int64_t>(b));
  if (auto x = std::get_if<float>(&a)) return compare_floats(*x, std::get<float>(b));
  if (auto x = std::get_if<double>(&a)) return compare_floats(*x, std::get<double>(b));
  if (auto x = std::get_if<std::string>(&a)) return sign(x->compare(std::get<std::string>(b)));
  if (auto x = std::get_if<Uuid>(&a)) return sign(*x <=> std::get<Uuid>(b));
  Int128 x = std::get<Decimal>(a).unscaled;
  Int128 y = std::get<Decimal>(b).unscaled;
  return x < y ? -1 : x > y ? 1 : 0;
}

std::vector<DataType> key_types() {
  std::vector<DataType> types = all_types();
  std::erase_if(types, [](const DataType& type) { return !can_be_key(type.tag); });
  return types;
}

TEST(KeyCodecTest, AllTypesButEmbeddingCanBeKeys) {
  EXPECT_EQ(key_types().size(), 16u);
  EXPECT_FALSE(can_be_key(TypeTag::kEmbedding));
}

TEST(KeyCodecTest, BytesSortAsValuesSort) {
  std::mt19937_64 random(1);
  for (const DataType& type : key_types()) {
    for (int i = 0; i < 3'000; ++i) {
      Value a = random_value(random, type);
      Value b = random_value(random, type);
      ASSERT_EQ(sign(key_of(view(a), type).compare(key_of(view(b), type))), compare(a, b))
          << sql_name(type) << ": " << to_text(view(a), type) << " and " << to_text(view(b), type);
    }
  }
}

TEST(KeyCodecTest, CompositeKeysSortColumnByColumn) {
  std::mt19937_64 random(2);
  DataType text{TypeTag::kText};
  DataType number{TypeTag::kInt};
  for (int i = 0; i < 10'000; ++i) {
    Value text_a = random_value(random, text);
    Value text_b = random_value(random, text);
    Value number_a = random_value(random, number);
    Value number_b = random_value(random, number);
    int expected = compare(text_a, text_b);
    if (expected == 0) expected = compare(number_a, number_b);
    std::string a = key_of(view(text_a), text) + key_of(view(number_a), number);
    std::string b = key_of(view(text_b), text) + key_of(view(number_b), number);
    ASSERT_EQ(sign(a.compare(b)), expected);
  }
}

TEST(KeyCodecTest, EveryTypeRoundTripsAndConsumesItsBytes) {
  std::mt19937_64 random(3);
  for (const DataType& type : key_types()) {
    for (int i = 0; i < 300; ++i) {
      Value value = random_value(random, type);
      std::string bytes = key_of(view(value), type) + "rest";
      std::string_view rest = bytes;
      auto read = read_key(rest, type);
      ASSERT_TRUE(read) << sql_name(type);
      EXPECT_EQ(compare(*read, value), 0) << sql_name(type);
      EXPECT_EQ(rest, "rest");
    }
  }
}

TEST(KeyCodecTest, GoldenBytes) {
  EXPECT_EQ(key_of(true, {TypeTag::kBoolean}), "\x01"s);
  EXPECT_EQ(key_of(int64_t{1}, {TypeTag::kSmallInt}), "\x80\x01"s);
  EXPECT_EQ(key_of(int64_t{-1}, {TypeTag::kInt}), "\x7F\xFF\xFF\xFF"s);
  EXPECT_EQ(key_of(int64_t{0}, {TypeTag::kBigInt}), "\x80\0\0\0\0\0\0\0"s);
  EXPECT_EQ(key_of(1.0f, {TypeTag::kFloat}), "\xBF\x80\0\0"s);
  EXPECT_EQ(key_of(-1.0f, {TypeTag::kFloat}), "\x40\x7F\xFF\xFF"s);
  EXPECT_EQ(key_of(std::string_view("a\0b", 3), {TypeTag::kText}), "a\0\xFF"s + "b\0\0"s);
  EXPECT_EQ(key_of(std::string_view(), {TypeTag::kBytes}), "\0\0"s);
}

TEST(KeyCodecTest, ZerosAreOneKeyAndSoAreNans) {
  DataType type{TypeTag::kDouble};
  EXPECT_EQ(key_of(0.0, type), key_of(-0.0, type));
  EXPECT_EQ(key_of(std::nan(""), type), key_of(-std::nan("7"), type));
}

TEST(KeyCodecTest, TruncatedKeysAreCorruption) {
  std::mt19937_64 random(4);
  for (const DataType& type : key_types()) {
    std::string bytes = key_of(view(random_value(random, type)), type);
    for (size_t length = 0; length < bytes.size(); ++length) {
      std::string_view rest = std::string_view(bytes).substr(0, length);
      auto read = read_key(rest, type);
      ASSERT_FALSE(read) << sql_name(type) << " cut to " << length;
      EXPECT_EQ(read.error().code, ErrorCode::kCorruption);
    }
  }
  std::string_view unknown_escape("a\0\x01", 3);
  EXPECT_FALSE(read_key(unknown_escape, {TypeTag::kText}));
}

ColumnDefinition column(std::string name, uint32_t ordinal, TypeTag tag, uint32_t key_position) {
  ColumnDefinition column;
  column.name = std::move(name);
  column.ordinal = ordinal;
  column.type = {tag};
  column.primary_key_position = key_position;
  return column;
}

TEST(KeyCodecTest, RowsAreKeyedInKeyOrder) {
  TableDefinition table;
  table.columns = {column("a", 1, TypeTag::kInt, 2), column("b", 2, TypeTag::kText, 0),
                   column("c", 3, TypeTag::kText, 1)};
  std::string key = encode_key(table, {int64_t{7}, "ignored"s, "x"s});
  EXPECT_EQ(key, "x\0\0\x80\0\0\x07"s);
  EXPECT_EQ(key_to_text(table, key), "(x, 7)");
}

TEST(KeyCodecTest, OneColumnAndTheHiddenKey) {
  TableDefinition table;
  table.columns = {column("a", 1, TypeTag::kInt, 0), column("_key", 2, TypeTag::kBigInt, 0)};
  std::string key = encode_key(table, {int64_t{7}, int64_t{42}});
  EXPECT_EQ(key_to_text(table, key), "42");
  EXPECT_EQ(key_to_text(table, "short"), "?");
}

}  // namespace
}  // namespace kalamdb::model
