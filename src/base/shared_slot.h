// A shared_ptr that threads read and replace.
#pragma once

#include <memory>
#include <mutex>
#include <utility>

namespace kalamdb {

// Thread-safe. std::atomic<std::shared_ptr> in its place would race: in GCC 12, load() gives up its lock with a relaxed
// order, so that on processors that reorder loads a replacement may be read by half.
template <typename T>
class SharedSlot {
 public:
  std::shared_ptr<T> load() const {
    const std::lock_guard lock(mutex_);
    return value_;
  }
  void store(std::shared_ptr<T> value) {
    const std::lock_guard lock(mutex_);
    value_.swap(value);  // the former one goes behind the lock
  }

 private:
  mutable std::mutex mutex_;
  std::shared_ptr<T> value_;
};

}  // namespace kalamdb
