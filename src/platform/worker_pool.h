// Threads for work that blocks, so that IO threads never do.
#pragma once

#include <atomic>
#include <cstddef>
#include <functional>
#include <memory>

namespace kalamdb::platform {

// Thread-safe.
class WorkerPool {
 public:
  // At most `queue_limit` tasks wait or run at a time.
  WorkerPool(unsigned threads, size_t queue_limit);
  ~WorkerPool();

  // False, and the task never runs, when the pool is full or stopped.
  bool post(std::function<void()> task);
  // Whether tasks wait for a thread.
  bool is_saturated() const { return pending_.load(std::memory_order_relaxed) > threads_; }
  // Lets what was posted finish and joins the threads. The second call does nothing.
  void stop();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
  std::atomic<size_t> pending_{0};
  std::atomic<bool> stopped_{false};
  const size_t threads_;
  const size_t queue_limit_;
};

}  // namespace kalamdb::platform
