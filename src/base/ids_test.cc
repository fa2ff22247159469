#include "base/ids.h"

#include <gtest/gtest.h>

#include <type_traits>
#include <unordered_set>

namespace kalamdb {
namespace {

static_assert(!std::is_convertible_v<uint32_t, TableId>, "a number is not a table id unless someone says so");
static_assert(!std::is_convertible_v<TableId, uint32_t>);

TEST(IdsTest, NamedTypesCompareAndHashAsTheirValues) {
  EXPECT_LT(TableId(1), TableId(2));
  EXPECT_EQ(UserId("ann"), UserId("ann"));
  std::unordered_set<UserId> users{UserId("ann"), UserId("Ann"), UserId("ann")};
  EXPECT_EQ(users.size(), 2u);
}

TEST(IdsTest, SeqCarriesItsCommitTime) {
  EXPECT_EQ(seq_time_us(0), 1'704'067'200'000'000);
  Seq one_second_later = Seq{1000} << 22 | 5 << 12 | 7;
  EXPECT_EQ(seq_time_us(one_second_later), 1'704'067'201'000'000);
}

}  // namespace
}  // namespace kalamdb
