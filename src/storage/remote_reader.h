// Reads of segments that lie in a service which may be slow or away, without letting it take the threads that other
// statements need: a reader waits no longer than its statement, and of those that have waited long only a few may stay.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <map>
#include <mutex>

#include "duck/source.h"
#include "platform/worker_pool.h"
#include "storage/storage_registry.h"

namespace kalamdb::storage {

struct RemoteReaderOptions {
  size_t threads = 16;   // requests at a time; further ones wait for a thread
  size_t max_stuck = 4;  // readers that may wait longer than `stuck_ms`; while so many do, younger ones give up
  int64_t stuck_ms = 2'000;
};

// Thread-safe.
class RemoteReader final : public duck::RemoteFiles {
 public:
  // `storages` must outlive it.
  RemoteReader(const StorageRegistry& storages, RemoteReaderOptions options);
  // Waits for requests that are under way, which StorageRegistry::stop() ends.
  ~RemoteReader() override;

  // Whoever waits fails, and further readers too.
  void stop() { stopped_ = true; }

  Result<> read(const std::string& path, uint64_t size_bytes, uint64_t offset, std::span<char> out,
                const std::function<bool()>& is_cancelled) override;

 private:
  struct Call;
  using Clock = std::chrono::steady_clock;
  // False for a reader when `max_stuck` older ones are stuck.
  bool may_stay(uint64_t number) const;

  const StorageRegistry& storages_;
  const RemoteReaderOptions options_;
  std::atomic<bool> stopped_{false};
  mutable std::mutex mutex_;
  uint64_t last_number_ = 0;
  std::map<uint64_t, Clock::time_point> waiting_;  // since when, by number; who began earlier has a lower one
  platform::WorkerPool threads_;
};

}  // namespace kalamdb::storage
