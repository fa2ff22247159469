#include "auth/hash_pool.h"

#include "base/assert.h"

namespace kalamdb::auth {

HashPool::HashPool(unsigned threads, size_t max_queued) : max_queued_(max_queued) {
  KALAM_ASSERT(threads > 0);
  for (unsigned i = 0; i < threads; ++i) {
    Worker& worker = *workers_.emplace_back(std::make_unique<Worker>());
    worker.thread = std::thread([&worker] { run(worker); });
  }
}

HashPool::~HashPool() { stop(); }

void HashPool::stop() {
  for (const auto& worker : workers_) {
    std::deque<std::function<void()>> dropped;
    {
      const std::scoped_lock lock(worker->mutex);
      worker->stopping = true;
      dropped.swap(worker->queue);
    }
    worker->wake.notify_one();
    if (worker->thread.joinable()) worker->thread.join();
  }
}

Result<> HashPool::submit(std::string_view key, std::function<void()> work) {
  Worker& worker = *workers_[std::hash<std::string_view>{}(key) % workers_.size()];
  {
    const std::scoped_lock lock(worker.mutex);
    if (worker.stopping) return fail(ErrorCode::kUnavailable, "The server is shutting down.");
    if (worker.queue.size() >= max_queued_) {
      return fail(ErrorCode::kRateLimited, "Too many authentication attempts. Please retry shortly.");
    }
    worker.queue.push_back(std::move(work));
  }
  worker.wake.notify_one();
  return {};
}

void HashPool::run(Worker& worker) {
  std::unique_lock lock(worker.mutex);
  while (true) {
    worker.wake.wait(lock, [&worker] { return worker.stopping || !worker.queue.empty(); });
    if (worker.queue.empty()) return;
    auto work = std::move(worker.queue.front());
    worker.queue.pop_front();
    lock.unlock();
    work();
    work = nullptr;
    lock.lock();
  }
}

}  // namespace kalamdb::auth
