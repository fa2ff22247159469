#include "jobs/job_manager.h"

#include <cxxabi.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <ctime>
#include <exception>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/log.h"
#include "platform/thread_priority.h"

namespace kalamdb::jobs {

namespace {

// A job whose runs end with the server's end so often in a row is taken to be the reason.
constexpr uint32_t kMaxRestarts = 10;
constexpr int64_t kMaxBackoffMs = 3'600'000;
constexpr size_t kMaxTraceBytes = 16 << 10;
// How soon a state that could not be written is tried again.
constexpr auto kWriteAgain = std::chrono::seconds(1);

// Errors that may be gone at the next attempt.
bool is_passing(ErrorCode code) {
  return code == ErrorCode::kIo || code == ErrorCode::kUnavailable || code == ErrorCode::kConflict ||
         code == ErrorCode::kTimeout || code == ErrorCode::kQueryMemoryExceeded;
}

int64_t thread_cpu_us() {
  timespec time{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return time.tv_sec * 1'000'000LL + time.tv_nsec / 1000;
}

std::string describe(const std::exception& error) {
  int status = 0;
  char* const name = abi::__cxa_demangle(typeid(error).name(), nullptr, nullptr, &status);
  std::string text = (name != nullptr ? std::string(name) : typeid(error).name()) + ": " + error.what();
  std::free(name);
  try {
    std::rethrow_if_nested(error);
  } catch (const std::exception& nested) {
    text += "\n  because of " + describe(nested);
  } catch (...) {
    text += "\n  because of something that is no std::exception";
  }
  return text;
}

storage::RecordWrite record_of(const Job& job) { return {hot::RecordSpace::kJob, job.id, encode(job), std::nullopt}; }

}  // namespace

JobManager::JobManager(storage::Storage& storage, const platform::Clock& clock, platform::Random& random,
                       JobOptions options)
    : storage_(storage),
      clock_(clock),
      random_(random),
      options_(std::move(options)),
      log_(options_.log_file),
      queues_(options_.max_concurrent) {}

void JobManager::log(const Job& job, const std::string& event) {
  log_.write(job, event, clock_.now_us());
  log::info("[{}] {}", job.id, event);
}

Result<> JobManager::commit(const Job& job) {
  storage::CommitRequest request;
  request.records.push_back(record_of(job));
  KALAM_CHECK(storage_.committer().commit(std::move(request)));
  return {};
}

void JobManager::add_live(Job job) {
  if (!job.idempotency_key.empty()) by_key_.emplace(job.idempotency_key, job.id);
  const std::string id = job.id;
  live_.emplace(id, Entry{.job = std::move(job)});
}

void JobManager::remove_live(const std::string& id) {
  const auto found = live_.find(id);
  const Job& job = found->second.job;
  if (const auto key = by_key_.find(job.idempotency_key); key != by_key_.end() && key->second == id) by_key_.erase(key);
  if (!job.live()) ++ended_[static_cast<size_t>(job.status)];
  live_.erase(found);
  changed_.notify_all();
}

Result<> JobManager::recover(Job job, std::vector<Job>& changed) {
  const int64_t now_us = clock_.now_us();
  if (job.status == JobStatus::kNew) {
    KALAM_TRY(job, with_status(std::move(job), JobStatus::kQueued, now_us));
    changed.push_back(job);
  } else if (job.status == JobStatus::kRunning && job.cancel_requested) {
    job.message = "Cancelled by user";
    KALAM_TRY(job, with_status(std::move(job), JobStatus::kCancelled, now_us));
    changed.push_back(job);
    log(job, "cancelled");
  } else if (job.status == JobStatus::kRunning) {
    ++job.restarts;
    job.message = "Server restarted";
    KALAM_TRY(job, with_status(std::move(job), JobStatus::kFailed, now_us));
    log(job, "failed: " + job.message);
    const auto executor = executors_.find(job.type);
    if (executor != executors_.end() && executor->second.repeatable && job.restarts <= kMaxRestarts) {
      KALAM_TRY(job, with_status(std::move(job), JobStatus::kQueued, now_us));
      log(job, "queued anew");
    }
    changed.push_back(job);
  }
  if (job.live()) {
    add_live(std::move(job));
  } else {
    ++ended_[static_cast<size_t>(job.status)];
  }
  return {};
}

Result<> JobManager::start() {
  std::vector<Job> found;
  KALAM_CHECK(storage_.hot().scan_records(hot::RecordSpace::kJob, "", nullptr,
                                          [&](std::string_view id, std::string_view value) {
                                            auto job = decode_job(value);
                                            if (!job) {
                                              log::error("job {} is left alone: {}", id, job.error().message);
                                            } else if (job->live()) {
                                              found.push_back(*std::move(job));
                                            } else {
                                              ++ended_[static_cast<size_t>(job->status)];
                                            }
                                            return true;
                                          }));
  std::vector<Job> changed;
  for (Job& job : found) KALAM_CHECK(recover(std::move(job), changed));
  if (!changed.empty()) {
    storage::CommitRequest request;
    for (const Job& job : changed) request.records.push_back(record_of(job));
    KALAM_CHECK(storage_.committer().commit(std::move(request)));
  }
  const std::lock_guard lock(mutex_);
  for (const auto& [id, entry] : live_) queues_.add(entry.job, entry.job.queued_at_us);
  for (size_t i = 0; i < options_.max_concurrent; ++i) workers_.emplace_back([this] { work(); });
  return {};
}

void JobManager::stop() {
  {
    Lock lock(mutex_);
    is_stopping_ = true;
    work_.notify_all();
    changed_.notify_all();
    const auto ended = [&] { return running_ == 0; };
    if (!changed_.wait_for(lock, std::chrono::milliseconds(options_.shutdown_timeout_ms), ended)) {
      for (auto& [id, entry] : live_) {
        if (entry.job.status == JobStatus::kRunning) entry.stop.request_stop();
      }
    }
  }
  workers_.clear();
}

Result<Job> JobManager::create(JobRequest request) {
  const auto parameters = nlohmann::json::parse(request.parameters, nullptr, false);
  if (!parameters.is_object()) {
    return fail(ErrorCode::kInvalidInput, "The parameters of a job must be a JSON object");
  }
  const auto executor = executors_.find(request.type);
  if (executor == executors_.end()) {
    return fail(ErrorCode::kInternal, "Nobody does jobs of type " + std::string(name(request.type)));
  }
  if (executor->second.validate) KALAM_CHECK(executor->second.validate(parameters));
  Job job;
  job.type = request.type;
  job.id = std::string(prefix(request.type)) + "-" + platform::random_hex(random_, 6);
  job.parameters = std::move(request.parameters);
  job.idempotency_key = std::move(request.idempotency_key);
  job.started_by = std::move(request.started_by);
  job.priority = request.priority;
  job.max_retries = request.max_retries.value_or(options_.max_retries);
  job.node_number = options_.node_number;
  job.created_at_us = job.updated_at_us = clock_.now_us();

  Lock lock(mutex_);
  while (true) {
    if (is_stopping_) return fail(ErrorCode::kUnavailable, "The server stops; no job can be started");
    const auto taken = by_key_.find(job.idempotency_key);
    if (taken == by_key_.end()) break;
    // One whose end is being written may show as ended already: whoever has seen that may start it again.
    const std::string holder = taken->second;
    if (settled(lock, holder) == nullptr) continue;
    return fail(ErrorCode::kIdempotentConflict,
                "Job with idempotency key '" + job.idempotency_key + "' is already running or queued (" + holder + ")");
  }
  const std::string id = job.id;
  add_live(job);  // which holds the key while the record is written
  Entry& entry = live_.at(id);
  if (auto written = write(lock, entry, std::move(job)); !written) {
    remove_live(id);
    return fail(std::move(written).error());
  }
  // It is there from now on: if this fails, whoever is to run it tries again.
  if (move(lock, entry, JobStatus::kQueued, "")) {
    log(entry.job, "queued: " + std::string(name(entry.job.type)) + " " + entry.job.idempotency_key);
  }
  queues_.add(entry.job, entry.job.created_at_us);
  work_.notify_all();
  return entry.job;
}

Result<> JobManager::write(Lock& lock, Entry& entry, Job next) {
  entry.is_writing = true;
  lock.unlock();
  auto written = commit(next);
  lock.lock();
  entry.is_writing = false;
  if (written) entry.job = std::move(next);
  changed_.notify_all();
  return written;
}

Result<> JobManager::move(Lock& lock, Entry& entry, JobStatus status, const std::string& message) {
  KALAM_TRY(Job next, with_status(entry.job, status, clock_.now_us()));
  if (!message.empty()) next.message = message;
  return write(lock, entry, std::move(next));
}

JobManager::Entry* JobManager::settled(Lock& lock, const std::string& id) {
  while (true) {
    const auto found = live_.find(id);
    if (found == live_.end()) return nullptr;
    if (!found->second.is_writing) return &found->second;
    changed_.wait(lock);
  }
}

Result<Job> JobManager::kill(const std::string& id) {
  Lock lock(mutex_);
  Entry* const entry = settled(lock, id);
  if (entry == nullptr) {
    KALAM_TRY(const Job ended, find(id));
    return fail(ErrorCode::kInvalidOperation, "Cannot cancel job in status " + std::string(title(ended.status)));
  }
  if (entry->job.status == JobStatus::kRunning) {
    Job next = entry->job;
    next.cancel_requested = true;
    next.updated_at_us = clock_.now_us();
    KALAM_CHECK(write(lock, *entry, std::move(next)));
    entry->stop.request_stop();
    return entry->job;
  }
  queues_.remove(id);  // so that nobody begins it meanwhile
  if (auto written = move(lock, *entry, JobStatus::kCancelled, "Cancelled by user"); !written) {
    queues_.add(entry->job, entry->job.queued_at_us);
    work_.notify_all();
    return fail(std::move(written).error());
  }
  Job cancelled = entry->job;
  log(cancelled, "cancelled");
  remove_live(id);
  return cancelled;
}

Result<Job> JobManager::find(const std::string& id) const {
  KALAM_TRY(const auto record, storage_.hot().get_record(hot::RecordSpace::kJob, id, nullptr));
  if (!record) return fail(ErrorCode::kNotFound, "Job " + id + " not found");
  return decode_job(*record);
}

Result<std::vector<Job>> JobManager::list() const {
  std::vector<Job> all;
  KALAM_CHECK(
      storage_.hot().scan_records(hot::RecordSpace::kJob, "", nullptr, [&](std::string_view, std::string_view value) {
        if (auto job = decode_job(value)) all.push_back(*std::move(job));
        return true;
      }));
  return all;
}

std::vector<Job> JobManager::live() const {
  const std::lock_guard lock(mutex_);
  std::vector<Job> jobs;
  for (const auto& [id, entry] : live_) jobs.push_back(entry.job);
  return jobs;
}

std::array<uint64_t, kJobStatuses> JobManager::counts() const {
  const std::lock_guard lock(mutex_);
  auto counts = ended_;
  for (const auto& [id, entry] : live_) ++counts[static_cast<size_t>(entry.job.status)];
  return counts;
}

Result<bool> JobManager::has_ended_before(int64_t before_us) const {
  bool found = false;
  KALAM_CHECK(
      storage_.hot().scan_records(hot::RecordSpace::kJob, "", nullptr, [&](std::string_view, std::string_view value) {
        const auto job = decode_job(value);
        found = job && !job->live() && job->finished_at_us < before_us;
        return !found;
      }));
  return found;
}

Result<uint64_t> JobManager::remove_ended(int64_t before_us, uint64_t max_jobs) {
  storage::CommitRequest request;
  std::vector<JobStatus> removed;
  KALAM_CHECK(storage_.hot().scan_records(
      hot::RecordSpace::kJob, "", nullptr, [&](std::string_view id, std::string_view value) {
        const auto job = decode_job(value);
        if (!job || job->live() || job->finished_at_us >= before_us) return true;
        request.records.push_back({hot::RecordSpace::kJob, std::string(id), std::nullopt, std::string(value)});
        removed.push_back(job->status);
        return removed.size() < max_jobs;
      }));
  if (removed.empty()) return 0;
  KALAM_CHECK(storage_.committer().commit(std::move(request)));
  const std::lock_guard lock(mutex_);
  for (const JobStatus status : removed) --ended_[static_cast<size_t>(status)];
  return removed.size();
}

Result<Job> JobManager::wait(const std::string& id) {
  Lock lock(mutex_);
  changed_.wait(lock, [&] { return !live_.contains(id) || (is_stopping_ && running_ == 0); });
  if (live_.contains(id)) {
    return fail(ErrorCode::kUnavailable, "The server stops; job " + id + " goes on at its next start");
  }
  return find(id);
}

void JobManager::wake() {
  const std::lock_guard lock(mutex_);
  work_.notify_all();
}

void JobManager::work() {
  platform::lower_thread_priority();
  Lock lock(mutex_);
  while (!is_stopping_) {
    if (const auto id = queues_.take(clock_.now_us(), clock_.monotonic_us())) {
      run(lock, live_.at(*id));
    } else if (const auto due_us = queues_.next_due_us()) {
      work_.wait_for(lock, std::chrono::microseconds(*due_us - clock_.monotonic_us()));
    } else {
      work_.wait(lock);
    }
  }
}

void JobManager::run(Lock& lock, Entry& entry) {
  const Queue queue = jobs::queue(entry.job.type);
  ++running_;
  if (begin(lock, entry)) {
    const Job job = entry.job;
    const std::stop_token stop = entry.stop.get_token();
    lock.unlock();
    int64_t cpu_us = 0;
    const Decision decision = attempt(job, stop, cpu_us);
    lock.lock();
    settle(lock, entry, decision, cpu_us);
  }
  --running_;
  queues_.release(queue);
  changed_.notify_all();
}

bool JobManager::begin(Lock& lock, Entry& entry) {
  const auto moved = [&](JobStatus status) {
    const auto written = move(lock, entry, status, "");
    if (written) return true;
    log::error("[{}] cannot be recorded as {}: {}", entry.job.id, name(status), written.error().message);
    queues_.add_later(entry.job, clock_.monotonic_us() + 1000 * backoff_ms(1));
    return false;
  };
  if (entry.job.status == JobStatus::kNew && !moved(JobStatus::kQueued)) return false;
  const bool is_first = entry.job.status == JobStatus::kQueued;
  if (!moved(JobStatus::kRunning)) return false;
  if (is_first) log(entry.job, "started");
  return true;
}

Decision JobManager::attempt(const Job& job, const std::stop_token& stop, int64_t& cpu_us) const {
  const int64_t begun_us = thread_cpu_us();
  Decision decision;
  try {
    auto done = executors_.at(job.type).run(job, stop);
    if (done) {
      decision = *std::move(done);
    } else if (is_passing(done.error().code)) {
      decision = Decision::retry(std::move(done).error().message);
    } else {
      decision = Decision::failed(std::move(done).error().message);
    }
  } catch (const std::exception& error) {
    decision = Decision::failed(describe(error));
  } catch (...) {
    decision = Decision::failed("The executor threw what is no std::exception");
  }
  cpu_us = thread_cpu_us() - begun_us;
  return decision;
}

int64_t JobManager::backoff_ms(uint32_t retry) const {
  int64_t delay_ms = options_.retry_backoff_ms;
  for (uint32_t i = 1; i < retry && delay_ms < kMaxBackoffMs; ++i) delay_ms *= 2;
  return std::min(delay_ms, std::max(kMaxBackoffMs, options_.retry_backoff_ms));
}

Job JobManager::decided(const Entry& entry, const Decision& decision, int64_t& delay_ms) const {
  using enum Decision::Kind;
  Job job = entry.job;
  const auto become = [&](JobStatus status, std::string message) {
    job = *with_status(std::move(job), status, clock_.now_us());
    job.message = std::move(message);
  };
  const bool has_ended = decision.kind == kCompleted || decision.kind == kSkipped;
  const bool has_failed = decision.kind == kRetry || decision.kind == kFailed;
  if (!has_ended && job.cancel_requested) {
    become(JobStatus::kCancelled, "Cancelled by user");
  } else if (has_ended) {
    become(decision.kind == kSkipped ? JobStatus::kSkipped : JobStatus::kCompleted, decision.message);
    job.exception_trace.clear();
    job.position.clear();
  } else if (decision.kind == kCancelled) {
    become(JobStatus::kCancelled, decision.message);
  } else if (decision.kind == kMore) {
    become(JobStatus::kRetrying, decision.message);
    job.position = decision.position;
    job.restarts = 0;
  } else if (has_failed && entry.stop.stop_requested()) {
    become(JobStatus::kRetrying, "Interrupted by the server's end");
  } else {
    if (!job.exception_trace.empty()) job.exception_trace += "\n";
    job.exception_trace += "attempt " + std::to_string(job.retry_count + 1) + " of " +
                           std::to_string(job.max_retries + 1) + " of a " + std::string(name(job.type)) +
                           " job: " + decision.message;
    if (job.exception_trace.size() > kMaxTraceBytes) {
      job.exception_trace.erase(0, job.exception_trace.size() - kMaxTraceBytes);
    }
    if (decision.kind == kRetry && job.retry_count < job.max_retries) {
      ++job.retry_count;
      delay_ms = decision.delay_ms.value_or(backoff_ms(job.retry_count));
      become(JobStatus::kRetrying, decision.message);
    } else {
      become(JobStatus::kFailed, decision.message);
    }
  }
  return job;
}

void JobManager::settle(Lock& lock, Entry& entry, const Decision& decision, int64_t cpu_us) {
  const std::string id = entry.job.id;
  int64_t delay_ms = 0;
  int64_t due_us = 0;
  while (true) {
    settled(lock, id);
    Job next = decided(entry, decision, delay_ms);  // again each time: it may have been killed meanwhile
    next.cpu_us += cpu_us;
    due_us = clock_.monotonic_us() + 1000 * delay_ms;
    const auto written = write(lock, entry, std::move(next));
    if (written) break;
    log::error("[{}] its end cannot be recorded: {}", id, written.error().message);
    // The next start finds it running, and runs it once more.
    if (changed_.wait_for(lock, kWriteAgain, [&] { return is_stopping_; })) return;
  }
  const Job& job = entry.job;
  switch (job.status) {
    case JobStatus::kRetrying:
      if (entry.stop.stop_requested()) {
        log(job, "interrupted: it goes on at the next start");
      } else if (decision.kind != Decision::Kind::kMore) {
        log(job, "retry " + std::to_string(job.retry_count) + " of " + std::to_string(job.max_retries) + " in " +
                     std::to_string(delay_ms) + " ms: " + job.message);
      }
      queues_.add_later(job, due_us);
      work_.notify_all();
      return;
    case JobStatus::kFailed:
      log(job, "failed: " + job.message);
      log::error("job {} has failed: {}", id, job.message);
      break;
    case JobStatus::kCancelled:
      log(job, "cancelled");
      break;
    default:
      log(job, std::string(name(job.status)) + ": " + job.message);
  }
  remove_live(id);
}

}  // namespace kalamdb::jobs
