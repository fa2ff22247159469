// What happens by itself: flushes that tables' policies ask for, and the jobs of query/housekeeping.h.
#pragma once

#include <cstdint>
#include <unordered_map>

#include "query/command.h"

namespace kalamdb::query {

struct ScheduleOptions {
  int64_t flush_interval_s = 60;     // how often tables are looked at for flush policies
  int64_t eviction_interval_s = 60;  // for STREAM rows that are to go
  int64_t retention_interval_s = 3600;
  int64_t cleanup_interval_s = 3600;  // for dropped users and old records of jobs
  int64_t manifest_eviction_interval_s = 86'400;
};

// Only starts jobs: what is to do is done by them. Not thread-safe.
class Schedule {
 public:
  // `services` must outlive it.
  Schedule(const Services& services, const ScheduleOptions& options);

  // Does what is due on the monotonic clock; returns in how many microseconds something is due again, at least 1. What
  // has been missed is done once.
  int64_t run_due();

 private:
  struct Recurring {
    int64_t interval_us;
    int64_t due_us;
    void (Schedule::*look)();
  };

  // For flush policies, and whether deletions have yet to come into manifest.json.
  void look_at_segments();
  void look_for_evictions();
  void look_for_retention();
  void look_for_cleanups();
  void look_for_stale_manifests();
  bool is_eviction_due(const model::TablePtr& table, int64_t now_us);

  const Services& services_;
  std::vector<Recurring> recurring_;
  std::unordered_map<TableId, int64_t> pending_since_us_;  // since when a table was seen to have pending rows
  std::unordered_map<TableId, int64_t> evicted_at_us_;
};

}  // namespace kalamdb::query
