#include "storage/file_collector.h"

#include "base/log.h"

namespace kalamdb::storage {
namespace {

void remove_all(const std::vector<std::function<Result<>()>>& removals) {
  for (const auto& remove : removals) {
    if (auto removed = remove(); !removed) log::warn("storage: {}", removed.error().message);
  }
}

}  // namespace

FileCollector::FileCollector(hot::Store& store) : store_(store), thread_([this] { run(); }) {
  store_.set_snapshot_listener([this] {
    if (!has_waiting_.load()) return;
    const std::lock_guard lock(mutex_);
    changed_.notify_all();
  });
}

void FileCollector::add(Seq commit, Removal remove) {
  std::vector<Removal> due;
  {
    const std::lock_guard lock(mutex_);
    waiting_.emplace_back(commit, std::move(remove));
    has_waiting_ = true;  // before the oldest snapshot is asked for: what goes after that tells us
    due = take_due_locked();
  }
  remove_all(due);
}

void FileCollector::add_later(Removal remove) {
  const std::lock_guard lock(mutex_);
  waiting_.emplace_back(0, std::move(remove));
  has_waiting_ = true;
  changed_.notify_all();
}

std::vector<FileCollector::Removal> FileCollector::take_due_locked() {
  std::vector<Removal> due;
  const auto oldest = store_.oldest_snapshot();
  std::erase_if(waiting_, [&](auto& entry) {
    if (oldest && *oldest < entry.first) return false;
    due.push_back(std::move(entry.second));
    return true;
  });
  has_waiting_ = !waiting_.empty();
  return due;
}

void FileCollector::run() {
  std::unique_lock lock(mutex_);
  while (!stopped_) {
    const auto due = take_due_locked();
    if (due.empty()) {
      changed_.wait(lock);
      continue;
    }
    lock.unlock();
    remove_all(due);
    lock.lock();
  }
}

void FileCollector::stop() {
  {
    const std::lock_guard lock(mutex_);
    stopped_ = true;
    changed_.notify_all();
  }
  if (thread_.joinable()) thread_.join();
}

}  // namespace kalamdb::storage
