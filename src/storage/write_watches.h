// What is written to a table while somebody reads all of it.
#pragma once

#include <algorithm>
#include <atomic>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "storage/commit.h"

namespace kalamdb::storage {

// Commits that write rows of one table, collected as long as it lives. Thread-safe.
class WriteWatch {
 public:
  virtual ~WriteWatch() = default;
  // Those since the last call, or since it was made, in their order.
  virtual std::vector<ChangeSetPtr> take() = 0;
};

// Thread-safe.
class WriteWatches {
 public:
  std::shared_ptr<WriteWatch> watch(TableId table) {
    auto watch = std::make_shared<Watch>(table);
    const std::lock_guard lock(mutex_);
    std::erase_if(watches_, [](const auto& known) { return known.expired(); });
    watches_.push_back(watch);
    any_ = true;
    return watch;
  }

  // A commit was made; on the committer's thread.
  void add(const ChangeSetPtr& changes) {
    if (!any_) return;
    const std::lock_guard lock(mutex_);
    std::erase_if(watches_, [&](const auto& known) {
      const auto watch = known.lock();
      if (watch != nullptr) watch->add(changes);
      return watch == nullptr;
    });
    any_ = !watches_.empty();
  }

 private:
  class Watch final : public WriteWatch {
   public:
    explicit Watch(TableId table) : table_(table) {}

    void add(const ChangeSetPtr& changes) {
      if (std::ranges::none_of(changes->rows, [&](const auto& change) { return change.table->id == table_; })) return;
      const std::lock_guard lock(mutex_);
      changes_.push_back(changes);
    }
    std::vector<ChangeSetPtr> take() override {
      const std::lock_guard lock(mutex_);
      return std::exchange(changes_, {});
    }

   private:
    const TableId table_;
    std::mutex mutex_;
    std::vector<ChangeSetPtr> changes_;
  };

  std::atomic<bool> any_{false};
  std::mutex mutex_;
  std::vector<std::weak_ptr<Watch>> watches_;
};

}  // namespace kalamdb::storage
