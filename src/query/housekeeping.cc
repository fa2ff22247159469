#include "query/housekeeping.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "platform/utc_text.h"
#include "query/table_job.h"
#include "query/user_export.h"

namespace kalamdb::query {

namespace {

using jobs::Decision;
using jobs::JobType;
using nlohmann::json;

// Records that go in one commit.
constexpr uint64_t kJobBatch = 10'000;

constexpr int64_t kDayUs = 86'400'000'000;

json position_of(const jobs::Job& job) {
  auto position = json::parse(job.position, nullptr, false);
  return position.is_object() ? position : json::object();
}

Result<Decision> run_retention(const Services& services, const jobs::Job& job, const std::stop_token& stop) {
  const Subject subject = subject_of(job);
  const auto hours = json::parse(job.parameters).at("retention_hours").get<uint64_t>();
  json position = position_of(job);
  const uint64_t before = position.value("removed", uint64_t{0});
  storage::TombstonePosition from{UserId(position.value("user", "")), position.value("after", Seq{0})};
  KALAM_TRY(const auto batch, on_current(services, subject, [&](const model::TablePtr& table) {
              return services.storage.remove_tombstones(table, from, hours, services.limits.retention_batch_size, stop);
            }));
  const uint64_t removed = before + batch.removed;
  if (batch.next) {
    position = {{"user", batch.next->user.value}, {"after", batch.next->after}, {"removed", removed}};
    return Decision::more(position.dump(), json{{"records_deleted", removed}}.dump());
  }
  // What the tombstones stood for may still be in segments.
  KALAM_TRY(const auto compacted, on_current(services, subject, [&](const model::TablePtr& table) {
              return services.storage.compact(table, std::nullopt, storage::CompactKind::kVacuum, stop);
            }));
  return Decision::completed(json{
      {"message", "Enforced retention policy for " + subject.display() + " (" + std::to_string(hours) + "h) - " +
                      std::to_string(removed) + " rows" + " deleted"},
      {"records_deleted", removed},
      {"files_before", compacted.segments_before},
      {"files_after",
       compacted.segments_after}}.dump());
}

Result<Decision> run_eviction(const Services& services, const jobs::Job& job, const std::stop_token&) {
  const Subject subject = subject_of(job);
  const auto parameters = json::parse(job.parameters);
  const auto batch_size = parameters.at("batch_size").get<uint64_t>();
  json position = position_of(job);
  const bool is_first = position.empty();
  uint64_t evicted = position.value("evicted", uint64_t{0});
  Seq up_to = position.value("up_to", Seq{0});
  KALAM_TRY(const uint64_t batch, on_current(services, subject, [&](const model::TablePtr& table) -> Result<uint64_t> {
              if (is_first) {
                KALAM_TRY(up_to, services.storage.evictable_up_to(table));
              }
              return up_to > 0 ? services.storage.evict(table, up_to, batch_size) : 0;
            }));
  evicted += batch;
  if (batch == batch_size) {
    position = {{"up_to", up_to}, {"evicted", evicted}};
    return Decision::more(position.dump(), json{{"records_evicted", evicted}}.dump());
  }
  if (evicted == 0) {
    return Decision::skipped(json{
        {"message", "No expired rows found in " + subject.display()},
        {"records_evicted", 0},
        {"skipped", true}}.dump());
  }
  return Decision::completed(json{
      {"message", "Evicted " + std::to_string(evicted) + " expired rows" + " from " + subject.display() +
                      " (ttl: " + std::to_string(parameters.at("ttl_seconds").get<uint64_t>()) + "s)"},
      {"records_evicted",
       evicted}}.dump());
}

// A table that has been dropped or altered meanwhile is another's business, or the next attempt's.
Result<storage::UserRemoval> remove_from(const Services& services, const model::TablePtr& table, const UserId& user,
                                         const std::stop_token& stop) {
  const Subject subject{table->namespace_id, table->name, table->id, user};
  auto removed = on_current(services, subject,
                            [&](const model::TablePtr& now) { return services.storage.remove_user(now, user, stop); });
  if (!removed && removed.error().code == ErrorCode::kNotFound) return storage::UserRemoval{};
  return removed;
}

Result<Decision> run_user_cleanup(const Services& services, const jobs::Job& job, const std::stop_token& stop) {
  const auto parameters = json::parse(job.parameters);
  const UserId user(parameters.at("user_id").get<std::string>());
  const catalog::UserPtr record = services.catalog.find_user(user.value);
  const json position = position_of(job);
  uint64_t tables = position.value("tables", uint64_t{0});
  uint64_t rows = position.value("rows", uint64_t{0});
  uint64_t bytes = position.value("bytes", uint64_t{0});
  // An earlier run, after which the server crashed, may have come to the end.
  if (record == nullptr && job.restarts == 0) {
    return fail(ErrorCode::kNotFound, "User '" + user.value + "' not found");
  }
  if (record != nullptr && record->deleted_at_us == 0) {
    return fail(ErrorCode::kInvalidOperation, "User must be soft-deleted first");
  }
  if (record != nullptr && is_in_grace(services, *record)) {
    return fail(ErrorCode::kInvalidOperation, "User '" + user.value + "' can still be restored");
  }
  if (record != nullptr && parameters.value("cascade", false)) {
    KALAM_TRY(auto all, services.catalog.tables());
    std::ranges::sort(all, {}, [](const model::TablePtr& table) { return table->qualified_name(); });
    const std::string done = position.value("table", "");
    for (const auto& table : all) {
      if (!table->is_per_user() || table->qualified_name() <= done) continue;
      KALAM_CHECK(storage::check_stop(stop));
      KALAM_TRY(const auto removed, remove_from(services, table, user, stop));
      if (removed.rows == 0 && removed.segments == 0) continue;
      const json next{{"table", table->qualified_name()},
                      {"tables", tables + 1},
                      {"rows", rows + removed.rows},
                      {"bytes", bytes + removed.bytes}};
      return Decision::more(next.dump(), json{{"rows_deleted", rows + removed.rows}}.dump());
    }
  }
  KALAM_CHECK(remove_exports(services, user));
  if (record != nullptr) KALAM_CHECK(services.catalog.remove_user(user.value));
  return Decision::completed(json{
      {"message", "Cleaned up user " + user.value + " - " + std::to_string(rows) + " rows" + " in " +
                      std::to_string(tables) + " tables" + " deleted"},
      {"tables", tables},
      {"rows_deleted", rows},
      {"bytes_freed", bytes}}.dump());
}

Result<Decision> run_job_cleanup(const Services& services, const jobs::Job& job, const std::stop_token&) {
  const auto days = json::parse(job.parameters).at("retention_days").get<uint64_t>();
  uint64_t removed = position_of(job).value("removed", uint64_t{0});
  KALAM_TRY(const uint64_t batch, services.jobs.remove_ended(days_ago_us(services, days), kJobBatch));
  removed += batch;
  if (batch == kJobBatch) return Decision::more(json{{"removed", removed}}.dump(), "{}");
  KALAM_CHECK(remove_exports(services, std::nullopt));
  return Decision::completed(json{
      {"message", "Job history cleanup completed - " + std::to_string(removed) + " jobs" + " and " +
                      std::to_string(removed) + " job_nodes deleted (retention: " + std::to_string(days) + " days" +
                      ")"},
      {"records_deleted",
       removed}}.dump());
}

Result<Decision> run_manifest_eviction(const Services& services, const jobs::Job& job, const std::stop_token& stop) {
  const auto days = json::parse(job.parameters).at("ttl_days").get<uint64_t>();
  KALAM_TRY(const uint64_t evicted, services.storage.evict_manifests(days_ago_us(services, days), stop));
  const json message{{"message", "Evicted " + std::to_string(evicted) +
                                     " stale manifest entries (ttl_days=" + std::to_string(days) + ")"},
                     {"records_evicted", evicted}};
  return evicted == 0 ? Decision::skipped(message.dump()) : Decision::completed(message.dump());
}

// Refuses parameters without these members.
std::function<Result<>(const json&)> requires_members(std::vector<std::string> numbers,
                                                      std::vector<std::string> strings) {
  return [numbers = std::move(numbers), strings = std::move(strings)](const json& parameters) -> Result<> {
    for (const auto& name : numbers) {
      const auto found = parameters.find(name);
      if (found == parameters.end() || !found->is_number_unsigned()) {
        return fail(ErrorCode::kInvalidInput, "The job needs a whole number as its parameter '" + name + "'");
      }
    }
    for (const auto& name : strings) {
      const auto found = parameters.find(name);
      if (found == parameters.end() || !found->is_string()) {
        return fail(ErrorCode::kInvalidInput, "The job needs a text as its parameter '" + name + "'");
      }
    }
    return {};
  };
}

Result<std::string> start_scheduled(const Services& services, JobType type, const json& parameters,
                                    const std::string& subject) {
  KALAM_TRY(const jobs::Job job,
            services.jobs.create({.type = type,
                                  .parameters = parameters.dump(),
                                  .idempotency_key = scheduled_key(type, subject, services.clock.now_us())}));
  return job.id;
}

}  // namespace

std::string scheduled_key(JobType type, const std::string& subject, int64_t now_us) {
  return std::string(prefix(type)) + ":" + (subject.empty() ? "" : subject + ":") +
         platform::utc_text(now_us, "%Y-%m-%d-%H");
}

int64_t days_ago_us(const Services& services, uint64_t days) {
  return services.clock.now_us() - static_cast<int64_t>(days) * kDayUs;
}

bool is_in_grace(const Services& services, const catalog::User& user) {
  return days_ago_us(services, services.limits.deletion_grace_days) < user.deleted_at_us;
}

Result<std::string> start_scheduled_flush(const Services& services, const model::TableDefinition& table) {
  return start_scheduled(services, JobType::kFlush, parameters_of(table), table.namespace_id + ":" + table.name);
}

Result<std::string> start_retention(const Services& services, const model::TableDefinition& table) {
  json parameters = parameters_of(table);
  parameters["retention_hours"] = retention_hours(services, table);
  return start_scheduled(services, JobType::kRetention, parameters, table.namespace_id + ":" + table.name);
}

Result<std::string> start_eviction(const Services& services, const model::TableDefinition& table) {
  json parameters = parameters_of(table);
  parameters["ttl_seconds"] = table.options.ttl_seconds;
  parameters["batch_size"] = services.limits.eviction_batch_size;
  return start_scheduled(services, JobType::kStreamEviction, parameters, table.namespace_id + ":" + table.name);
}

Result<std::string> start_user_cleanup(const Services& services, const catalog::User& user) {
  const json parameters{{"user_id", user.id}, {"username", user.id}, {"cascade", true}};
  return start_scheduled(services, JobType::kUserCleanup, parameters, user.id);
}

Result<std::string> start_job_cleanup(const Services& services) {
  return start_scheduled(services, JobType::kJobCleanup, {{"retention_days", services.limits.job_retention_days}}, "");
}

Result<std::string> start_manifest_eviction(const Services& services) {
  return start_scheduled(services, JobType::kManifestEviction, {{"ttl_days", services.limits.manifest_ttl_days}}, "");
}

void register_housekeeping(const Services& services, jobs::JobManager& jobs) {
  using Run = Result<Decision> (*)(const Services& services, const jobs::Job& job, const std::stop_token& stop);
  const auto add = [&](JobType type, Run run, std::function<Result<>(const json&)> validate) {
    jobs.set_executor(type, {.run = [&services, run](const jobs::Job& job,
                                                     const std::stop_token& stop) { return run(services, job, stop); },
                             .validate = std::move(validate)});
  };
  add(JobType::kRetention, run_retention, requires_members({"internal_id", "retention_hours"}, {"namespace", "table"}));
  add(JobType::kStreamEviction, run_eviction,
      requires_members({"internal_id", "ttl_seconds", "batch_size"}, {"namespace", "table"}));
  add(JobType::kUserCleanup, run_user_cleanup, requires_members({}, {"user_id"}));
  add(JobType::kJobCleanup, run_job_cleanup, requires_members({"retention_days"}, {}));
  add(JobType::kUserExport, run_user_export, requires_members({}, {"user_id", "export_id"}));
  add(JobType::kManifestEviction, run_manifest_eviction, requires_members({"ttl_days"}, {}));
}

}  // namespace kalamdb::query
