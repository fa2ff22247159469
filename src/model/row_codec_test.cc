#include "model/row_codec.h"

#include <gtest/gtest.h>

#include <cstring>
#include <memory>

#include "base/bytes.h"
#include "model/random_value.h"

namespace kalamdb::model {
namespace {

using std::string_literals::operator""s;

// A table with a column of each type, then the system columns.
TableDefinition table_of_all_types() {
  TableDefinition table;
  uint32_t ordinal = 0;
  for (const DataType& type : all_types()) {
    ColumnDefinition column;
    column.name = "c" + std::to_string(++ordinal);
    column.ordinal = ordinal;
    column.type = type;
    table.columns.push_back(column);
  }
  for (std::string_view name : {kSeqColumn, kDeletedColumn}) {
    ColumnDefinition column;
    column.name = name;
    column.ordinal = ++ordinal;
    column.type = {TypeTag::kBigInt};
    table.columns.push_back(column);
  }
  return table;
}

Row random_row(std::mt19937_64& random, const TableDefinition& table) {
  Row row;
  for (const ColumnDefinition& column : table.columns) {
    row.push_back(column.is_system() || random() % 4 == 0 ? Value(Null{}) : random_value(random, column.type));
  }
  return row;
}

ColumnDefinition column(std::string name, uint32_t ordinal, TypeTag tag) {
  ColumnDefinition column;
  column.name = std::move(name);
  column.ordinal = ordinal;
  column.type = {tag};
  return column;
}

TEST(RowCodecTest, GoldenBytes) {
  RowBuilder builder(3);
  builder.set(3, std::string_view("hi"), {TypeTag::kText});
  builder.set(1, int64_t{-1}, {TypeTag::kSmallInt});
  EXPECT_EQ(builder.finish(), "\x01\x03\x00\x02\x02\x02\x04\xFF\xFFhi"s);
}

TEST(RowCodecTest, EveryTypeRoundTrips) {
  std::mt19937_64 random(1);
  TableDefinition table = table_of_all_types();
  for (int round = 0; round < 300; ++round) {
    Row values = random_row(random, table);
    std::string bytes = encode_row(table, values);
    auto row = RowView::open(bytes);
    ASSERT_TRUE(row);
    for (size_t i = 0; i < values.size(); ++i) {
      auto value = row->get(table.columns[i]);
      ASSERT_TRUE(value) << table.columns[i].name;
      EXPECT_TRUE(same(*value, view(values[i]))) << sql_name(table.columns[i].type);
    }
  }
}

TEST(RowCodecTest, BuilderAndEncodeRowGiveTheSameBytes) {
  std::mt19937_64 random(2);
  TableDefinition table = table_of_all_types();
  for (int round = 0; round < 50; ++round) {
    Row values = random_row(random, table);
    RowBuilder builder(table.columns.size() - 2);  // without the system columns
    for (size_t i = table.columns.size() - 2; i-- > 0;) {
      builder.set(table.columns[i].ordinal, view(values[i]), table.columns[i].type);
    }
    EXPECT_EQ(builder.finish(), encode_row(table, values));
  }
}

TEST(RowCodecTest, OffsetsAreAsWideAsTheyMustBe) {
  DataType text{TypeTag::kText};
  for (auto [size, width] : {std::pair{255, 1}, {256, 2}, {65'535, 2}, {65'536, 4}}) {
    std::string long_text(size, 'x');
    RowBuilder builder(2);
    builder.set(1, std::string_view(long_text), text);
    std::string bytes = builder.finish();
    EXPECT_EQ(bytes[0], width) << size;
    auto row = RowView::open(bytes);
    ASSERT_TRUE(row);
    EXPECT_TRUE(same(*row->get(1, text), std::string_view(long_text)));
    EXPECT_TRUE(is_null(*row->get(2, text)));
  }
}

TEST(RowCodecTest, RowsOfOlderSchemasReadAsTheCurrentOne) {
  TableDefinition old;
  old.columns = {column("id", 1, TypeTag::kBigInt), column("gone", 2, TypeTag::kText),
                 column("_seq", 3, TypeTag::kBigInt)};
  std::string bytes = encode_row(old, {int64_t{7}, "x"s, Null{}});

  // `gone` was dropped and `added` came; its ordinal is behind the system column's.
  ColumnDefinition added = column("added", 4, TypeTag::kInt);
  auto row = RowView::open(bytes);
  ASSERT_TRUE(row);
  EXPECT_TRUE(same(*row->get(old.columns[0]), int64_t{7}));
  EXPECT_FALSE(row->has(4));
  EXPECT_TRUE(is_null(*row->get(added)));
  added.older_rows.edit().missing = int64_t{42};
  EXPECT_TRUE(same(*row->get(added), int64_t{42}));

  // A row of the new schema skips the slots of both.
  TableDefinition now;
  now.columns = {old.columns[0], old.columns[2], added};
  std::string new_bytes = encode_row(now, {int64_t{8}, Null{}, Null{}});
  auto new_row = RowView::open(new_bytes);
  ASSERT_TRUE(new_row);
  EXPECT_TRUE(new_row->has(4));
  EXPECT_TRUE(is_null(*new_row->get(added))) << "an explicit NULL is not the default";
  EXPECT_TRUE(is_null(*new_row->get(2, {TypeTag::kText})));
}

TEST(RowCodecTest, TheHiddenKeyIsStored) {
  TableDefinition table;
  table.columns = {column("a", 1, TypeTag::kInt), column("_key", 2, TypeTag::kBigInt),
                   column("_seq", 3, TypeTag::kBigInt)};
  std::string bytes = encode_row(table, {int64_t{1}, int64_t{99}, int64_t{5}});
  auto row = RowView::open(bytes);
  ASSERT_TRUE(row);
  EXPECT_TRUE(same(*row->get(2, {TypeTag::kBigInt}), int64_t{99}));
  EXPECT_FALSE(row->has(3));
}

TEST(RowCodecTest, VectorsAreReadFromAnyAlignment) {
  DataType type{TypeTag::kEmbedding, 5};
  std::vector<float> vector{1, -2, 3.5, 0, 1e30f};
  RowBuilder builder(1);
  builder.set(1, std::span<const float>(vector), type);
  std::string bytes = builder.finish();
  for (size_t shift = 0; shift < alignof(float); ++shift) {
    std::string shifted = std::string(shift, '#') + bytes;
    auto row = RowView::open(std::string_view(shifted).substr(shift));
    ASSERT_TRUE(row);
    auto first = row->get(1, type);
    auto second = row->get(1, type);
    EXPECT_TRUE(same(*first, std::span<const float>(vector)));
    EXPECT_TRUE(same(*second, *first));
  }
}

TEST(RowCodecTest, TruncatedRowsAreCorruption) {
  std::mt19937_64 random(3);
  TableDefinition table = table_of_all_types();
  std::string bytes = encode_row(table, random_row(random, table));
  for (size_t length = 0; length < bytes.size(); ++length) {
    auto row = RowView::open(std::string_view(bytes).substr(0, length));
    ASSERT_FALSE(row) << length;
    EXPECT_EQ(row.error().code, ErrorCode::kCorruption);
  }
  EXPECT_FALSE(RowView::open(bytes + "x"));
}

// Bytes that were damaged must never be read beyond, whatever they say. The sanitizers watch.
TEST(RowCodecTest, MutatedRowsNeverReadOutside) {
  std::mt19937_64 random(4);
  TableDefinition table = table_of_all_types();
  int corrupt = 0;
  for (int round = 0; round < 20'000; ++round) {
    std::string encoded = encode_row(table, random_row(random, table));
    for (uint64_t flips = 1 + random() % 4; flips > 0; --flips) {
      encoded[random() % std::min<size_t>(encoded.size(), 40)] ^= static_cast<char>(1 << random() % 8);
    }
    // Of exactly the row's size, so that AddressSanitizer sees a read of one byte too many.
    auto bytes = std::make_unique<char[]>(encoded.size());
    std::memcpy(bytes.get(), encoded.data(), encoded.size());
    auto row = RowView::open({bytes.get(), encoded.size()});
    if (!row) {
      EXPECT_EQ(row.error().code, ErrorCode::kCorruption);
      ++corrupt;
      continue;
    }
    for (const ColumnDefinition& column : table.columns) {
      auto value = row->get(column);
      if (value) {
        to_text(*value, column.type);
      } else {
        EXPECT_EQ(value.error().code, ErrorCode::kCorruption);
        ++corrupt;
      }
    }
  }
  EXPECT_GT(corrupt, 10'000);
}

TEST(RowCodecTest, AStoredValueOfAnotherTypeIsCorruption) {
  RowBuilder builder(2);
  builder.set(1, int64_t{1}, {TypeTag::kInt});
  builder.set(2, std::string_view("\x02"), {TypeTag::kText});
  std::string bytes = builder.finish();
  auto row = RowView::open(bytes);
  ASSERT_TRUE(row);
  EXPECT_EQ(row->get(1, {TypeTag::kBigInt}).error().code, ErrorCode::kCorruption);
  EXPECT_EQ(row->get(1, {TypeTag::kEmbedding, 2}).error().code, ErrorCode::kCorruption);
  EXPECT_EQ(row->get(2, {TypeTag::kBoolean}).error().code, ErrorCode::kCorruption);
}

TEST(RowCodecDeathTest, AValueThatWasNotCoercedIsABug) {
  RowBuilder builder(1);
  EXPECT_DEATH(builder.set(1, std::string_view("7"), {TypeTag::kInt}), "bug");
  EXPECT_DEATH(builder.set(2, int64_t{7}, {TypeTag::kInt}), "bug");
}

TEST(RowCodecTest, AChangedTypeReadsOldRowsConverted) {
  TableDefinition before;
  before.columns = {column("a", 1, TypeTag::kInt), column("b", 2, TypeTag::kText)};
  TableDefinition after = before;
  after.columns[0].older_rows.edit().former = {{1, {TypeTag::kInt}}};
  after.columns[0].own_slot = 3;
  after.columns[0].type = {TypeTag::kText};
  const std::string old_row = encode_row(before, {Value(int64_t{42}), Value(std::string("x"))});
  const std::string new_row = encode_row(after, {Value(std::string("43")), Value(std::string("y"))});
  auto old_view = RowView::open(old_row);
  auto new_view = RowView::open(new_row);
  ASSERT_TRUE(old_view && new_view);
  EXPECT_EQ(std::get<std::string_view>(*old_view->get(after.columns[0])), "42");
  EXPECT_EQ(std::get<std::string_view>(*old_view->get(after.columns[1])), "x");
  EXPECT_EQ(std::get<std::string_view>(*new_view->get(after.columns[0])), "43");
  EXPECT_EQ(std::get<std::string_view>(*new_view->get(after.columns[1])), "y");
  // A value that does not convert is one that ALTER TABLE has not seen.
  after.columns[0].type = {TypeTag::kUuid};
  EXPECT_EQ(old_view->get(after.columns[0]).error().code, ErrorCode::kConflict);
}

}  // namespace
}  // namespace kalamdb::model
