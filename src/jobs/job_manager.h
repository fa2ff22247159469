// Runs background jobs, one at a time, each a durable record from before it starts until after it ends.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

#include "jobs/job.h"
#include "platform/clock.h"
#include "platform/random.h"
#include "storage/storage.h"

namespace kalamdb::jobs {

// Does a job's work and returns its message (a JSON object). May run again after a crash, so must be safe to repeat.
using Executor = std::function<Result<std::string>(const Job&)>;

// Thread-safe.
class JobManager {
 public:
  // `storage`, `clock` and `random` must outlive it.
  JobManager(storage::Storage& storage, platform::Clock& clock, platform::Random& random)
      : storage_(storage), clock_(clock), random_(random) {}
  ~JobManager() { stop(); }
  JobManager(const JobManager&) = delete;
  JobManager& operator=(const JobManager&) = delete;

  // Before start(): who does the jobs of a type.
  void set_executor(JobType type, Executor executor) { executors_[type] = std::move(executor); }
  // Takes up the records of an earlier run (a job that was running is queued again) and begins to work.
  Result<> start();
  // Lets the running job finish; queued ones stay for the next start. The second call does nothing.
  void stop();

  // Records a job and queues it. Errors: kIdempotentConflict while a job with the same key is live.
  Result<Job> create(JobType type, std::string parameters, std::string idempotency_key);
  // Blocks until the job has ended and returns it, or kUnavailable when the manager stops first.
  Result<Job> wait(const std::string& id);
  // Whether a job with this key is queued or running.
  bool is_live(std::string_view idempotency_key) const;
  // Every recorded job, oldest id first.
  std::vector<Job> list() const;

 private:
  bool is_live_locked(std::string_view idempotency_key) const;
  Result<> put(const Job& job);
  void work(const std::stop_token& stop);
  void run_one(Job job);

  storage::Storage& storage_;
  platform::Clock& clock_;
  platform::Random& random_;
  std::map<JobType, Executor> executors_;
  mutable std::mutex mutex_;
  std::condition_variable_any changed_;
  std::map<std::string, Job> jobs_;
  std::deque<std::string> queue_;
  std::jthread worker_;
};

}  // namespace kalamdb::jobs
