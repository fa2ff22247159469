#include "jobs/job.h"

#include <gtest/gtest.h>

#include <set>
#include <utility>

namespace kalamdb::jobs {
namespace {

using enum JobStatus;

Job example() {
  Job job;
  job.id = "FL-0123456789ab";
  job.type = JobType::kCleanup;
  job.status = kRunning;
  job.parameters = R"({"table":"t"})";
  job.message = "disk \"full\"";
  job.exception_trace = "attempt 1";
  job.idempotency_key = "drop-a-b-1";
  job.started_by = UserId("ann");
  job.priority = -3;
  job.retry_count = 1;
  job.max_retries = 2;
  job.restarts = 3;
  job.position = "here";
  job.cancel_requested = true;
  job.cpu_us = 4;
  job.node_number = 5;
  job.created_at_us = 6;
  job.updated_at_us = 7;
  job.queued_at_us = 8;
  job.started_at_us = 9;
  return job;
}

TEST(Job, RoundTripsThroughItsRecord) {
  const auto decoded = decode_job(encode(example()));
  ASSERT_TRUE(decoded);
  EXPECT_EQ(encode(*decoded), encode(example()));
  EXPECT_EQ(decoded->message, example().message);
  EXPECT_EQ(decoded->started_by, example().started_by);
  EXPECT_EQ(decoded->position, "here");
  EXPECT_EQ(decoded->restarts, 3U);
  EXPECT_TRUE(decoded->cancel_requested);
}

TEST(Job, RecordsOfOlderVersionsCanBeRead) {
  const auto job = decode_job(
      R"({"id":"FL-1","type":"flush","status":"completed","parameters":"[[\"table\",\"t\"],\"u\"]","message":"m",)"
      R"("idempotency_key":"","created_at_us":1,"started_at_us":2,"finished_at_us":3})");
  ASSERT_TRUE(job) << job.error().message;
  EXPECT_EQ(job->parameters, R"({"1":"u","table":"t"})");
  EXPECT_EQ(job->updated_at_us, 3);
  EXPECT_EQ(job->queued_at_us, 1);
  EXPECT_EQ(job->max_retries, 0U);
}

TEST(Job, WhatIsNotUtf8CanBeRecorded) {
  Job job = example();
  job.message = "bad \xff byte";
  const auto decoded = decode_job(encode(job));
  ASSERT_TRUE(decoded);
  EXPECT_EQ(decoded->message, "bad \xEF\xBF\xBD byte");
}

TEST(Job, DamagedRecordsAreErrors) {
  for (const char* damaged : {"", "{", "[]", "{}", R"({"id":"FL-1","type":"dance","status":"queued"})"}) {
    const auto decoded = decode_job(damaged);
    ASSERT_FALSE(decoded) << damaged;
    EXPECT_EQ(decoded.error().code, ErrorCode::kCorruption);
  }
}

TEST(Job, OnlyLegalTransitionsAreMade) {
  const std::set<std::pair<JobStatus, JobStatus>> legal{
      {kNew, kQueued},        {kNew, kCancelled},     {kQueued, kRunning},     {kQueued, kCancelled},
      {kRunning, kRetrying},  {kRunning, kCompleted}, {kRunning, kSkipped},    {kRunning, kFailed},
      {kRunning, kCancelled}, {kRetrying, kRunning},  {kRetrying, kCancelled}, {kFailed, kQueued}};
  for (size_t from = 0; from < kJobStatuses; ++from) {
    for (size_t to = 0; to < kJobStatuses; ++to) {
      Job job = example();
      job.status = static_cast<JobStatus>(from);
      const auto status = static_cast<JobStatus>(to);
      const auto next = with_status(job, status, 100);
      SCOPED_TRACE(std::string(name(job.status)) + " to " + std::string(name(status)));
      if (!legal.contains({job.status, status})) {
        ASSERT_FALSE(next);
        EXPECT_EQ(next.error().code, ErrorCode::kInvalidOperation);
        continue;
      }
      ASSERT_TRUE(next);
      EXPECT_EQ(next->status, status);
      EXPECT_EQ(next->updated_at_us, 100);
      EXPECT_EQ(next->queued_at_us, status == kQueued ? 100 : 8);
      EXPECT_EQ(next->started_at_us, 9);  // the first time
      EXPECT_EQ(next->finished_at_us, next->live() ? 0 : 100);
      EXPECT_EQ(next->cancel_requested, status == kRunning);
    }
  }
}

TEST(Job, TheFirstRunIsItsStart) {
  Job job = example();
  job.status = kQueued;
  job.started_at_us = 0;
  EXPECT_EQ(with_status(job, kRunning, 100)->started_at_us, 100);
}

}  // namespace
}  // namespace kalamdb::jobs
