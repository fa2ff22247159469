#include "duck/deadline.h"

namespace kalamdb::duck {

using Clock = std::chrono::steady_clock;

// How soon a query is interrupted again that did not notice: DuckDB forgets an interrupt that comes before it starts.
constexpr std::chrono::milliseconds kAgain{50};

DeadlineTimer::DeadlineTimer() : thread_([this](std::stop_token stop) { run(stop); }) {}

DeadlineTimer::~DeadlineTimer() {
  thread_.request_stop();
  wake_.notify_all();
}

DeadlineTimer::Handle DeadlineTimer::start(const duckdb::shared_ptr<duckdb::ClientContext>& context,
                                           int64_t timeout_ms) {
  if (timeout_ms <= 0) return {};
  std::lock_guard lock(mutex_);
  const auto entry = deadlines_.emplace(Clock::now() + std::chrono::milliseconds(timeout_ms), context);
  if (entry == deadlines_.begin()) wake_.notify_all();
  return {this, entry};
}

void DeadlineTimer::remove(Deadlines::iterator entry) {
  std::lock_guard lock(mutex_);
  deadlines_.erase(entry);
}

void DeadlineTimer::run(std::stop_token stop) {
  std::unique_lock lock(mutex_);
  while (!stop.stop_requested()) {
    const auto now = Clock::now();
    while (!deadlines_.empty() && deadlines_.begin()->first <= now) {
      // Moving the node keeps the handle's iterator valid.
      auto node = deadlines_.extract(deadlines_.begin());
      if (const auto context = node.mapped().lock()) context->Interrupt();
      node.key() = now + kAgain;
      deadlines_.insert(std::move(node));
    }
    if (deadlines_.empty()) {
      wake_.wait(lock, stop, [&] { return !deadlines_.empty(); });
    } else {
      const auto next = deadlines_.begin()->first;
      wake_.wait_until(lock, stop, next, [&] { return !deadlines_.empty() && deadlines_.begin()->first < next; });
    }
  }
}

}  // namespace kalamdb::duck
