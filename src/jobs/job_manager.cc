#include "jobs/job_manager.h"

#include <algorithm>
#include <utility>

#include "base/log.h"
#include "platform/thread_priority.h"

namespace kalamdb::jobs {

Result<> JobManager::put(const Job& job) {
  storage::CommitRequest request;
  request.records.push_back({hot::RecordSpace::kJob, job.id, encode(job), std::nullopt});
  KALAM_CHECK(storage_.committer().commit(std::move(request)));
  return {};
}

Result<> JobManager::start() {
  Result<> outcome;
  KALAM_CHECK(
      storage_.hot().scan_records(hot::RecordSpace::kJob, "", nullptr, [&](std::string_view, std::string_view value) {
        auto job = decode_job(value);
        if (!job) {
          outcome = fail(std::move(job).error());
          return false;
        }
        jobs_.emplace(job->id, *std::move(job));
        return true;
      }));
  KALAM_CHECK(outcome);
  for (auto& [id, job] : jobs_) {
    if (!job.live()) continue;
    if (job.status == JobStatus::kRunning) {
      log::info("[{}] queued again: the server stopped while it ran", id);
      job.status = JobStatus::kQueued;
      KALAM_CHECK(put(job));
    }
    queue_.push_back(id);
  }
  worker_ = std::jthread([this](const std::stop_token& stop) { work(stop); });
  return {};
}

void JobManager::stop() {
  if (!worker_.joinable()) return;
  worker_.request_stop();
  worker_.join();
  changed_.notify_all();
}

Result<Job> JobManager::create(JobType type, std::string parameters, std::string idempotency_key) {
  Job job;
  job.type = type;
  job.id = std::string(prefix(type)) + "-" + platform::random_hex(random_, 6);
  job.parameters = std::move(parameters);
  job.idempotency_key = std::move(idempotency_key);
  job.created_at_us = clock_.now_us();
  {
    const std::lock_guard lock(mutex_);
    if (!job.idempotency_key.empty() && is_live_locked(job.idempotency_key)) {
      return fail(ErrorCode::kIdempotentConflict,
                  "Job with idempotency key '" + job.idempotency_key + "' is already running or queued");
    }
    jobs_.emplace(job.id, job);  // holds the key while the record is written
  }
  auto written = put(job);
  const std::lock_guard lock(mutex_);
  if (!written) {
    jobs_.erase(job.id);
    return fail(std::move(written).error());
  }
  queue_.push_back(job.id);
  changed_.notify_all();
  return job;
}

Result<Job> JobManager::wait(const std::string& id) {
  std::unique_lock lock(mutex_);
  const auto found = jobs_.find(id);
  if (found == jobs_.end()) return fail(ErrorCode::kNotFound, "Job " + id + " not found");
  changed_.wait(lock, [&] { return !found->second.live() || worker_.get_stop_token().stop_requested(); });
  if (found->second.live())
    return fail(ErrorCode::kUnavailable, "The server stops; job " + id + " runs at its next start");
  return found->second;
}

bool JobManager::is_live_locked(std::string_view idempotency_key) const {
  return std::ranges::any_of(
      jobs_, [&](const auto& entry) { return entry.second.live() && entry.second.idempotency_key == idempotency_key; });
}

bool JobManager::is_live(std::string_view idempotency_key) const {
  const std::lock_guard lock(mutex_);
  return is_live_locked(idempotency_key);
}

std::vector<Job> JobManager::list() const {
  const std::lock_guard lock(mutex_);
  std::vector<Job> all;
  all.reserve(jobs_.size());
  for (const auto& [id, job] : jobs_) all.push_back(job);
  return all;
}

void JobManager::work(const std::stop_token& stop) {
  platform::lower_thread_priority();
  while (true) {
    Job job;
    {
      std::unique_lock lock(mutex_);
      if (!changed_.wait(lock, stop, [&] { return !queue_.empty(); }) || stop.stop_requested()) return;
      job = jobs_.at(queue_.front());
      queue_.pop_front();
    }
    run_one(std::move(job));
  }
}

void JobManager::run_one(Job job) {
  // Each state is on the disk before it takes effect.
  const auto record = [&] {
    if (auto written = put(job); !written) log::error("[{}] cannot be recorded: {}", job.id, written.error().message);
    const std::lock_guard lock(mutex_);
    jobs_.insert_or_assign(job.id, job);
    changed_.notify_all();
  };
  job.status = JobStatus::kRunning;
  job.started_at_us = clock_.now_us();
  record();
  log::info("[{}] started", job.id);
  auto outcome = executors_.at(job.type)(job);
  job.finished_at_us = clock_.now_us();
  job.status = outcome ? JobStatus::kCompleted : JobStatus::kFailed;
  job.message = outcome ? *std::move(outcome) : std::move(outcome).error().message;
  record();
  if (job.status == JobStatus::kCompleted) {
    log::info("[{}] completed: {}", job.id, job.message);
  } else {
    log::error("[{}] failed: {}", job.id, job.message);
  }
}

}  // namespace kalamdb::jobs
