// Threads for the slow hashing of passwords, so that logins hold up neither the network nor queries.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string_view>
#include <thread>
#include <vector>

#include "base/result.h"

namespace kalamdb::auth {

// Thread-safe. Work for one key runs in the order in which it came, one at a time: attempts on one account can't
// overtake the lockout that earlier ones caused.
class HashPool {
 public:
  // At most `max_queued` pieces of work wait for each of the `threads`.
  explicit HashPool(unsigned threads = 2, size_t max_queued = 64);
  // Drops what has not started, waits for what has.
  ~HashPool();
  HashPool(const HashPool&) = delete;
  HashPool& operator=(const HashPool&) = delete;

  // Runs `work` on the key's thread. Errors: kRateLimited when too much waits, kUnavailable after stop(); `work` is
  // then dropped.
  Result<> submit(std::string_view key, std::function<void()> work);
  // What the destructor does; the second call does nothing.
  void stop();

 private:
  struct Worker {
    std::mutex mutex;
    std::condition_variable wake;
    std::deque<std::function<void()>> queue;
    bool stopping = false;
    std::thread thread;
  };
  static void run(Worker& worker);

  const size_t max_queued_;
  std::vector<std::unique_ptr<Worker>> workers_;
};

}  // namespace kalamdb::auth
