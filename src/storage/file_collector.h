// Removes files that no commit names any more as soon as no snapshot is left that may still read them. What is not
// removed when the server stops is found at the next start, since no manifest names it.
#pragma once

#include <atomic>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include "base/result.h"
#include "hot/store.h"

namespace kalamdb::storage {

// Thread-safe.
class FileCollector {
 public:
  // `store` must outlive it, and no snapshot have been taken from it yet.
  explicit FileCollector(hot::Store& store);
  ~FileCollector() { stop(); }
  FileCollector(const FileCollector&) = delete;
  FileCollector& operator=(const FileCollector&) = delete;

  // Snapshots at `commit` and later need nothing of what `remove` removes. It is called at once if there are no older
  // ones, else on a thread of the collector's when they have gone; an error is logged.
  void add(Seq commit, std::function<Result<>()> remove);
  // The same for what no snapshot needs, always on the collector's thread.
  void add_later(std::function<Result<>()> remove);
  // What waits is left.
  void stop();

 private:
  using Removal = std::function<Result<>()>;
  // Those that nothing needs any more.
  std::vector<Removal> take_due_locked();
  void run();

  hot::Store& store_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::pair<Seq, Removal>> waiting_;
  std::atomic<bool> has_waiting_ = false;  // most snapshots go while nothing waits
  bool stopped_ = false;
  std::thread thread_;
};

}  // namespace kalamdb::storage
