// system.users, jobs, storages, settings, stats: what the server runs and how it does.
#include <fmt/format.h>

#include <algorithm>
#include <numeric>
#include <thread>

#include "base/log.h"
#include "cold/path_template.h"
#include "platform/process_info.h"
#include "query/live_queries.h"
#include "query/maintenance.h"
#include "query/system_rows.h"

namespace kalamdb::query {

using hot::RecordSpace;
using model::Row;
using model::Value;

namespace {

Row user_row(const catalog::User& user) {
  return {user.id,
          std::string(user.password_hash.empty() ? "" : "***"),
          std::string(lower_name(user.role)),
          user.email ? Value(*user.email) : Value(),
          user.auth_type,
          Value(),
          std::string("table"),
          text_or_null(user.storage_id),
          int64_t{user.failed_login_attempts},
          time_or_null(user.locked_until_us),
          time_or_null(user.last_login_at_us),
          user.created_at_us,
          user.updated_at_us,
          Value(),
          time_or_null(user.deleted_at_us),
          user.id};
}

std::vector<Row> user_rows(const SystemInput& input) {
  std::vector<Row> rows;
  for (const auto& [id, user] : input.catalog->users) rows.push_back(user_row(*user));
  return rows;
}

Result<std::vector<Row>> rows_of_user(const SystemRecord& record) {
  if (!record.value) return {};
  KALAM_TRY(const auto user, catalog::decode_user(*record.value));
  return std::vector<Row>{user_row(user)};
}

// As they are recorded; none when they cannot be read, which the log then tells.
std::vector<jobs::Job> all_jobs(const SystemInput& input) {
  auto jobs = input.services.jobs.list();
  if (!jobs) log::error("jobs cannot be read: {}", jobs.error().message);
  return std::move(jobs).value_or(std::vector<jobs::Job>());
}

void add_job(std::vector<Row>& rows, const jobs::Job& job) {
  rows.push_back({job.id,
                  std::string(name(job.type)),
                  std::string(name(job.status)),
                  Value(),
                  job.parameters,
                  text_or_null(job.message),
                  text_or_null(job.exception_trace),
                  text_or_null(job.idempotency_key),
                  std::string(name(queue(job.type))),
                  int64_t{job.priority},
                  int64_t{job.retry_count},
                  int64_t{job.max_retries},
                  Value(),
                  time_or_null(job.cpu_us),
                  job.created_at_us,
                  time_or_null(job.queued_at_us),
                  job.updated_at_us,
                  time_or_null(job.started_at_us),
                  time_or_null(job.finished_at_us),
                  job.node_number,
                  Value()});
}

// One node has run each job that was begun.
void add_job_node(std::vector<Row>& rows, const jobs::Job& job) {
  if (job.started_at_us == 0) return;
  rows.push_back({job.id, job.node_number, std::string(name(job.status)),
                  job.status == jobs::JobStatus::kFailed ? Value(job.message) : Value(), job.created_at_us,
                  job.started_at_us, time_or_null(job.finished_at_us), job.updated_at_us});
}

template <void (*add)(std::vector<Row>&, const jobs::Job&)>
std::vector<Row> rows_of_jobs(const SystemInput& input) {
  std::vector<Row> rows;
  for (const auto& job : all_jobs(input)) add(rows, job);
  return rows;
}

std::vector<Row> live_rows(const SystemInput& input) {
  const ServerFacts& facts = *input.services.facts;
  std::vector<Row> rows;
  if (facts.live_queries == nullptr) return rows;
  for (const LiveQuery& live : facts.live_queries->list()) {
    rows.push_back({live.id, live.connection_id, live.subscription_id, live.namespace_id, live.table, live.user.value,
                    live.sql, text_or_null(live.options), std::string("active"), live.created_at_us,
                    live.last_update_us, static_cast<int64_t>(live.changes), facts.node_number, live.last_message_us});
  }
  return rows;
}

std::vector<Row> transaction_rows(const SystemInput& input) {
  std::vector<Row> rows;
  const int64_t now_us = input.services.clock.now_us();
  for (const TransactionStatus& status : input.services.transactions.list()) {
    rows.push_back({status.id, status.owner, std::string("SqlBatch"), status.state,
                    (now_us - status.begun_at_us) / 1000, (now_us - status.last_active_us) / 1000,
                    static_cast<int64_t>(status.write_count), static_cast<int64_t>(status.write_bytes),
                    static_cast<int64_t>(status.touched_tables), status.snapshot_seq});
  }
  return rows;
}

// `local` is as old as the database, which `namespaces` tell.
template <typename Namespaces>
Row storage_row(const cold::StorageDefinition& definition, const Namespaces& namespaces) {
  const auto first = namespaces.find("default");
  const int64_t created_at_us = first == namespaces.end() ? 0 : first->second.created_at_us;
  const auto time = [&](int64_t at_us) { return at_us == 0 ? created_at_us : at_us; };
  return {definition.id,
          definition.name,
          text_or_null(definition.description),
          std::string(name(definition.type)),
          definition.base,
          definition.credentials.empty() ? Value() : Value("\"***\""),
          text_or_null(definition.config),
          definition.shared_template,
          definition.user_template,
          time(definition.created_at_us),
          time(definition.updated_at_us)};
}

std::vector<Row> storage_rows(const SystemInput& input) {
  std::vector<Row> rows;
  for (const auto& storage : input.services.storage.storages().list()) {
    rows.push_back(storage_row(storage->definition, input.catalog->namespaces));
  }
  return rows;
}

Result<std::vector<Row>> rows_of_storage(const SystemRecord& record) {
  cold::StorageDefinition definition;
  if (record.value) {
    KALAM_TRY(definition, cold::decode_storage(*record.value));
  } else if (record.key == cold::kLocalStorage) {
    definition = record.default_local;
  } else {
    return {};
  }
  return std::vector<Row>{storage_row(definition, record.namespaces.definitions)};
}

std::string_view sync_state(storage::ManifestInfo::Exported exported) {
  switch (exported) {
    case storage::ManifestInfo::Exported::kSame:
      return "in_sync";
    case storage::ManifestInfo::Exported::kOlder:
      return "pending_write";
    case storage::ManifestInfo::Exported::kUnreadable:
      break;
  }
  return "error";
}

std::vector<Row> manifest_rows(const SystemInput& input) {
  std::vector<Row> rows;
  for (const auto& table : input.tables()) {
    if (!has_segments(table->type)) continue;
    auto manifests = input.services.storage.manifests(table);
    if (!manifests) {
      log::error("manifests of {}: {}", table->qualified_name(), manifests.error().message);
      continue;
    }
    for (auto& manifest : *manifests) {
      const std::string scope = manifest.user.value.empty() ? "shared" : manifest.user.value;
      rows.push_back({table->namespace_id + ":" + table->name + ":" + scope, table->namespace_id, table->name, scope,
                      "v" + std::to_string(manifest.version), manifest.updated_at_us, manifest.updated_at_us, true,
                      std::string(sync_state(manifest.exported)), std::move(manifest.json)});
    }
  }
  return rows;
}

std::vector<Row> setting_rows(const SystemInput& input) {
  std::vector<Row> rows;
  for (const auto& setting : input.services.facts->settings) {
    rows.push_back({setting.name, setting.value, setting.description, setting.name.substr(0, setting.name.find('.'))});
  }
  return rows;
}

std::string human_time(int64_t seconds) {
  const int64_t days = seconds / 86400;
  const int64_t hours = seconds / 3600 % 24;
  const int64_t minutes = seconds / 60 % 60;
  if (days > 0) return fmt::format("{}d {}h {}m", days, hours, minutes);
  return hours > 0 ? fmt::format("{}h {}m", hours, minutes) : fmt::format("{}m", minutes);
}

class Stats {
 public:
  void add(std::string name, std::string value) { rows_.push_back({std::move(name), std::move(value)}); }
  void add(std::string name, uint64_t value) { add(std::move(name), std::to_string(value)); }
  // As bytes and as whole megabytes.
  void add_memory(const std::string& name, uint64_t bytes) {
    add(name + "_bytes", bytes);
    add(name + "_mb", bytes >> 20);
  }
  std::vector<Row> take() { return std::move(rows_); }

