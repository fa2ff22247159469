// A cache with a bound on the sum of its entries' costs; the entries used longest ago go first.
#pragma once

#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>

namespace kalamdb::storage {

// Thread-safe. Entries are shared: one that has gone from the cache lives on with whoever holds it.
template <typename T>
class LruCache {
 public:
  explicit LruCache(size_t capacity) : capacity_(capacity) {}

  // nullptr where there is none.
  std::shared_ptr<const T> get(const std::string& key) {
    const std::lock_guard lock(mutex_);
    const auto found = index_.find(key);
    if (found == index_.end()) return nullptr;
    entries_.splice(entries_.begin(), entries_, found->second);
    return found->second->value;
  }

  // Keeps what is there under `key` already. An entry that costs more than the whole capacity is not kept.
  void put(std::string key, std::shared_ptr<const T> value, size_t cost) {
    const std::lock_guard lock(mutex_);
    if (cost > capacity_ || index_.contains(key)) return;
    entries_.push_front({std::move(key), std::move(value), cost});
    index_.emplace(entries_.front().key, entries_.begin());
    cost_ += cost;
    while (cost_ > capacity_) {
      cost_ -= entries_.back().cost;
      index_.erase(entries_.back().key);
      entries_.pop_back();
    }
  }

 private:
  struct Entry {
    std::string key;
    std::shared_ptr<const T> value;
    size_t cost = 0;
  };

  std::mutex mutex_;
  size_t capacity_;
  size_t cost_ = 0;
  std::list<Entry> entries_;                                                         // used last first
  std::unordered_map<std::string_view, typename std::list<Entry>::iterator> index_;  // keys are the entries' own
};

}  // namespace kalamdb::storage
