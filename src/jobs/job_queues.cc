#include "jobs/job_queues.h"

#include <numeric>

namespace kalamdb::jobs {

namespace {

// What one point of priority is worth in waiting.
constexpr int64_t kPriorityUs = 60'000'000;

}  // namespace

void JobQueues::add(const Job& job, int64_t since_us) { put(job.id, queue(job.type), job.priority, since_us); }

void JobQueues::put(const std::string& id, Queue queue, int32_t priority, int64_t since_us) {
  const int64_t place = since_us - priority * kPriorityUs;
  waiting_.insert_or_assign(id, Waiting{queue, priority, false, place});
  ready_[static_cast<size_t>(queue)].emplace(place, id);
}

void JobQueues::add_later(const Job& job, int64_t due_us) {
  waiting_.insert_or_assign(job.id, Waiting{queue(job.type), job.priority, true, due_us});
  later_.emplace(due_us, job.id);
}

void JobQueues::remove(const std::string& id) {
  const auto found = waiting_.find(id);
  if (found == waiting_.end()) return;
  const Waiting& waiting = found->second;
  Places& places = waiting.later ? later_ : ready_[static_cast<size_t>(waiting.queue)];
  places.erase({waiting.place, id});
  waiting_.erase(found);
}

bool JobQueues::may_start(size_t queue) const {
  const size_t free = slots_ - std::accumulate(running_.begin(), running_.end(), size_t{0});
  if (running_[queue] == 0) return free > 0;
  size_t reserved = 0;
  for (size_t other = 0; other < kQueues; ++other) reserved += running_[other] == 0 ? 1 : 0;
  return free > reserved;
}

std::optional<std::string> JobQueues::take(int64_t now_us, int64_t monotonic_us) {
  while (!later_.empty() && later_.begin()->first <= monotonic_us) {
    const std::string id = later_.begin()->second;
    later_.erase(later_.begin());
    const Waiting waiting = waiting_.at(id);
    put(id, waiting.queue, waiting.priority, now_us);
  }
  size_t best = kQueues;
  for (size_t queue = 0; queue < kQueues; ++queue) {
    if (ready_[queue].empty() || !may_start(queue)) continue;
    if (best == kQueues || *ready_[queue].begin() < *ready_[best].begin()) best = queue;
  }
  if (best == kQueues) return std::nullopt;
  std::string id = ready_[best].begin()->second;
  ready_[best].erase(ready_[best].begin());
  waiting_.erase(id);
  ++running_[best];
  return id;
}

void JobQueues::release(Queue queue) { --running_[static_cast<size_t>(queue)]; }

std::optional<int64_t> JobQueues::next_due_us() const {
  if (later_.empty()) return std::nullopt;
  return later_.begin()->first;
}

}  // namespace kalamdb::jobs