 private:
  std::vector<Row> rows_;
};

void add_process(const SystemInput& input, Stats& stats) {
  const auto info = platform::process_info();
  const int64_t uptime_us = input.services.clock.now_us() - input.services.facts->started_at_us;
  const int64_t uptime_s = std::max<int64_t>(uptime_us / 1'000'000, 0);
  stats.add("server_uptime_seconds", static_cast<uint64_t>(uptime_s));
  stats.add("server_uptime_human", human_time(uptime_s));
  stats.add_memory("memory_usage", info.resident_bytes);
  stats.add("memory_usage_source", "rss");
  stats.add_memory("memory_rss", info.resident_bytes);
  stats.add_memory("memory_virtual", info.virtual_bytes);
  // On average since the start, of one core.
  const double uptime = std::max(static_cast<double>(uptime_us) / 1e6, 1e-3);
  stats.add("cpu_usage_percent", fmt::format("{:.2f}", 100 * info.cpu_seconds / uptime));
  stats.add("system_total_memory_mb", info.machine_memory_bytes >> 20);
  stats.add("system_used_memory_mb", info.machine_memory_used_bytes >> 20);
  stats.add("thread_count", info.threads);
  stats.add("pid", static_cast<uint64_t>(info.pid));
  stats.add("cpu_logical_cores", std::thread::hardware_concurrency());
  stats.add("open_files_total", info.open_files);
}

void add_counts(const SystemInput& input, Stats& stats) {
  stats.add("total_users", input.catalog->users.size());
  stats.add("total_namespaces", input.catalog->namespaces.size());
  stats.add("total_tables", input.tables().size() - input.catalog->views.size());
  stats.add("total_views", input.catalog->views.size());
  stats.add("storage_backend", "rocksdb");
  const auto jobs = input.services.jobs.counts();
  const auto count = [&](jobs::JobStatus status) { return jobs[static_cast<size_t>(status)]; };
  stats.add("total_jobs", std::accumulate(jobs.begin(), jobs.end(), uint64_t{0}));
  stats.add("jobs_running", count(jobs::JobStatus::kRunning));
  stats.add("jobs_queued", count(jobs::JobStatus::kQueued));
  stats.add("jobs_failed", count(jobs::JobStatus::kFailed));
  stats.add("total_storages", input.services.storage.storages().list().size());
}

void add_schema_cache(const SystemInput& input, Stats& stats) {
  const auto cache = input.services.catalog.schema_cache_counters();
  const uint64_t lookups = cache.hits + cache.misses;
  stats.add("schema_cache_size", cache.size);
  stats.add("schema_registry_size", cache.size);
  stats.add("schema_cache_hits", cache.hits);
  stats.add("schema_cache_misses", cache.misses);
  stats.add("schema_cache_hit_rate",
            fmt::format("{:.4f}", lookups == 0 ? 1.0 : static_cast<double>(cache.hits) / static_cast<double>(lookups)));
  stats.add("schema_cache_evictions", cache.evictions);
}

std::vector<Row> stats_rows(const SystemInput& input) {
  const ServerFacts& facts = *input.services.facts;
  Stats stats;
  add_process(input, stats);
  add_counts(input, stats);
  add_schema_cache(input, stats);
  stats.add("node_id", static_cast<uint64_t>(facts.node_number));
  stats.add("server_version", facts.version);
  stats.add("cluster_mode", "false");
  stats.add("disk_space_available_bytes", platform::free_disk_bytes(facts.data_directory));
  stats.add("commit_seq", static_cast<uint64_t>(input.services.storage.hot().last_seq()));
  if (facts.counters) {
    for (auto& [name, value] : facts.counters()) stats.add(std::move(name), std::move(value));
  }
  return stats.take();
}

}  // namespace

std::vector<SystemTable> server_tables() {
  return {
      {"system",
       "users",
       false,
       {{"user_id", kText},
        {"password_hash", kText},
        {"role", kText},
        {"email", kText, true},
        {"auth_type", kText},
        {"auth_data", kJson, true},
        {"storage_mode", kText},
        {"storage_id", kText, true},
        {"failed_login_attempts", kInt},
        {"locked_until", kTime, true},
        {"last_login_at", kTime, true},
        {"created_at", kTime},
        {"updated_at", kTime},
        {"last_seen", kTime, true},
        {"deleted_at", kTime, true},
        {"username", kText}},
       user_rows,
       ShownRecords{RecordSpace::kUser, rows_of_user}},
      {"system",
       "jobs",
       false,
       {{"job_id", kText},
        {"job_type", kText},
        {"status", kText},
        {"leader_status", kText, true},
        {"parameters", kJson, true},
        {"message", kText, true},
        {"exception_trace", kText, true},
        {"idempotency_key", kText, true},
        {"queue", kText, true},
        {"priority", kInt, true},
        {"retry_count", kSmallInt},
        {"max_retries", kSmallInt},
        {"memory_used", kBigInt, true},
        {"cpu_used", kBigInt, true},
        {"created_at", kTime},
        {"queued_at", kTime, true},
        {"updated_at", kTime},
        {"started_at", kTime, true},
        {"finished_at", kTime, true},
        {"node_id", kBigInt},
        {"leader_node_id", kBigInt, true}},
       rows_of_jobs<add_job>,
       ShownRecords{RecordSpace::kJob, rows_of_record<jobs::decode_job, add_job>}},
      {"system",
       "job_nodes",
       false,
       {{"job_id", kText},
        {"node_id", kBigInt},
        {"status", kText},
        {"error_message", kText, true},
        {"created_at", kTime},
        {"started_at", kTime, true},
        {"finished_at", kTime, true},
        {"updated_at", kTime}},
       rows_of_jobs<add_job_node>,
       ShownRecords{RecordSpace::kJob, rows_of_record<jobs::decode_job, add_job_node>},
       {"job_id", "node_id"}},
      {"system",
       "live",
       false,
       {{"live_id", kText},
        {"connection_id", kText},
        {"subscription_id", kText},
        {"namespace_id", kText},
        {"table_name", kText},
        {"user_id", kText},
        {"query", kText},
        {"options", kJson, true},
        {"status", kText},
        {"created_at", kTime},
        {"last_update", kTime},
        {"changes", kBigInt},
        {"node_id", kBigInt},
        {"last_ping_at", kTime}},
       live_rows},
      {"system",
       "transactions",
       false,
       {{"transaction_id", kText},
        {"owner_id", kText},
        {"origin", kText},
        {"state", kText},
        {"age_ms", kBigInt},
        {"idle_ms", kBigInt},
        {"write_count", kBigInt},
        {"write_bytes", kBigInt},
        {"touched_tables_count", kBigInt},
        {"snapshot_commit_seq", kBigInt}},
       transaction_rows},
      {"system",
       "manifest",
       false,
       {{"cache_key", kText},
        {"namespace_id", kText},
        {"table_name", kText},
        {"scope", kText},
        {"etag", kText, true},
        {"last_refreshed", kTime},
        {"last_accessed", kTime},
        {"in_memory", kBoolean},
        {"sync_state", kText},
        {"manifest_json", kJson}},
       manifest_rows},
      {"system",
       "storages",
       false,
       {{"storage_id", kText},
        {"storage_name", kText},
        {"description", kText, true},
        {"storage_type", kText},
        {"base_directory", kText},
        {"credentials", kJson, true},
        {"config_json", kJson, true},
        {"shared_tables_template", kText},
        {"user_tables_template", kText},
        {"created_at", kTime},
        {"updated_at", kTime}},
       storage_rows,
       ShownRecords{RecordSpace::kStorage, rows_of_storage}},
      {"system",
       "settings",
       false,
       {{"name", kText}, {"value", kText}, {"description", kText}, {"category", kText}},
       setting_rows},
      {"system", "stats", false, {{"metric_name", kText}, {"metric_value", kText}}, stats_rows},
  };
}

}  // namespace kalamdb::query
