#include "query/schedule.h"

#include <algorithm>

#include "base/log.h"
#include "query/housekeeping.h"
#include "query/maintenance.h"
#include "query/table_job.h"

namespace kalamdb::query {

namespace {

constexpr int64_t kSecondUs = 1'000'000;
// So that a server that is often restarted comes to what is rare.
constexpr int64_t kFirstUs = 60 * kSecondUs;
// A few expired STREAM rows, which nobody sees any more, may wait so long for others.
constexpr int64_t kFewRowsUs = 3600 * kSecondUs;

std::vector<model::TablePtr> all_tables(const Services& services) {
  auto tables = services.catalog.tables();
  if (!tables) log::error("the schedule cannot read the tables: {}", tables.error().message);
  return std::move(tables).value_or(std::vector<model::TablePtr>());
}

}  // namespace

Schedule::Schedule(const Services& services, const ScheduleOptions& options) : services_(services) {
  const int64_t now_us = services.clock.monotonic_us();
  const auto add = [&](int64_t interval_s, void (Schedule::*look)()) {
    const int64_t interval_us = interval_s * kSecondUs;
    recurring_.push_back({interval_us, now_us + std::min(interval_us, kFirstUs), look});
  };
  add(options.flush_interval_s, &Schedule::look_at_segments);
  add(options.eviction_interval_s, &Schedule::look_for_evictions);
  add(options.retention_interval_s, &Schedule::look_for_retention);
  add(options.cleanup_interval_s, &Schedule::look_for_cleanups);
  add(options.manifest_eviction_interval_s, &Schedule::look_for_stale_manifests);
}

int64_t Schedule::run_due() {
  int64_t next_us = INT64_MAX;
  for (Recurring& recurring : recurring_) {
    if (recurring.due_us <= services_.clock.monotonic_us()) {
      (this->*recurring.look)();
      recurring.due_us = services_.clock.monotonic_us() + recurring.interval_us;
    }
    next_us = std::min(next_us, recurring.due_us);
  }
  return std::max<int64_t>(next_us - services_.clock.monotonic_us(), 1);
}

void Schedule::look_at_segments() {
  const int64_t now_us = services_.clock.monotonic_us();
  for (const auto& table : all_tables(services_)) {
    if (!has_segments(table->type)) continue;
    services_.storage.export_manifests(table);
    if (!table->options.flush_policy) continue;
    const uint64_t pending = services_.storage.pending_rows(table->id);
    if (pending == 0) {
      pending_since_us_.erase(table->id);
      continue;
    }
    const int64_t since_us = pending_since_us_.try_emplace(table->id, now_us).first->second;
    const auto& policy = *table->options.flush_policy;
    const bool rows_due = policy.rows > 0 && pending >= policy.rows;
    const bool interval_due =
        policy.interval_seconds > 0 && now_us - since_us >= static_cast<int64_t>(policy.interval_seconds) * kSecondUs;
    if ((!rows_due && !interval_due) || is_flush_live(services_, *table)) continue;
    pending_since_us_.erase(table->id);
    note_started(start_scheduled_flush(services_, *table), "flush of " + table->qualified_name());
  }
}

bool Schedule::is_eviction_due(const model::TablePtr& table, int64_t now_us) {
  const auto up_to = services_.storage.evictable_up_to(table);
  const uint64_t batch = services_.limits.eviction_batch_size;
  const auto rows = up_to ? services_.storage.count_rows_up_to(table, *up_to, batch) : fail(up_to.error());
  if (!rows) {
    log::error("rows of {} that are to go cannot be counted: {}", table->qualified_name(), rows.error().message);
    return false;
  }
  if (*rows == 0) return false;
  // What is too much of a bounded table can be seen.
  if (*rows >= batch || table->options.max_stream_size_bytes > 0) return true;
  const auto last = evicted_at_us_.try_emplace(table->id, now_us - kFewRowsUs).first->second;
  return now_us - last >= kFewRowsUs;
}

void Schedule::look_for_evictions() {
  const int64_t now_us = services_.clock.monotonic_us();
  for (const auto& table : all_tables(services_)) {
    if (table->type != model::TableType::kStream || !is_eviction_due(table, now_us)) continue;
    evicted_at_us_[table->id] = now_us;
    note_started(start_eviction(services_, *table), "eviction of " + table->qualified_name());
  }
}

void Schedule::look_for_retention() {
  for (const auto& table : all_tables(services_)) {
    if (!has_segments(table->type)) continue;
    const auto due = services_.storage.has_old_tombstones(table, retention_hours(services_, *table));
    if (!due) {
      log::error("deleted rows of {} cannot be looked for: {}", table->qualified_name(), due.error().message);
    } else if (*due) {
      note_started(start_retention(services_, *table), "retention of " + table->qualified_name());
    }
  }
}

void Schedule::look_for_stale_manifests() {
  const auto stale = services_.storage.has_stale_manifests(days_ago_us(services_, services_.limits.manifest_ttl_days));
  if (!stale) {
    log::error("manifests without segments cannot be looked for: {}", stale.error().message);
  } else if (*stale) {
    note_started(start_manifest_eviction(services_), "eviction of manifests");
  }
}

void Schedule::look_for_cleanups() {
  const auto state = services_.catalog.state();
  for (const auto& [id, user] : state->users) {
    if (user->deleted_at_us == 0 || is_in_grace(services_, *user)) continue;
    note_started(start_user_cleanup(services_, *user), "cleanup of user " + id);
  }
  const auto jobs = services_.jobs.has_ended_before(days_ago_us(services_, services_.limits.job_retention_days));
  if (!jobs) {
    log::error("old jobs cannot be looked for: {}", jobs.error().message);
  } else if (*jobs) {
    note_started(start_job_cleanup(services_), "cleanup of old jobs");
  }
}

}  // namespace kalamdb::query
