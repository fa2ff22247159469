// Flush and lookup with the real engine and real Parquet files.
#include "storage/test_real_engine.h"

namespace kalamdb::storage {
namespace {

using EngineFlushTest = RealEngineTest;

TEST_F(EngineFlushTest, PositionsAreThoseOfTheKeysInOrder) {
  constexpr int64_t kRows = 150'000;  // several row groups
  CommitRequest request;
  for (int64_t id = kRows; id > 0; --id) request.rows.push_back(insert(shared_, nobody_, id, id * 3));
  ASSERT_TRUE(database_->committer().commit(std::move(request)));
  const auto flushed = flush(shared_);
  ASSERT_TRUE(flushed) << flushed.error().message;
  EXPECT_EQ(flushed->rows, uint64_t{kRows});
  EXPECT_EQ(flushed->segments, 1u);
  for (const int64_t id :
       {int64_t{1}, int64_t{2}, int64_t{2048}, int64_t{2049}, int64_t{65'537}, int64_t{131'073}, kRows}) {
    const auto found = database_->find(shared_, nobody_, test_key(id), nullptr);
    ASSERT_TRUE(found) << found.error().message;
    ASSERT_TRUE(*found) << id;
    EXPECT_EQ(test_value((*found)->row), id * 3);
    ASSERT_TRUE((*found)->cold);
    EXPECT_EQ((*found)->cold->position, id - 1);
    ASSERT_TRUE(put(shared_, nobody_, id, -id));
    const auto changed = database_->find(shared_, nobody_, test_key(id), nullptr);
    EXPECT_EQ(test_value((*changed)->row), -id);
    EXPECT_FALSE((*changed)->cold);
  }
  const std::vector<std::string> keys = {test_key(1), test_key(3), test_key(kRows + 1)};
  const auto cold = database_->cold_keys(shared_, nobody_, keys, nullptr);
  ASSERT_EQ(cold->taken.size(), 1u);
  EXPECT_EQ(cold->taken[0].key, test_key(3));
  ASSERT_TRUE(remove(shared_, nobody_, 3));
  EXPECT_EQ(database_->find(shared_, nobody_, test_key(3), nullptr)->has_value(), false);
  const auto again = flush(shared_);
  ASSERT_TRUE(again) << again.error().message;
  EXPECT_EQ(again->rows, 7u);
  open();
  EXPECT_EQ(test_value(database_->find(shared_, nobody_, test_key(2048), nullptr)->value().row), -2048);
  EXPECT_EQ(test_value(database_->find(shared_, nobody_, test_key(2047), nullptr)->value().row), 2047 * 3);
}

TEST_F(EngineFlushTest, CompactedSegmentsHoldTheSameRowsInKeyOrder) {
  constexpr int64_t kSegments = 5;
  constexpr int64_t kRows = 30'000;
  for (int64_t s = 0; s < kSegments; ++s) {
    CommitRequest request;
    for (int64_t r = 0; r < kRows; ++r) request.rows.push_back(insert(shared_, nobody_, r * kSegments + s, r));
    ASSERT_TRUE(database_->committer().commit(std::move(request)));
    ASSERT_TRUE(flush(shared_));
  }
  for (int64_t id = 0; id < 2000; id += 3) ASSERT_TRUE(remove(shared_, nobody_, id));
  const Seq seq = database_->find(shared_, nobody_, test_key(100'001), nullptr)->value().seq;
  const auto compacted = database_->compact(shared_, std::nullopt, CompactKind::kOptimize);
  ASSERT_TRUE(compacted) << compacted.error().message;
  EXPECT_EQ(compacted->segments_before, 5u);
  EXPECT_EQ(compacted->segments_after, 1u);
  for (int64_t id = 0; id < kRows * kSegments; id += id < 2000 ? 1 : 997) {
    const auto found = database_->find(shared_, nobody_, test_key(id), nullptr);
    ASSERT_TRUE(found) << found.error().message;
    ASSERT_EQ(found->has_value(), id >= 2000 || id % 3 != 0) << id;
    if (*found) {
      ASSERT_EQ(test_value((*found)->row), id / kSegments);
      ASSERT_EQ((*found)->cold->position, id - std::min<int64_t>((id + 2) / 3, 667));
    }
  }
  EXPECT_EQ(database_->find(shared_, nobody_, test_key(100'001), nullptr)->value().seq, seq);
}

TEST_F(EngineFlushTest, AMissingSegmentIsAnErrorNotAnEmptyTable) {
  ASSERT_TRUE(commit(insert(shared_, nobody_, 1, 1)));
  ASSERT_TRUE(flush(shared_));
  std::filesystem::remove(storage_directory() + "/app/notes/batch-0.parquet");
  EXPECT_FALSE(database_->find(shared_, nobody_, test_key(1), nullptr));
}

}  // namespace
}  // namespace kalamdb::storage
