// Interrupts queries that run past their time, or that nobody waits for any more: one thread for the whole engine. For
// the other files of this folder only.
#pragma once

#include <chrono>
#include <condition_variable>
#include <duckdb.hpp>
#include <functional>
#include <list>
#include <mutex>
#include <thread>

namespace kalamdb::duck {

// Thread-safe.
class DeadlineTimer {
 public:
  struct Entry {
    std::chrono::steady_clock::time_point deadline;
    std::function<bool()> is_abandoned;
    duckdb::weak_ptr<duckdb::ClientContext> context;
  };
  using Entries = std::list<Entry>;

  // Interrupts nothing any more once it is destroyed.
  class Handle {
   public:
    Handle() = default;
    Handle(DeadlineTimer* timer, Entries::iterator entry) : timer_(timer), entry_(entry) {}
    Handle(Handle&& other) noexcept : timer_(std::exchange(other.timer_, nullptr)), entry_(other.entry_) {}
    Handle& operator=(Handle&& other) noexcept {
      std::swap(timer_, other.timer_);
      std::swap(entry_, other.entry_);
      return *this;
    }
    ~Handle() {
      if (timer_) timer_->remove(entry_);
    }

   private:
    DeadlineTimer* timer_ = nullptr;
    Entries::iterator entry_;
  };

  DeadlineTimer();
  ~DeadlineTimer();

  // Interrupts what runs on the connection in `timeout_ms` (0: never), and as soon as `is_abandoned`, if there is one,
  // says so; unless the handle is gone by then. Both are looked at some 20 times a second.
  Handle start(const duckdb::shared_ptr<duckdb::ClientContext>& context, int64_t timeout_ms,
               std::function<bool()> is_abandoned);

 private:
  void remove(Entries::iterator entry);
  void run(std::stop_token stop);

  std::mutex mutex_;
  std::condition_variable_any wake_;
  Entries entries_;
  std::jthread thread_;
};

}  // namespace kalamdb::duck
