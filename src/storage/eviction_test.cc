#include "storage/eviction.h"

#include <gtest/gtest.h>

#include "storage/test_database.h"

namespace kalamdb::storage {
namespace {

class EvictionTest : public DatabaseTest {
 protected:
  // Hot rows that are still there, expired or not.
  size_t stored(const model::TablePtr& table, const UserId& user) {
    const auto entries = database_->hot().change_seqs(table->id, user, nullptr);
    size_t rows = 0;
    const auto cursor = database_->hot().scan(table->id, user, "", "", true, nullptr);
    while (*cursor->next()) ++rows;
    EXPECT_EQ(rows, entries->size()) << "each row has its entry in the change index";
    return rows;
  }
  void fill(const model::TablePtr& table, const UserId& user, int64_t first, int64_t last) {
    for (int64_t id = first; id <= last; ++id) ASSERT_TRUE(commit(insert(table, user, id, id)));
  }
  uint64_t evict(const model::TablePtr& table, uint64_t max_rows = 1000) {
    return *database_->evict(table, *database_->evictable_up_to(table), max_rows);
  }
  // As large as five rows of fill().
  model::TablePtr bounded_stream(uint64_t ttl_seconds) {
    auto table =
        std::make_shared<model::TableDefinition>(*test_table(9, model::TableType::kStream, "bounded", ttl_seconds));
    table->options.max_stream_size_bytes = 5 * (test_key(1).size() + test_row(table, 1, 1).size());
    return table;
  }

  const UserId bob_{"bob"};
};

TEST_F(EvictionTest, RowsPastTheirTimeGo) {
  fill(stream_, ann_, 1, 3);
  fill(stream_, bob_, 1, 2);
  EXPECT_EQ(evict(stream_), 0u);
  clock_.advance_us(9'000'000);
  fill(stream_, ann_, 4, 5);
  clock_.advance_us(1'000'000);  // the first ones are ten seconds old
  EXPECT_EQ(stored(stream_, ann_), 5u);
  EXPECT_EQ(evict(stream_, 4), 4u) << "as many as may go at a time";
  EXPECT_EQ(evict(stream_, 4), 1u);
  EXPECT_EQ(evict(stream_, 4), 0u);
  EXPECT_EQ(stored(stream_, ann_), 2u);
  EXPECT_EQ(stored(stream_, bob_), 0u);
  EXPECT_EQ(*scan(stream_, ann_), (Rows{{4, 4}, {5, 5}}));
}

TEST_F(EvictionTest, TheOldestRowsGoWhenTheTableIsTooLarge) {
  const auto table = bounded_stream(0);
  create(table);
  fill(table, ann_, 1, 3);
  fill(table, bob_, 1, 2);
  EXPECT_EQ(evict(table), 0u) << "it is just as large as it may be";
  fill(table, bob_, 3, 3);
  fill(table, ann_, 4, 4);
  EXPECT_EQ(evict(table), 2u);
  EXPECT_EQ(*scan(table, ann_), (Rows{{3, 3}, {4, 4}}));
  EXPECT_EQ(*scan(table, bob_), (Rows{{1, 1}, {2, 2}, {3, 3}}));
  clock_.advance_us(int64_t{366} * 24 * 3600 * 1'000'000);
  EXPECT_EQ(evict(table), 0u) << "age does not count";
}

TEST_F(EvictionTest, RowsPastTheirTimeDoNotCountForTheSize) {
  const auto table = bounded_stream(10);
  create(table);
  fill(table, ann_, 1, 4);
  clock_.advance_us(10'000'000);
  fill(table, bob_, 1, 5);
  EXPECT_EQ(evict(table), 4u);
  EXPECT_EQ(stored(table, bob_), 5u);
  fill(table, bob_, 6, 6);
  EXPECT_EQ(evict(table), 1u);
  EXPECT_EQ(stored(table, bob_), 5u);
}

TEST_F(EvictionTest, ARowThatIsWrittenMeanwhileStays) {
  fill(stream_, ann_, 1, 3);
  clock_.advance_us(10'000'000);
  const Seq up_to = *database_->evictable_up_to(stream_);
  auto eviction = *Eviction::prepare(database_->hot(), stream_, database_->watch_writes(stream_->id), up_to, 1000);
  EXPECT_EQ(eviction->row_count(), 3u);
  fill(stream_, ann_, 2, 2);  // takes the place of an expired row
  CommitRequest request;
  request.segments_change = eviction;
  ASSERT_TRUE(database_->committer().commit(std::move(request)));
  EXPECT_EQ(stored(stream_, ann_), 1u);
  EXPECT_EQ(*scan(stream_, ann_), (Rows{{2, 2}}));
}

TEST_F(EvictionTest, AnAlteredTableIsAConflict) {
  fill(stream_, ann_, 1, 3);
  clock_.advance_us(10'000'000);
  auto altered = std::make_shared<model::TableDefinition>(*stream_);
  altered->schema_version = 2;
  altered->options.ttl_seconds = 3600;
  create(altered);
  const auto evicted = database_->evict(stream_, *database_->evictable_up_to(stream_), 1000);
  ASSERT_FALSE(evicted);
  EXPECT_EQ(evicted.error().code, ErrorCode::kConflict);
  EXPECT_EQ(scan(altered, ann_)->size(), 3u);
}

}  // namespace
}  // namespace kalamdb::storage
