#include "jobs/job_manager.h"

#include <gtest/gtest.h>

namespace kalamdb::jobs {
namespace {

TEST(Job, RoundTripsThroughItsRecord) {
  Job job;
  job.id = "FL-0123456789ab";
  job.type = JobType::kCleanup;
  job.status = JobStatus::kFailed;
  job.parameters = R"({"table":"t"})";
  job.message = "disk \"full\"";
  job.idempotency_key = "drop-a-b-1";
  job.created_at_us = 1;
  job.started_at_us = 2;
  job.finished_at_us = 3;
  const auto decoded = decode_job(encode(job));
  ASSERT_TRUE(decoded);
  EXPECT_EQ(encode(*decoded), encode(job));
  EXPECT_EQ(decoded->message, job.message);
  EXPECT_FALSE(decoded->live());
}

TEST(Job, DamagedRecordsAreErrors) {
  for (const char* damaged : {"", "{", "[]", "{}", R"({"id":"FL-1","type":"dance","status":"queued"})"}) {
    const auto decoded = decode_job(damaged);
    ASSERT_FALSE(decoded) << damaged;
    EXPECT_EQ(decoded.error().code, ErrorCode::kCorruption);
  }
}

}  // namespace
}  // namespace kalamdb::jobs
