// Runs background jobs, each a durable record from before it starts until long after it has ended. Every change of a
// job's status is on the disk before it takes effect.
#pragma once

#include <array>
#include <condition_variable>
#include <map>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

#include "jobs/executor.h"
#include "jobs/job.h"
#include "jobs/job_log.h"
#include "jobs/job_queues.h"
#include "platform/clock.h"
#include "platform/random.h"
#include "storage/storage.h"

namespace kalamdb::jobs {

struct JobOptions {
  size_t max_concurrent = 10;  // at least kQueues
  uint32_t max_retries = 3;
  int64_t retry_backoff_ms = 1000;  // before the first retry; twice as much before each further one
  int64_t shutdown_timeout_ms = 300'000;
  int64_t node_number = 0;
  std::string log_file;  // see JobLog
};

struct JobRequest {
  JobType type = JobType::kFlush;
  std::string parameters = "{}";  // a JSON object
  std::string idempotency_key = {};
  UserId started_by = {};
  int32_t priority = 0;
  std::optional<uint32_t> max_retries = {};  // nullopt: as is configured
};

// Thread-safe.
class JobManager {
 public:
  // `storage`, `clock` and `random` must outlive it. Throws spdlog::spdlog_ex when the log can't be written.
  JobManager(storage::Storage& storage, const platform::Clock& clock, platform::Random& random, JobOptions options);
  ~JobManager() { stop(); }
  JobManager(const JobManager&) = delete;
  JobManager& operator=(const JobManager&) = delete;

  // Before start(): who does the jobs of a type.
  void set_executor(JobType type, Executor executor) { executors_[type] = std::move(executor); }
  // Takes up the records of an earlier run and begins to work. A job that was running has failed with "Server
  // restarted" and, if it is repeatable, is queued anew, a bounded number of times unless it gets ahead.
  Result<> start();
  // Starts nothing more. Running jobs may finish, or the batch that they are at; past the configured time they are
  // asked to stop. What has not ended goes on at the next start. The second call does nothing.
  void stop();

  // Records a job and queues it. Errors: kInvalidInput for parameters that the executor refuses, kIdempotentConflict
  // while a job with the same key is live, kUnavailable.
  Result<Job> create(JobRequest request);
  // Cancels a job that waits; asks one that runs to stop, which it does at its next batch. The job as it is then.
  // Errors: kNotFound, kInvalidOperation when it has ended.
  Result<Job> kill(const std::string& id);

  // The job with that id, live or ended. Errors: kNotFound.
  Result<Job> find(const std::string& id) const;
  // Every recorded job, by id.
  Result<std::vector<Job>> list() const;
  // Those that have not ended.
  std::vector<Job> live() const;
  // How many there are of each status.
  std::array<uint64_t, kJobStatuses> counts() const;
  // Whether any has ended before this time.
  Result<bool> has_ended_before(int64_t before_us) const;
  // Removes up to `max_jobs` records of jobs that ended before this time; returns how many.
  Result<uint64_t> remove_ended(int64_t before_us, uint64_t max_jobs);

  // Blocks until the job has ended and returns it. Errors: kNotFound, kUnavailable when the manager stops first.
  Result<Job> wait(const std::string& id);
  // Looks at the clock again, which a test has moved.
  void wake();

 private:
  // A job that has not ended.
  struct Entry {
    Job job;
    std::stop_source stop;
    bool is_writing = false;  // its next state is on the way to the disk: nobody else may change it
  };
  using Lock = std::unique_lock<std::mutex>;

  Result<> commit(const Job& job);
  Result<> recover(Job job, std::vector<Job>& changed);
  void add_live(Job job);
  // Makes the entry's job `next` once that is on the disk; the lock is released meanwhile. The entry must not be
  // writing.
  Result<> write(Lock& lock, Entry& entry, Job next);
  Result<> move(Lock& lock, Entry& entry, JobStatus status, const std::string& message);
  // The live job, once it is not writing; nullptr if there is none.
  Entry* settled(Lock& lock, const std::string& id);
  void remove_live(const std::string& id);

  void work();
  void run(Lock& lock, Entry& entry);
  bool begin(Lock& lock, Entry& entry);
  Decision attempt(const Job& job, const std::stop_token& stop, int64_t& cpu_us) const;
  void settle(Lock& lock, Entry& entry, const Decision& decision, int64_t cpu_us);
  // What the decision makes of the job, and in how many milliseconds it goes on.
  Job decided(const Entry& entry, const Decision& decision, int64_t& delay_ms) const;
  int64_t backoff_ms(uint32_t retry) const;
  void log(const Job& job, const std::string& event);

  storage::Storage& storage_;
  const platform::Clock& clock_;
  platform::Random& random_;
  const JobOptions options_;
  JobLog log_;
  std::map<JobType, Executor> executors_;

  mutable std::mutex mutex_;         // of those that follow
  std::condition_variable work_;     // something may be there to run
  std::condition_variable changed_;  // of any job
  std::map<std::string, Entry> live_;
  std::unordered_map<std::string, std::string> by_key_;  // idempotency key → live job
  JobQueues queues_;
  std::array<uint64_t, kJobStatuses> ended_{};  // of each status
  size_t running_ = 0;
  bool is_stopping_ = false;

  std::vector<std::jthread> workers_;
};

}  // namespace kalamdb::jobs
