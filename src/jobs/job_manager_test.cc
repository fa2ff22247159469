#include "jobs/job_manager.h"

#include <gtest/gtest.h>

#include <atomic>
#include <fstream>
#include <functional>
#include <latch>
#include <nlohmann/json.hpp>
#include <semaphore>
#include <set>
#include <sstream>
#include <stdexcept>
#include <thread>

#include "storage/test_database.h"

namespace kalamdb::jobs {
namespace {

using Work = std::function<Result<Decision>(const Job&, const std::stop_token&)>;
using enum JobStatus;

class JobManagerTest : public storage::DatabaseTest {
 protected:
  void TearDown() override {
    manager_.reset();
    DatabaseTest::TearDown();
  }

  // A manager whose jobs of all types do `run`.
  void start(Work run) {
    manager_.reset();
    manager_ = std::make_unique<JobManager>(*database_, clock_, random_, options_);
    for (const JobType type : {JobType::kFlush, JobType::kCompact, JobType::kRetention}) {
      manager_->set_executor(type, {.run = run, .validate = validate_, .repeatable = repeatable_});
    }
    const auto started = manager_->start();
    ASSERT_TRUE(started) << started.error().message;
  }
  void restart(Work run) {
    manager_.reset();
    open();
    start(std::move(run));
  }

  Job create(JobRequest request = {}) {
    auto job = manager_->create(std::move(request));
    EXPECT_TRUE(job) << job.error().message;
    return job.value_or(Job{});
  }
  // `live` holds its key, so that asking starts nothing.
  void wait_until_stopping(const Job& live) {
    wait_until([&] {
      return manager_->create({.idempotency_key = live.idempotency_key}).error().code == ErrorCode::kUnavailable;
    });
  }
  Job wait(const std::string& id) {
    auto job = manager_->wait(id);
    EXPECT_TRUE(job) << job.error().message;
    return job.value_or(Job{});
  }
  JobStatus status_of(const std::string& id) { return manager_->find(id)->status; }
  void wait_for(const std::string& id, JobStatus status) {
    wait_until([&] { return status_of(id) == status; });
  }
  std::string log_text() {
    std::ifstream file(options_.log_file);
    std::stringstream text;
    text << file.rdbuf();
    return text.str();
  }

  static Result<Decision> complete(const Job&, const std::stop_token&) { return Decision::completed(R"({"n":1})"); }
  static Result<Decision> until_stopped(const Job&, const std::stop_token& stop) {
    std::binary_semaphore stopped(0);
    const std::stop_callback release(stop, [&] { stopped.release(); });
    stopped.acquire();
    return fail(ErrorCode::kUnavailable, "stopped");
  }

