// A background job as it is recorded: what it is to do, how far it has come, when.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"

namespace kalamdb::jobs {

enum class JobType : uint8_t { kFlush, kCleanup, kCompact, kVacuum, kAnalyze, kBackup, kRestore };
enum class JobStatus : uint8_t { kQueued, kRunning, kCompleted, kFailed };

std::string_view name(JobType type);      // "flush"
std::string_view prefix(JobType type);    // "FL"
std::string_view name(JobStatus status);  // "queued"

struct Job {
  std::string id;  // prefix, hyphen, 12 hex digits
  JobType type = JobType::kFlush;
  JobStatus status = JobStatus::kQueued;
  std::string parameters;       // a JSON object, read by the executor
  std::string message;          // what came of it: JSON when completed, plain text when failed
  std::string idempotency_key;  // empty: none. At most one live job has a given key
  int64_t created_at_us = 0;
  int64_t started_at_us = 0;   // 0: not yet
  int64_t finished_at_us = 0;  // 0: not yet

  bool live() const { return status == JobStatus::kQueued || status == JobStatus::kRunning; }
};

// JSON as stored in the hot store's job records; decode() of encode() gives an equal job.
std::string encode(const Job& job);
Result<Job> decode_job(std::string_view json);

}  // namespace kalamdb::jobs
