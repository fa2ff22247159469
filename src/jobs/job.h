// A background job as it is recorded: what it is to do, how far it has come, when.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/ids.h"
#include "base/result.h"

namespace kalamdb::jobs {

enum class JobType : uint8_t {
  kFlush,
  kCleanup,
  kCompact,
  kVacuum,
  kAnalyze,
  kBackup,
  kRestore,
  kRetention,
  kStreamEviction,
  kUserCleanup,
  kJobCleanup,
  kManifestEviction,
  kUserExport,
  kRegister
};
enum class JobStatus : uint8_t { kNew, kQueued, kRunning, kRetrying, kCompleted, kSkipped, kFailed, kCancelled };
inline constexpr size_t kJobStatuses = 8;

// Jobs of one queue wait for each other; those of different queues never do (jobs/job_queues.h).
enum class Queue : uint8_t {
  kHousekeeping,  // short steps: evictions, retention
  kFlush,
  kMaintenance  // what may take hours: compactions, backups
};
inline constexpr size_t kQueues = 3;

std::string_view name(JobType type);            // "flush"
std::string_view prefix(JobType type);          // "FL"
Queue queue(JobType type);                      // kFlush
std::string_view name(JobStatus status);        // "queued"
std::string_view title(JobStatus status);       // "Queued"
std::string_view name(Queue queue);             // "flush"
bool is_live(JobStatus status);                 // not ended
bool may_become(JobStatus from, JobStatus to);  // whether there is such a transition

struct Job {
  std::string id;  // prefix, hyphen, 12 hex digits
  JobType type = JobType::kFlush;
  JobStatus status = JobStatus::kNew;
  std::string parameters = "{}";  // a JSON object, read by the executor
  std::string message;            // what came of it, or of the last attempt: JSON, or plain text of an error
  std::string exception_trace;    // of every attempt that failed, until one succeeds
  std::string idempotency_key;    // empty: none. At most one live job has a given key
  UserId started_by;              // empty: the schedule
  int32_t priority = 0;           // greater ones first
  uint32_t retry_count = 0;
  uint32_t max_retries = 0;
  uint32_t restarts = 0;          // of the server, since the job last got ahead
  std::string position;           // where the executor goes on; its own format
  bool cancel_requested = false;  // while it runs: it is to stop
  int64_t cpu_us = 0;             // of the threads of its attempts, not of those that help them
  int64_t node_number = 0;        // of the server that runs it
  int64_t created_at_us = 0;
  int64_t updated_at_us = 0;
  int64_t queued_at_us = 0;   // these: 0: not yet
  int64_t started_at_us = 0;  // the first time
  int64_t finished_at_us = 0;

  bool live() const { return is_live(status); }
};

// The job with that status, and the times that go with it. Errors: kInvalidOperation for what is no transition.
Result<Job> with_status(Job job, JobStatus status, int64_t now_us);

// JSON as stored in the hot store's job records; decode_job() of encode() gives an equal job. Records of older
// versions can be read. Errors: kCorruption.
std::string encode(const Job& job);
Result<Job> decode_job(std::string_view json);

}  // namespace kalamdb::jobs