  JobOptions options_{.max_concurrent = 4, .max_retries = 3, .retry_backoff_ms = 1000, .node_number = 7};
  std::function<Result<>(const nlohmann::json&)> validate_;
  bool repeatable_ = true;
  std::unique_ptr<JobManager> manager_;
};

TEST_F(JobManagerTest, RunsAJobAndRecordsIt) {
  std::atomic<int64_t> seen_status = -1;
  start([&](const Job& job, const std::stop_token&) -> Result<Decision> {
    seen_status = static_cast<int64_t>(status_of(job.id));  // on the disk before it begins
    clock_.advance_us(50);
    return Decision::completed(R"({"n":1})");
  });
  const Job created = create({.parameters = R"({"a":1})", .started_by = UserId("ann"), .priority = 5});
  EXPECT_EQ(created.id.substr(0, 3), "FL-");
  EXPECT_EQ(created.id.size(), 15U);
  const Job done = wait(created.id);
  EXPECT_EQ(seen_status, static_cast<int64_t>(kRunning));
  EXPECT_EQ(done.status, kCompleted);
  EXPECT_EQ(done.message, R"({"n":1})");
  EXPECT_EQ(done.parameters, R"({"a":1})");
  EXPECT_EQ(done.started_by, UserId("ann"));
  EXPECT_EQ(done.node_number, 7);
  EXPECT_EQ(done.created_at_us, storage::kTestStartUs);
  EXPECT_EQ(done.queued_at_us, storage::kTestStartUs);
  EXPECT_EQ(done.started_at_us, storage::kTestStartUs);
  EXPECT_EQ(done.finished_at_us, storage::kTestStartUs + 50);
  EXPECT_EQ(manager_->counts()[static_cast<size_t>(kCompleted)], 1U);
  EXPECT_EQ(manager_->list()->size(), 1U);
  EXPECT_TRUE(manager_->live().empty());
}

TEST_F(JobManagerTest, BadParametersAreRefusedAtOnce) {
  validate_ = [](const nlohmann::json& parameters) -> Result<> {
    if (parameters.contains("table")) return {};
    return fail(ErrorCode::kInvalidInput, "no table");
  };
  start(complete);
  for (const char* bad : {"", "[]", "{", "1", "{}"}) {
    const auto refused = manager_->create({.parameters = bad});
    ASSERT_FALSE(refused) << bad;
    EXPECT_EQ(refused.error().code, ErrorCode::kInvalidInput);
  }
  EXPECT_TRUE(manager_->list()->empty());
  EXPECT_EQ(wait(create({.parameters = R"({"table":1})"}).id).status, kCompleted);
}

TEST_F(JobManagerTest, OfFiftyCreatorsOneGetsTheKey) {
  std::binary_semaphore go(0);
  start([&](const Job&, const std::stop_token&) -> Result<Decision> {
    go.acquire();
    return Decision::completed("{}");
  });
  std::latch together(50);
  std::atomic<int> created = 0;
  std::mutex mutex;
  std::set<std::string> named;
  std::string winner;
  {
    std::vector<std::jthread> creators;
    for (int i = 0; i < 50; ++i) {
      creators.emplace_back([&] {
        together.arrive_and_wait();
        const auto job = manager_->create({.idempotency_key = "k"});
        const std::lock_guard lock(mutex);
        if (job) {
          ++created;
          winner = job->id;
        } else {
          EXPECT_EQ(job.error().code, ErrorCode::kIdempotentConflict);
          named.insert(job.error().message);
        }
      });
    }
  }
  EXPECT_EQ(created, 1);
  ASSERT_EQ(named.size(), 1U);
  EXPECT_EQ(*named.begin(), "Job with idempotency key 'k' is already running or queued (" + winner + ")");
  EXPECT_EQ(manager_->list()->size(), 1U);
  go.release();
  wait(winner);
  go.release();
  EXPECT_EQ(wait(create({.idempotency_key = "k"}).id).status, kCompleted);  // free again
}

TEST_F(JobManagerTest, TheKeyIsFreeOnceTheJobShowsAsEnded) {
  start(complete);
  for (int i = 0; i < 200; ++i) {
    const auto job = manager_->create({.idempotency_key = "k"});
    ASSERT_TRUE(job) << i << ": " << job.error().message;
    while (status_of(job->id) != kCompleted) std::this_thread::yield();
  }
}

TEST_F(JobManagerTest, TheKeyIsHeldAcrossRetriesAndRestarts) {
  options_.shutdown_timeout_ms = 1;
  start([](const Job&, const std::stop_token&) -> Result<Decision> { return Decision::retry("busy"); });
  const Job job = create({.idempotency_key = "k"});
  wait_for(job.id, kRetrying);
  EXPECT_FALSE(manager_->create({.idempotency_key = "k"}));
  restart(until_stopped);
  EXPECT_FALSE(manager_->create({.idempotency_key = "k"}));
  ASSERT_TRUE(manager_->kill(job.id));
  wait(job.id);
  EXPECT_TRUE(manager_->create({.idempotency_key = "k"}));
}

TEST_F(JobManagerTest, RetriesWaitTwiceAsLongEachTime) {
  std::vector<int64_t> attempts_us;
  start([&](const Job& job, const std::stop_token& stop) -> Result<Decision> {
    if (job.type == JobType::kCompact) return complete(job, stop);
    attempts_us.push_back(clock_.monotonic_us());
    return fail(ErrorCode::kIo, "disk away");
  });
  const Job job = create();
  for (const int64_t delay_us : {1'000'000, 2'000'000, 4'000'000}) {
    wait_for(job.id, kRetrying);
    const size_t attempts = attempts_us.size();
    EXPECT_EQ(manager_->find(job.id)->retry_count, attempts);
    EXPECT_EQ(manager_->find(job.id)->message, "disk away");
    clock_.advance_us(delay_us - 1);
    manager_->wake();
    // Whatever is created now is looked at after that.
    wait(create({.type = JobType::kCompact}).id);
    EXPECT_EQ(status_of(job.id), kRetrying);
    EXPECT_EQ(attempts_us.size(), attempts);
    clock_.advance_us(1);
    manager_->wake();
    wait_until([&] { return manager_->find(job.id)->retry_count > attempts || !manager_->find(job.id)->live(); });
  }
  const Job failed = wait(job.id);
  EXPECT_EQ(failed.status, kFailed);
  EXPECT_EQ(failed.retry_count, 3U);
  EXPECT_EQ(failed.message, "disk away");
  EXPECT_NE(failed.exception_trace.find("attempt 1 of 4 of a flush job: disk away"), std::string::npos);
  EXPECT_NE(failed.exception_trace.find("attempt 4 of 4 of a flush job: disk away"), std::string::npos);
}

TEST_F(JobManagerTest, ASuccessClearsTheTrace) {
  std::atomic<int> attempts = 0;
  start([&](const Job&, const std::stop_token&) -> Result<Decision> {
    if (++attempts < 3) return Decision::retry("not yet", 0);
    return Decision::completed("{}");
  });
  const Job done = wait(create().id);
  EXPECT_EQ(done.status, kCompleted);
  EXPECT_EQ(done.retry_count, 2U);
  EXPECT_EQ(done.exception_trace, "");
  EXPECT_EQ(done.message, "{}");
}

TEST_F(JobManagerTest, ErrorsThatStayAreNotTriedAgain) {
  start([](const Job&, const std::stop_token&) -> Result<Decision> { return fail(ErrorCode::kNotFound, "no table"); });
  const Job failed = wait(create().id);
  EXPECT_EQ(failed.status, kFailed);
  EXPECT_EQ(failed.retry_count, 0U);
  EXPECT_EQ(failed.message, "no table");
}

TEST_F(JobManagerTest, AJobMayHaveItsOwnNumberOfRetries) {
  start([](const Job&, const std::stop_token&) -> Result<Decision> { return Decision::retry("busy", 0); });
  const Job failed = wait(create({.max_retries = 1}).id);
  EXPECT_EQ(failed.retry_count, 1U);
  EXPECT_EQ(failed.max_retries, 1U);
}

TEST_F(JobManagerTest, ExecutorsThatThrowFailTheirJob) {
  start([](const Job& job, const std::stop_token&) -> Result<Decision> {
    if (job.type == JobType::kCompact) throw 42;
    try {
      throw std::out_of_range("inner");
    } catch (const std::exception&) {
      std::throw_with_nested(std::runtime_error("outer"));
    }
  });
  const Job failed = wait(create().id);
  EXPECT_EQ(failed.status, kFailed);
  EXPECT_NE(failed.exception_trace.find("std::runtime_error"), std::string::npos) << failed.exception_trace;
  EXPECT_NE(failed.exception_trace.find("outer"), std::string::npos);
  EXPECT_NE(failed.exception_trace.find("std::out_of_range: inner"), std::string::npos);
  EXPECT_EQ(wait(create({.type = JobType::kCompact}).id).status, kFailed);
}

TEST_F(JobManagerTest, MoreGoesOnFromThePositionWithoutCountingAsRetry) {
  std::vector<std::string> positions;
  start([&](const Job& job, const std::stop_token&) -> Result<Decision> {
    positions.push_back(job.position);
    if (positions.size() < 5) return Decision::more(std::to_string(positions.size()), R"({"so_far":1})");
    return Decision::completed("{}");
  });
  const Job done = wait(create({.max_retries = 0}).id);
  EXPECT_EQ(done.status, kCompleted);
  EXPECT_EQ(done.retry_count, 0U);
  EXPECT_EQ(done.position, "");
  EXPECT_EQ(positions, (std::vector<std::string>{"", "1", "2", "3", "4"}));
}

TEST_F(JobManagerTest, SkippedJobsSaySo) {
  start([](const Job&, const std::stop_token&) -> Result<Decision> { return Decision::skipped("{}"); });
  EXPECT_EQ(wait(create().id).status, kSkipped);
}

TEST_F(JobManagerTest, AKilledJobStopsOrNeverStarts) {
  std::atomic<int> started = 0;
  start([&](const Job& job, const std::stop_token& stop) -> Result<Decision> {
    ++started;
    return until_stopped(job, stop);
  });
  std::vector<std::string> running;
  for (int i = 0; i < 2; ++i) running.push_back(create().id);  // all that one queue of four slots gets
  for (const auto& id : running) wait_for(id, kRunning);
  const Job waiting = create();
  const auto cancelled = manager_->kill(waiting.id);
  ASSERT_TRUE(cancelled);
  EXPECT_EQ(cancelled->status, kCancelled);
  EXPECT_EQ(cancelled->message, "Cancelled by user");
  EXPECT_EQ(cancelled->started_at_us, 0);
  for (const auto& id : running) {
    const auto killed = manager_->kill(id);
    ASSERT_TRUE(killed);
    EXPECT_EQ(killed->status, kRunning);
    EXPECT_EQ(wait(id).status, kCancelled);
  }
  EXPECT_EQ(started, 2);
  const auto again = manager_->kill(waiting.id);
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().message, "Cannot cancel job in status Cancelled");
  const auto unknown = manager_->kill("FL-unknown");
  ASSERT_FALSE(unknown);
  EXPECT_EQ(unknown.error().message, "Job FL-unknown not found");
}

TEST_F(JobManagerTest, WhatWaitsForARetryCanBeKilled) {
  start([](const Job&, const std::stop_token&) -> Result<Decision> { return Decision::retry("busy"); });
  const Job job = create();
  wait_for(job.id, kRetrying);
  EXPECT_EQ(manager_->kill(job.id)->status, kCancelled);
  clock_.advance_us(1'000'000);
  manager_->wake();
  EXPECT_EQ(status_of(job.id), kCancelled);
}

// A batch that ends before the kill is seen is the last one.
TEST_F(JobManagerTest, AKilledJobGetsNoFurtherBatch) {
  std::binary_semaphore begun(0);
  std::binary_semaphore go_on(0);
  start([&](const Job&, const std::stop_token&) -> Result<Decision> {
    begun.release();
    go_on.acquire();
    return Decision::more("1", "{}");
  });
  const Job job = create();
  begun.acquire();
  ASSERT_TRUE(manager_->kill(job.id));
  go_on.release();
  EXPECT_EQ(wait(job.id).status, kCancelled);
}

TEST_F(JobManagerTest, AKillOutlivesACrash) {
  std::binary_semaphore go(0);
  start([&](const Job&, const std::stop_token&) -> Result<Decision> {
    go.acquire();
    return Decision::completed("{}");
  });
  const Job job = create();
  wait_for(job.id, kRunning);
  ASSERT_TRUE(manager_->kill(job.id));
  const std::string crashed = directory_ + ".crashed";
  copy_directory(crashed);
  go.release();
  EXPECT_EQ(wait(job.id).status, kCompleted);  // it had got through before it looked
  manager_.reset();
  database_.reset();
  std::filesystem::remove_all(directory_);
  std::filesystem::rename(crashed, directory_);
  restart(complete);
  EXPECT_EQ(manager_->find(job.id)->status, kCancelled);
}

TEST_F(JobManagerTest, RunningJobsFinishBeforeTheEnd) {
  std::binary_semaphore begun(0);
  std::binary_semaphore go_on(0);
  start([&](const Job&, const std::stop_token&) -> Result<Decision> {
    begun.release();
    go_on.acquire();
    return Decision::completed("{}");
  });
  const Job job = create({.idempotency_key = "k"});
  begun.acquire();
  std::jthread stopping([&] { manager_->stop(); });
  wait_until_stopping(job);
  go_on.release();
  stopping.join();
  EXPECT_EQ(status_of(job.id), kCompleted);
}

TEST_F(JobManagerTest, WhatTakesTooLongGoesOnAtTheNextStart) {
  options_.shutdown_timeout_ms = 1;
  start(until_stopped);
  const Job job = create();
  wait_for(job.id, kRunning);
  restart(complete);
  const Job done = wait(job.id);
  EXPECT_EQ(done.status, kCompleted);
  EXPECT_EQ(done.retry_count, 0U);
}

TEST_F(JobManagerTest, BatchesGoOnAfterARestartWhereTheyWere) {
  std::binary_semaphore begun(0);
  std::binary_semaphore go_on(0);
  start([&](const Job& job, const std::stop_token&) -> Result<Decision> {
    begun.release();
    go_on.acquire();
    return Decision::more(job.position + "x", "{}");
  });
  const Job job = create({.idempotency_key = "k"});
  begun.acquire();
  go_on.release();
  begun.acquire();
  std::jthread stopping([&] { manager_->stop(); });
  wait_until_stopping(job);
  go_on.release();
  stopping.join();
  EXPECT_EQ(status_of(job.id), kRetrying);
  std::string position;
  restart([&](const Job& again, const std::stop_token&) -> Result<Decision> {
    position = again.position;
    return Decision::completed("{}");
  });
  wait(job.id);
  EXPECT_EQ(position, "xx");
}

// Whatever the last thing is that reached the disk, the job is done after the next start, or has been before.
TEST_F(JobManagerTest, ACrashAtAnyTransitionLosesNothing) {
  std::vector<std::string> crashes;
  std::mutex mutex;
  database_.reset();
  open();
  database_->add_listener([&](const storage::ChangeSetPtr&) {
    const std::lock_guard lock(mutex);
    const std::string crash = directory_ + ".crash" + std::to_string(crashes.size());
    copy_directory(crash);
    crashes.push_back(crash);
  });
  std::atomic<int> attempts = 0;
  start([&](const Job&, const std::stop_token&) -> Result<Decision> {
    ++attempts;
    if (attempts == 1) return Decision::more("half", "{}");
    if (attempts == 2) return Decision::retry("busy", 0);
    return Decision::completed("{}");
  });
  const Job job = create({.idempotency_key = "k"});
  wait(job.id);
  manager_.reset();
  database_.reset();
  std::filesystem::remove_all(directory_);

  std::set<JobStatus> seen;
  for (const std::string& crash : crashes) {
    std::filesystem::rename(crash, directory_);
    open();
    const auto before = decode_job(database_->hot().get_record(hot::RecordSpace::kJob, job.id, nullptr)->value());
    ASSERT_TRUE(before);
    seen.insert(before->status);
    std::atomic<int> runs = 0;
    std::string position;
    start([&](const Job& again, const std::stop_token&) -> Result<Decision> {
      ++runs;
      position = again.position;
      return Decision::completed("{}");
    });
    const Job done = wait(job.id);
    EXPECT_EQ(done.status, kCompleted);
    EXPECT_EQ(done.restarts, before->status == kRunning ? before->restarts + 1 : before->restarts);
    EXPECT_EQ(runs, before->live() ? 1 : 0);
    if (before->live()) EXPECT_EQ(position, before->position);
    EXPECT_EQ(wait(create({.idempotency_key = "k"}).id).status, kCompleted);  // nothing holds the key any more
    manager_.reset();
    database_.reset();
    std::filesystem::remove_all(directory_);
  }
  EXPECT_EQ(seen, (std::set<JobStatus>{kNew, kQueued, kRunning, kRetrying, kCompleted}));
}

TEST_F(JobManagerTest, WhatMustNotRunTwiceStaysFailed) {
  repeatable_ = false;
  Job job;
  job.id = "FL-1";
  job.status = kRunning;
  storage::CommitRequest request;
  request.records.push_back({hot::RecordSpace::kJob, job.id, encode(job), std::nullopt});
  ASSERT_TRUE(database_->committer().commit(std::move(request)));
  start(complete);
  const auto found = manager_->find(job.id);
  ASSERT_TRUE(found);
  EXPECT_EQ(found->status, kFailed);
  EXPECT_EQ(found->message, "Server restarted");
}

// A job that takes the server down with it must not do so for ever.
TEST_F(JobManagerTest, AJobThatNeverSurvivesIsGivenUp) {
  Job job;
  job.id = "FL-1";
  job.status = kRunning;
  job.restarts = 10;
  storage::CommitRequest request;
  request.records.push_back({hot::RecordSpace::kJob, job.id, encode(job), std::nullopt});
  request.records.push_back({hot::RecordSpace::kJob, "FL-2", "damaged", std::nullopt});
  ASSERT_TRUE(database_->committer().commit(std::move(request)));
  start(complete);
  EXPECT_EQ(manager_->find(job.id)->status, kFailed);
  EXPECT_EQ(wait(create().id).status, kCompleted);
}

TEST_F(JobManagerTest, LongJobsKeepNoShortOnesWaiting) {
  start([&](const Job& job, const std::stop_token& stop) -> Result<Decision> {
    return job.type == JobType::kCompact ? until_stopped(job, stop) : complete(job, stop);
  });
  std::vector<std::string> ids;
  for (int i = 0; i < 10; ++i) ids.push_back(create({.type = JobType::kCompact, .priority = 1000}).id);
  wait_until([&] { return manager_->counts()[static_cast<size_t>(kRunning)] == 2; });
  for (int i = 0; i < 20; ++i) {
    EXPECT_EQ(wait(create().id).status, kCompleted);
    EXPECT_EQ(wait(create({.type = JobType::kRetention}).id).status, kCompleted);
  }
  for (auto id = ids.rbegin(); id != ids.rend(); ++id) ASSERT_TRUE(manager_->kill(*id));
}

TEST_F(JobManagerTest, OldRecordsGo) {
  start(complete);
  for (int i = 0; i < 5; ++i) wait(create().id);
  clock_.advance_us(1000);
  const Job young = create();
  wait(young.id);
  EXPECT_EQ(manager_->remove_ended(storage::kTestStartUs + 1000, 3), 3U);
  EXPECT_EQ(manager_->remove_ended(storage::kTestStartUs + 1000, 3), 2U);
  EXPECT_EQ(manager_->remove_ended(storage::kTestStartUs + 1000, 3), 0U);
  ASSERT_EQ(manager_->list()->size(), 1U);
  EXPECT_EQ(manager_->list()->front().id, young.id);
  EXPECT_EQ(manager_->counts()[static_cast<size_t>(kCompleted)], 1U);
}

TEST_F(JobManagerTest, TheLogTellsWhatHappened) {
  options_.log_file = directory_ + "/logs/jobs.log";
  std::atomic<int> attempts = 0;
  start([&](const Job& job, const std::stop_token&) -> Result<Decision> {
    if (job.type == JobType::kCompact) return Decision::failed("broken\nin two lines");
    if (++attempts == 1) return Decision::retry("busy", 0);
    return Decision::completed(R"({"n":1})");
  });
  const std::string id = create({.idempotency_key = "k"}).id;
  wait(id);
  const std::string broken = create({.type = JobType::kCompact, .idempotency_key = "c"}).id;
  wait(broken);
  std::vector<std::string> lines;
  std::stringstream text(log_text());
  for (std::string line; std::getline(text, line);) lines.push_back(line);
  const std::string at = "2026-05-28T20:26:40.000Z ";
  EXPECT_EQ(lines,
            (std::vector<std::string>{
                "[" + id + "] " + at + "queued: flush k", "[" + id + "] " + at + "started",
                "[" + id + "] " + at + "retry 1 of 3 in 0 ms: busy", "[" + id + "] " + at + R"(completed: {"n":1})",
                "[" + broken + "] " + at + "queued: compact c", "[" + broken + "] " + at + "started",
                "[" + broken + "] " + at + "failed: broken in two lines"}));
}

}  // namespace
}  // namespace kalamdb::jobs
