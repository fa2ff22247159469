// Interrupts queries that run past their time: one thread for the whole engine. For the other files of this folder
// only.
#pragma once

#include <chrono>
#include <condition_variable>
#include <duckdb.hpp>
#include <map>
#include <memory>
#include <mutex>
#include <thread>

namespace kalamdb::duck {

// Thread-safe.
class DeadlineTimer {
 public:
  using Deadlines = std::multimap<std::chrono::steady_clock::time_point, duckdb::weak_ptr<duckdb::ClientContext>>;

  // Interrupts nothing any more once it is destroyed.
  class Handle {
   public:
    Handle() = default;
    Handle(DeadlineTimer* timer, Deadlines::iterator entry) : timer_(timer), entry_(entry) {}
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
    Deadlines::iterator entry_;
  };

  DeadlineTimer();
  ~DeadlineTimer();

  // Interrupts what runs on the connection in `timeout_ms`, unless the handle is gone by then; 0: never.
  Handle start(const duckdb::shared_ptr<duckdb::ClientContext>& context, int64_t timeout_ms);

 private:
  void remove(Deadlines::iterator entry);
  void run(std::stop_token stop);

  std::mutex mutex_;
  std::condition_variable_any wake_;
  Deadlines deadlines_;
  std::jthread thread_;
};

}  // namespace kalamdb::duck
