#include "cold/parquet_footer.h"

#include <gtest/gtest.h>

#include <random>

namespace kalamdb::cold {
namespace {

using std::string_literals::operator""s;

// A FileMetaData with three rows, "a" → "x" and an element of each kind to be skipped.
const std::string kFooter =
    "\x15\x02"                       // 1: version 1
    "\x19\x1C\x48\x01r\x15\x00\x00"  // 2: schema, one element with a name
    "\x16\x06"                       // 3: 3 rows
    "\x19\x0C"                       // 4: no row groups
    "\x19\x2C\x18\x01"               // 5: two key-value pairs
    "a\x18\x01x\x00\x18\x01"
    "b\x00"
    "\x18\x02me"                            // 6: created by
    "\x11"                                  // 7: true
    "\x17\x01\x02\x03\x04\x05\x06\x07\x08"  // 8: a double
    "\x1B\x01\x88\x01k\x01v"                // 9: a map
    "\x19\x21\x01\x02"                      // 10: a list of two booleans
    "\x00"s;

TEST(ParquetFooter, TellsRowsAndMetadata) {
  const auto footer = parse_parquet_footer(kFooter);
  ASSERT_TRUE(footer) << footer.error().message;
  EXPECT_EQ(footer->row_count, 3u);
  EXPECT_EQ(footer->value("a"), "x");
  EXPECT_EQ(footer->value("b"), "");
  EXPECT_EQ(footer->metadata.size(), 2u);
}

TEST(ParquetFooter, AnythingElseIsAnErrorOrAnAnswer) {
  for (size_t length = 0; length < kFooter.size(); ++length) {
    ASSERT_EQ(parse_parquet_footer(kFooter.substr(0, length)).error().code, ErrorCode::kCorruption) << length;
  }
  std::mt19937 random(1);
  for (int i = 0; i < 20'000; ++i) {
    std::string damaged = kFooter;
    for (int j = 0; j < 3; ++j) damaged[random() % damaged.size()] = static_cast<char>(random());
    const auto footer = parse_parquet_footer(damaged);
    ASSERT_TRUE(footer || footer.error().code == ErrorCode::kCorruption);
  }
  // Structs in structs without end.
  EXPECT_FALSE(parse_parquet_footer(std::string(1 << 20, '\x1C')));
}

}  // namespace
}  // namespace kalamdb::cold
