// Who reads the segments of which table: files go only when nobody does.
#pragma once

#include <condition_variable>
#include <memory>
#include <mutex>
#include <unordered_map>

#include "base/ids.h"

namespace kalamdb::storage {

// Thread-safe. Must outlive the tokens it gives.
class Readers {
 public:
  // The table is read for as long as the token, or a copy of it, lives.
  std::shared_ptr<void> enter(TableId table) {
    const std::lock_guard lock(mutex_);
    ++active_[table];
    return {this, [table](Readers* readers) { readers->leave(table); }};
  }

  // Waits until nobody reads the table. False if stop() was called meanwhile.
  bool wait_until_idle(TableId table) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return stopped_ || !active_.contains(table); });
    return !stopped_;
  }

  void stop() {
    const std::lock_guard lock(mutex_);
    stopped_ = true;
    changed_.notify_all();
  }

 private:
  void leave(TableId table) {
    const std::lock_guard lock(mutex_);
    const auto entry = active_.find(table);
    if (--entry->second > 0) return;
    active_.erase(entry);
    changed_.notify_all();
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  std::unordered_map<TableId, size_t> active_;
  bool stopped_ = false;
};

}  // namespace kalamdb::storage
