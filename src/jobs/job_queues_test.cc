#include "jobs/job_queues.h"

#include <gtest/gtest.h>

#include <string>

namespace kalamdb::jobs {
namespace {

constexpr int64_t kSecondUs = 1'000'000;

Job job(const std::string& id, JobType type = JobType::kFlush, int32_t priority = 0) {
  Job job;
  job.id = id;
  job.type = type;
  job.priority = priority;
  return job;
}

class JobQueuesTest : public testing::Test {
 protected:
  // The id of the next one, "" if none may start.
  std::string take() { return queues_.take(now_us_, monotonic_us_).value_or(""); }

  JobQueues queues_{5};
  int64_t now_us_ = 1'000 * kSecondUs;
  int64_t monotonic_us_ = 0;
};

TEST_F(JobQueuesTest, FirstComeFirstServed) {
  queues_.add(job("b"), 1);
  queues_.add(job("a"), 2);
  EXPECT_EQ(take(), "b");
  EXPECT_EQ(take(), "a");
  EXPECT_EQ(take(), "");
}

TEST_F(JobQueuesTest, PriorityGoesFirstAndWaitingMakesUpForIt) {
  queues_.add(job("low"), 0);
  queues_.add(job("high", JobType::kFlush, 10), 599 * kSecondUs);
  queues_.add(job("later", JobType::kFlush, 10), 601 * kSecondUs);
  EXPECT_EQ(take(), "high");
  EXPECT_EQ(take(), "low");  // has waited ten minutes longer than "later"
  EXPECT_EQ(take(), "later");
}

// However many long jobs there are, a short one starts at once; with every number of slots.
TEST_F(JobQueuesTest, NoQueueStarvesAnother) {
  for (size_t slots = kQueues; slots <= 12; ++slots) {
    JobQueues queues(slots);
    for (int i = 0; i < 20; ++i) queues.add(job("backup" + std::to_string(i), JobType::kBackup, 100), i);
    size_t backups = 0;
    while (queues.take(0, 0)) ++backups;
    EXPECT_EQ(backups, slots - (kQueues - 1));
    for (const JobType type : {JobType::kFlush, JobType::kRetention}) {
      queues.add(job("first", type), 1000);
      queues.add(job("second", type), 1001);
      EXPECT_EQ(queues.take(0, 0), "first");
      EXPECT_FALSE(queues.take(0, 0));  // what is left is for the other queue
      queues.release(queue(type));
      EXPECT_EQ(queues.take(0, 0), "second");
    }
    EXPECT_FALSE(queues.take(0, 0));
    queues.release(Queue::kMaintenance);
    EXPECT_TRUE(queues.take(0, 0));
  }
}

TEST_F(JobQueuesTest, NeverMoreThanTheSlots) {
  for (int i = 0; i < 10; ++i) {
    queues_.add(job("f" + std::to_string(i), JobType::kFlush), i);
    queues_.add(job("c" + std::to_string(i), JobType::kCompact), i);
    queues_.add(job("r" + std::to_string(i), JobType::kRetention), i);
  }
  size_t running = 0;
  while (queues_.take(0, 0)) ++running;
  EXPECT_EQ(running, 5U);
}

TEST_F(JobQueuesTest, WhatIsDelayedWaitsForItsTime) {
  queues_.add_later(job("b"), 20);
  queues_.add_later(job("a"), 10);
  EXPECT_EQ(queues_.next_due_us(), 10);
  EXPECT_EQ(take(), "");
  monotonic_us_ = 10;
  EXPECT_EQ(take(), "a");
  EXPECT_EQ(queues_.next_due_us(), 20);
  queues_.remove("b");
  EXPECT_FALSE(queues_.next_due_us());
  monotonic_us_ = 30;
  EXPECT_EQ(take(), "");
}

TEST_F(JobQueuesTest, WhatIsRemovedNeverComes) {
  queues_.add(job("a"), 1);
  queues_.add(job("b"), 2);
  queues_.remove("a");
  queues_.remove("unknown");
  EXPECT_EQ(take(), "b");
  EXPECT_EQ(take(), "");
}

// A job in many batches is the last again after each one.
TEST_F(JobQueuesTest, BatchesTakeTurns) {
  JobQueues queues(kQueues);
  queues.add(job("long", JobType::kRetention), 0);
  queues.add(job("other", JobType::kRetention), 1);
  EXPECT_EQ(queues.take(2, 0), "long");
  queues.add_later(job("long", JobType::kRetention), 0);
  queues.release(Queue::kHousekeeping);
  EXPECT_EQ(queues.take(3, 0), "other");
}

}  // namespace
}  // namespace kalamdb::jobs
