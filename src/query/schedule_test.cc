// The schedule and the jobs that it starts, for weeks on a clock that the test moves.
#include "query/schedule.h"

#include <gtest/gtest.h>

#include <memory>
#include <set>
#include <thread>

#include "query/housekeeping.h"
#include "query/maintenance.h"
#include "storage/test_database.h"

namespace kalamdb::query {
namespace {

constexpr int64_t kHourUs = 3'600'000'000;
constexpr int64_t kDayUs = 24 * kHourUs;

class ScheduleTest : public storage::DatabaseTest {
 protected:
  void SetUp() override {
    DatabaseTest::SetUp();
    start();
  }
  void create_tables() override {}
  void TearDown() override {
    stop();
    DatabaseTest::TearDown();
  }
  void start() {
    catalog_ = *catalog::Catalog::open(*database_, clock_, 1000);
    jobs_ = std::make_unique<jobs::JobManager>(*database_, clock_, random_, jobs::JobOptions{.max_concurrent = 4});
    services_ = std::make_unique<Services>(
        Services{*catalog_, *database_, engine(), *jobs_, clock_, random_, ids_, transactions_, limits_});
    register_executors(*services_, *jobs_);
    ASSERT_TRUE(jobs_->start());
    schedule_ = std::make_unique<Schedule>(*services_, options_);
  }
  void stop() {
    schedule_.reset();
    if (jobs_ != nullptr) jobs_->stop();
    jobs_.reset();
    services_.reset();
    catalog_.reset();
  }

  model::TablePtr create_table(const std::string& name, model::TableType type, model::TableOptions options) {
    model::TableDefinition draft = *storage::test_table(0, type, name);
    draft.namespace_id = "default";
    draft.options = std::move(options);
    auto table = catalog_->create_table(std::move(draft));
    EXPECT_TRUE(table) << table.error().message;
    return *table;
  }
  void idle() {
    wait_until([&] { return jobs_->live().empty(); });
  }
  // Lets time pass, with what is due in it.
  void pass(int64_t duration_us) {
    const int64_t end_us = clock_.monotonic_us() + duration_us;
    while (true) {
      const int64_t next_us = schedule_->run_due();
      idle();
      const int64_t left_us = end_us - clock_.monotonic_us();
      if (left_us <= 0) return;
      clock_.advance_us(std::min(next_us, left_us));
      jobs_->wake();
    }
  }
  std::vector<jobs::Job> of(jobs::JobType type) {
    auto all = *jobs_->list();
    std::erase_if(all, [&](const jobs::Job& job) { return job.type != type; });
    return all;
  }

