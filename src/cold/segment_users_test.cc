#include "cold/segment_users.h"

#include <gtest/gtest.h>

#include "cold/checksum.h"

namespace kalamdb::cold {
namespace {

SegmentUsers sample() {
  SegmentUsers users;
  for (const auto& [name, rows] : {std::pair{"ann", 2}, {"bob", 1}, {"zoe", 4}}) {
    for (int i = 0; i < rows; ++i) users.add_row(UserId(name));
  }
  return users;
}

TEST(SegmentUsers, FindsRangesAndUsers) {
  const SegmentUsers users = sample();
  EXPECT_EQ(users.row_count(), 7U);
  EXPECT_EQ(users.user_count(), 3U);
  EXPECT_EQ(users.range_of(UserId("ann")), (PositionRange{0, 2}));
  EXPECT_EQ(users.range_of(UserId("bob")), (PositionRange{2, 3}));
  EXPECT_EQ(users.range_of(UserId("zoe")), (PositionRange{3, 7}));
  for (const char* nobody : {"", "anna", "an", "zz"}) EXPECT_TRUE(users.range_of(UserId(nobody)).empty()) << nobody;
  const char* expected[] = {"ann", "ann", "bob", "zoe", "zoe", "zoe", "zoe"};
  for (uint32_t i = 0; i < 7; ++i) EXPECT_EQ(users.user_at(i)->value, expected[i]);
  EXPECT_EQ(users.user_at(7), nullptr);
}

TEST(SegmentUsers, ComesBackFromItsRecord) {
  for (const SegmentUsers& users : {SegmentUsers(), sample()}) {
    const auto decoded = SegmentUsers::decode(users.encode());
    ASSERT_TRUE(decoded) << decoded.error().message;
    EXPECT_EQ(*decoded, users);
  }
}

TEST(SegmentUsers, RefusesEveryDamage) {
  const std::string record = sample().encode();
  for (size_t i = 0; i < record.size(); ++i) {
    std::string flipped = record;
    flipped[i] = static_cast<char>(flipped[i] ^ 1);
    EXPECT_FALSE(SegmentUsers::decode(flipped)) << i;
    EXPECT_FALSE(SegmentUsers::decode(record.substr(0, i))) << i;
  }
}

TEST(SegmentUsers, RefusesWhatIsOutOfOrder) {
  // Of "ann" 0, "bob" 2, "zoe" 3: the ids are swapped, the checksum is right.
  std::string record = sample().encode();
  record.resize(record.size() - sizeof(uint64_t));
  record.replace(record.find("ann"), 3, "zzz");
  append_checksum(record);
  EXPECT_FALSE(SegmentUsers::decode(record));
}

}  // namespace
}  // namespace kalamdb::cold
