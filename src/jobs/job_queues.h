// Which job is next: a bounded number at a time, by queue, priority and age.
//
// Each queue has at least one of the slots, whatever the others hold: a queue that runs nothing finds one free, so that
// long jobs never keep short ones waiting. Within a queue those of greater priority come first, and a point of priority
// is worth a minute of waiting, so that none waits for ever. A job that goes on after a batch is the last of its
// queue again.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>

#include "jobs/job.h"

namespace kalamdb::jobs {

// Not thread-safe.
class JobQueues {
 public:
  // `slots` is at least kQueues.
  explicit JobQueues(size_t slots) : slots_(slots) {}

  // A job that waits since `since_us` (wall clock), or until `due_us` (monotonic clock) has come. It must not wait
  // already.
  void add(const Job& job, int64_t since_us);
  void add_later(const Job& job, int64_t due_us);
  // It waits no longer; nothing happens if it does not.
  void remove(const std::string& id);

  // The next one, which from now on holds a slot of its queue; nullopt when none may start.
  std::optional<std::string> take(int64_t now_us, int64_t monotonic_us);
  // Gives back the slot of a job of this queue.
  void release(Queue queue);
  // When a job that waits for its time has to be looked at (monotonic clock); nullopt if none does.
  std::optional<int64_t> next_due_us() const;

 private:
  struct Waiting {
    Queue queue;
    int32_t priority;
    bool later;
    int64_t place;  // in ready_ or later_
  };
  using Places = std::set<std::pair<int64_t, std::string>>;

  bool may_start(size_t queue) const;
  void put(const std::string& id, Queue queue, int32_t priority, int64_t since_us);

  const size_t slots_;
  std::map<std::string, Waiting> waiting_;
  std::array<Places, kQueues> ready_;  // least first
  Places later_;                       // by due time
  std::array<size_t, kQueues> running_{};
};

}  // namespace kalamdb::jobs