  ScheduleOptions options_;
  QueryLimits limits_;
  platform::SnowflakeGenerator ids_{clock_, 1};
  OpenTransactions transactions_;
  std::unique_ptr<catalog::Catalog> catalog_;
  std::unique_ptr<jobs::JobManager> jobs_;
  std::unique_ptr<Services> services_;
  std::unique_ptr<Schedule> schedule_;
};

TEST_F(ScheduleTest, KeysNameTheHour) {
  EXPECT_EQ(scheduled_key(jobs::JobType::kFlush, "app:t", storage::kTestStartUs), "FL:app:t:2026-05-28-20");
  EXPECT_EQ(scheduled_key(jobs::JobType::kJobCleanup, "", storage::kTestStartUs), "JC:2026-05-28-20");
}

TEST_F(ScheduleTest, AnIdleServerStartsNothing) {
  create_table("t", model::TableType::kShared, {});
  create_table("s", model::TableType::kStream, {.ttl_seconds = 10});
  pass(2 * kDayUs);
  EXPECT_TRUE(jobs_->list()->empty());
}

TEST_F(ScheduleTest, FlushPoliciesAreKept) {
  const auto by_rows =
      create_table("by_rows", model::TableType::kShared, {.flush_policy = model::FlushPolicy{.rows = 10}});
  const auto by_time =
      create_table("by_time", model::TableType::kShared, {.flush_policy = model::FlushPolicy{.interval_seconds = 600}});
  fill(by_rows, nobody_, 1, 9);
  fill(by_time, nobody_, 1, 1);
  pass(120'000'000);
  EXPECT_TRUE(of(jobs::JobType::kFlush).empty());
  fill(by_rows, nobody_, 10, 10);
  pass(60'000'000);
  ASSERT_EQ(of(jobs::JobType::kFlush).size(), 1U);
  EXPECT_TRUE(of(jobs::JobType::kFlush)[0].idempotency_key.starts_with("FL:default:by_rows:"));
  pass(600'000'000);
  EXPECT_EQ(of(jobs::JobType::kFlush).size(), 2U);
  EXPECT_EQ(database_->pending_rows(by_time->id), 0U);
}

TEST_F(ScheduleTest, EvictionsGoOnInBatches) {
  stop();
  limits_.eviction_batch_size = 10;
  start();
  const auto table = create_table("s", model::TableType::kStream, {.ttl_seconds = 10});
  fill(table, ann_, 1, 35);
  pass(kHourUs);
  const auto evictions = of(jobs::JobType::kStreamEviction);
  ASSERT_EQ(evictions.size(), 1U);
  EXPECT_EQ(evictions[0].status, jobs::JobStatus::kCompleted);
  EXPECT_NE(evictions[0].message.find("Evicted 35 expired rows from default:s (ttl: 10s)"), std::string::npos);
  EXPECT_EQ(evictions[0].retry_count, 0U);
  EXPECT_EQ(database_->hot().users(table->id, nullptr)->size(), 0U);
}

TEST_F(ScheduleTest, UsersGoWithTheirRowsAfterTheirGrace) {
  std::vector<model::TablePtr> tables;
  for (int i = 0; i < 50; ++i) {
    tables.push_back(create_table("t" + std::to_string(i), model::TableType::kUser, {}));
    fill(tables.back(), ann_, 1, 3);
    if (i % 2 == 0) ASSERT_TRUE(flush(tables.back()));
    fill(tables.back(), UserId("ben"), 1, 2);
  }
  for (const char* name : {"ann", "ben"}) {
    catalog::User user;
    user.id = name;
    ASSERT_TRUE(catalog_->create_user(user));
  }
  const auto refused = start_user_cleanup(*services_, *catalog_->find_user("ben"));
  ASSERT_TRUE(refused);
  EXPECT_EQ(jobs_->wait(*refused)->message, "User must be soft-deleted first");
  EXPECT_FALSE(jobs_->create({.type = jobs::JobType::kUserCleanup}));

  const int64_t dropped_us = clock_.now_us();
  ASSERT_TRUE(catalog_->change_user("ann", [&](catalog::User& user) { user.deleted_at_us = dropped_us; }));
  pass(30 * kDayUs - kHourUs);
  EXPECT_NE(catalog_->find_user("ann"), nullptr);
  EXPECT_EQ(scan(tables[0], ann_)->size(), 3U);
  pass(2 * kHourUs);
  EXPECT_EQ(catalog_->find_user("ann"), nullptr);
  for (const auto& table : tables) {
    EXPECT_TRUE(scan(table, ann_)->empty());
    EXPECT_EQ(scan(table, UserId("ben"))->size(), 2U) << table->qualified_name();
  }
  const auto cleanups = of(jobs::JobType::kUserCleanup);
  const auto done = std::ranges::find(cleanups, jobs::JobStatus::kCompleted, &jobs::Job::status);
  ASSERT_NE(done, cleanups.end());
  EXPECT_NE(done->message.find("Cleaned up user ann - 150 rows in 50 tables deleted"), std::string::npos)
      << done->message;
  EXPECT_TRUE(of(jobs::JobType::kManifestEviction).empty());
  pass(9 * kDayUs);
  const auto evictions = of(jobs::JobType::kManifestEviction);
  ASSERT_EQ(evictions.size(), 1U);
  EXPECT_NE(evictions[0].message.find("Evicted 25 stale manifest entries (ttl_days=7)"), std::string::npos)
      << evictions[0].message;
}

// Forty days: nothing fails, nothing piles up.
TEST_F(ScheduleTest, AMonthOfSchedules) {
  const auto table =
      create_table("t", model::TableType::kShared,
                   {.flush_policy = model::FlushPolicy{.interval_seconds = 3600}, .deleted_retention_hours = 48});
  const auto stream = create_table("s", model::TableType::kStream, {.ttl_seconds = 3600});
  int64_t id = 0;
  for (int step = 0; step < 40 * 4; ++step) {
    fill(table, nobody_, id + 1, id + 10);
    fill(stream, ann_, id + 1, id + 10);
    ASSERT_TRUE(remove(table, nobody_, id + 1));
    id += 10;
    pass(6 * kHourUs);
  }
  pass(kHourUs);
  const auto all = *jobs_->list();
  std::set<std::string> keys;
  for (const auto& job : all) {
    EXPECT_EQ(job.status, jobs::JobStatus::kCompleted) << job.message;
    EXPECT_GE(job.finished_at_us, clock_.now_us() - 30 * kDayUs - 2 * kHourUs);
    if (job.type == jobs::JobType::kCompact) continue;  // begun by flushes
    EXPECT_TRUE(keys.insert(job.idempotency_key).second) << job.idempotency_key;
  }
  EXPECT_GT(of(jobs::JobType::kRetention).size(), 30U);
  EXPECT_GT(of(jobs::JobType::kStreamEviction).size(), 100U);
  EXPECT_GT(of(jobs::JobType::kJobCleanup).size(), 5U);
  EXPECT_EQ(scan(table, nobody_)->size(), 9U * 160);
  uint64_t hot = 0;
  const auto rows = database_->hot().scan(table->id, nobody_, "", "", true, nullptr);
  while (*rows->next()) ++hot;
  EXPECT_LE(hot, 10U) << "only what was deleted within two days is left";
  EXPECT_LE(database_->hot().change_seqs(stream->id, ann_, nullptr)->size(), 10U);
}

}  // namespace
}  // namespace kalamdb::query
