#include "base/bytes.h"

#include <gtest/gtest.h>

#include <limits>

namespace kalamdb {
namespace {

TEST(BytesTest, BigEndianHasTheHighestByteFirst) {
  std::string bytes;
  append_big_endian<uint32_t>(bytes, 0x01020384);
  EXPECT_EQ(bytes, "\x01\x02\x03\x84");
  EXPECT_EQ(read_big_endian<uint32_t>(bytes.data()), 0x01020384u);
}

TEST(BytesTest, LittleEndianHasTheLowestByteFirst) {
  std::string bytes;
  append_little_endian<int16_t>(bytes, -2);
  EXPECT_EQ(bytes, "\xFE\xFF");
  EXPECT_EQ(read_little_endian<int16_t>(bytes.data()), -2);
}

TEST(BytesTest, ExtremesRoundTrip) {
  for (uint64_t value : {uint64_t{0}, uint64_t{1} << 63, std::numeric_limits<uint64_t>::max()}) {
    std::string bytes;
    append_big_endian(bytes, value);
    append_little_endian(bytes, value);
    ASSERT_EQ(bytes.size(), 16u);
    EXPECT_EQ(read_big_endian<uint64_t>(bytes.data()), value);
    EXPECT_EQ(read_little_endian<uint64_t>(bytes.data() + 8), value);
  }
}

TEST(BytesTest, ReadsFromAnyAlignment) {
  std::string bytes = "x";
  append_little_endian<double>(bytes, 1.5);
  EXPECT_EQ(read_little_endian<double>(bytes.data() + 1), 1.5);
}

}  // namespace
}  // namespace kalamdb
