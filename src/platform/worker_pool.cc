#include "platform/worker_pool.h"

#include <boost/asio/post.hpp>
#include <boost/asio/thread_pool.hpp>
#include <utility>

namespace kalamdb::platform {

struct WorkerPool::Impl {
  boost::asio::thread_pool pool;
  explicit Impl(unsigned threads) : pool(threads) {}
};

WorkerPool::WorkerPool(unsigned threads, size_t queue_limit)
    : impl_(std::make_unique<Impl>(threads)), threads_(threads), queue_limit_(queue_limit) {}

WorkerPool::~WorkerPool() { stop(); }

bool WorkerPool::post(std::function<void()> task) {
  if (stopped_.load() || pending_.fetch_add(1) >= queue_limit_) {
    if (!stopped_.load()) pending_.fetch_sub(1);
    return false;
  }
  boost::asio::post(impl_->pool, [this, task = std::move(task)] {
    task();
    pending_.fetch_sub(1);
  });
  return true;
}

void WorkerPool::stop() {
  if (stopped_.exchange(true)) return;
  impl_->pool.join();
}

}  // namespace kalamdb::platform
