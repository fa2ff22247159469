// Which snapshots live, so that what only older ones see can go once they do. For the other files of this folder only.
#pragma once

#include <functional>
#include <map>
#include <mutex>
#include <optional>

#include "base/ids.h"

namespace kalamdb::hot {

// Thread-safe, but for set_listener().
class LiveSnapshots {
 public:
  // Before the first snapshot: who is told, on the releasing thread, that one has gone.
  void set_listener(std::function<void()> listener) { listener_ = std::move(listener); }

  // Takes a snapshot by `take`, which gives its `_seq`; oldest() never misses one that has been taken.
  template <typename Take>
  auto add(const Take& take) {
    const std::lock_guard lock(mutex_);
    auto taken = take();
    ++counts_[taken->seq()];
    return taken;
  }
  void remove(Seq seq) {
    {
      const std::lock_guard lock(mutex_);
      if (const auto entry = counts_.find(seq); --entry->second == 0) counts_.erase(entry);
    }
    if (listener_) listener_();
  }
  std::optional<Seq> oldest() const {
    const std::lock_guard lock(mutex_);
    if (counts_.empty()) return std::nullopt;
    return counts_.begin()->first;
  }

 private:
  mutable std::mutex mutex_;
  std::map<Seq, size_t> counts_;
  std::function<void()> listener_;
};

}  // namespace kalamdb::hot
