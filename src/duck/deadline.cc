#include "duck/deadline.h"

namespace kalamdb::duck {

using Clock = std::chrono::steady_clock;

// How often the queries are looked at. One that is over its time is interrupted each time: DuckDB forgets an interrupt
// that comes before it starts.
constexpr std::chrono::milliseconds kTick{50};

DeadlineTimer::DeadlineTimer() : thread_([this](std::stop_token stop) { run(stop); }) {}

DeadlineTimer::~DeadlineTimer() {
  thread_.request_stop();
  wake_.notify_all();
}

DeadlineTimer::Handle DeadlineTimer::start(const duckdb::shared_ptr<duckdb::ClientContext>& context, int64_t timeout_ms,
                                           std::function<bool()> is_abandoned) {
  if (timeout_ms <= 0 && !is_abandoned) return {};
  const auto deadline =
      timeout_ms > 0 ? Clock::now() + std::chrono::milliseconds(timeout_ms) : Clock::time_point::max();
  std::lock_guard lock(mutex_);
  if (entries_.empty()) wake_.notify_all();
  return {this, entries_.insert(entries_.end(), {deadline, std::move(is_abandoned), context})};
}

void DeadlineTimer::remove(Entries::iterator entry) {
  std::lock_guard lock(mutex_);
  entries_.erase(entry);
}

void DeadlineTimer::run(std::stop_token stop) {
  std::unique_lock lock(mutex_);
  while (!stop.stop_requested()) {
    if (entries_.empty()) {
      wake_.wait(lock, stop, [&] { return !entries_.empty(); });
      continue;
    }
    const auto now = Clock::now();
    for (const Entry& entry : entries_) {
      if (now < entry.deadline && !(entry.is_abandoned && entry.is_abandoned())) continue;
      if (const auto context = entry.context.lock()) context->Interrupt();
    }
    wake_.wait_until(lock, stop, now + kTick, [] { return false; });
  }
}

}  // namespace kalamdb::duck
