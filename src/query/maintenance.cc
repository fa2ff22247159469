#include "query/maintenance.h"

#include <nlohmann/json.hpp>

#include "base/log.h"
#include "query/dml.h"

namespace kalamdb::query {

namespace {

std::string id_key(const model::TableDefinition& table) { return table.namespace_id + "-" + table.name; }
std::string flush_key(const model::TableDefinition& table) { return "flush-" + id_key(table); }

// Again, with the new definition, when the table is altered meanwhile.
Result<storage::FlushResult> flush_current(const Services& services, const std::string& namespace_id,
                                           const std::string& name) {
  for (int attempt = 1;; ++attempt) {
    KALAM_TRY(const model::TablePtr table, services.catalog.find_table(namespace_id, name));
    if (table == nullptr || table->is_view()) return fail(ErrorCode::kTableNotFound, namespace_id + "." + name);
    auto flushed = services.storage.flush(table);
    if (flushed || flushed.error().code != ErrorCode::kConflict || attempt == kMaxAttempts) return flushed;
  }
}

Result<std::string> run_flush(const Services& services, const jobs::Job& job) {
  const auto parameters = nlohmann::json::parse(job.parameters, nullptr, false);
  const std::string namespace_id = parameters.value("namespace", "");
  const std::string name = parameters.value("table", "");
  KALAM_TRY(const auto flushed, flush_current(services, namespace_id, name));
  return nlohmann::json{
      {"message", "Flushed " + namespace_id + ":" + name + " successfully (" + std::to_string(flushed.rows) +
                      " rows, " + std::to_string(flushed.segments) + " files)"},
      {"rows_flushed", flushed.rows},
      {"parquet_files", flushed.segments},
      {"bytes_written", flushed.bytes}}
      .dump();
}

Result<std::string> run_cleanup(const Services& services, const jobs::Job& job) {
  const auto parameters = nlohmann::json::parse(job.parameters, nullptr, false);
  KALAM_TRY(auto definition, model::decode_table(parameters.value("definition", "")));
  const auto table = std::make_shared<const model::TableDefinition>(std::move(definition));
  KALAM_TRY(const uint64_t bytes, services.storage.remove_segments(table));
  return nlohmann::json{{"message", "Cleaned up table " + table->namespace_id + ":" + table->name + " successfully - " +
                                        std::to_string(bytes) + " bytes freed"},
                        {"bytes_freed", bytes}}
      .dump();
}

// Rows that go in one commit, which others wait for.
constexpr uint64_t kEvictionBatchRows = 10'000;

Result<> evict(const Services& services, const model::TablePtr& table) {
  KALAM_TRY(const Seq up_to, services.storage.evictable_up_to(table));
  uint64_t evicted = up_to > 0 ? kEvictionBatchRows : 0;
  while (evicted == kEvictionBatchRows) {
    KALAM_TRY(evicted, services.storage.evict(table, up_to, kEvictionBatchRows));
  }
  return {};
}

}  // namespace

bool is_flush_live(const Services& services, const model::TableDefinition& table) {
  return services.jobs.is_live(flush_key(table));
}

Result<std::string> start_flush(const Services& services, const model::TableDefinition& table) {
  const nlohmann::json parameters{{"table_id", table.qualified_name()},
                                  {"table_type", pascal_name(table.type)},
                                  {"namespace", table.namespace_id},
                                  {"table", table.name}};
  KALAM_TRY(const jobs::Job job, services.jobs.create(jobs::JobType::kFlush, parameters.dump(), flush_key(table)));
  return job.id;
}

Result<std::string> start_cleanup(const Services& services, const model::TableDefinition& dropped) {
  const nlohmann::json parameters{{"table_id", dropped.qualified_name()},
                                  {"table_type", pascal_name(dropped.type)},
                                  {"operation", "drop_table"},
                                  {"definition", encode(dropped, {})}};
  const std::string key = "drop-" + id_key(dropped) + "-" + std::to_string(dropped.id.value);
  KALAM_TRY(const jobs::Job job, services.jobs.create(jobs::JobType::kCleanup, parameters.dump(), key));
  return job.id;
}

void register_executors(const Services& services, jobs::JobManager& jobs) {
  jobs.set_executor(jobs::JobType::kFlush, [&services](const jobs::Job& job) { return run_flush(services, job); });
  jobs.set_executor(jobs::JobType::kCleanup, [&services](const jobs::Job& job) { return run_cleanup(services, job); });
}

void MaintenanceSchedule::tick() {
  const auto tables = services_.catalog.tables();
  if (!tables) return log::error("the schedule cannot read the tables: {}", tables.error().message);
  for (const auto& table : *tables) {
    if (table->type == model::TableType::kStream) {
      // With kConflict the table is another one by now, which the next tick finds.
      if (auto evicted = evict(services_, table); !evicted && evicted.error().code != ErrorCode::kConflict) {
        log::error("rows of {} cannot be evicted: {}", table->qualified_name(), evicted.error().message);
      }
    } else if (table->options.flush_policy) {
      flush_if_due(*table);
    }
  }
}

void MaintenanceSchedule::flush_if_due(const model::TableDefinition& table) {
  const uint64_t pending = services_.storage.pending_rows(table.id);
  if (pending == 0) {
    pending_since_us_.erase(table.id);
    return;
  }
  const int64_t now_us = services_.clock.now_us();
  const int64_t since_us = pending_since_us_.try_emplace(table.id, now_us).first->second;
  const auto& policy = *table.options.flush_policy;
  const bool rows_due = policy.rows > 0 && pending >= policy.rows;
  const bool interval_due =
      policy.interval_seconds > 0 && now_us - since_us >= static_cast<int64_t>(policy.interval_seconds) * 1'000'000;
  if (!rows_due && !interval_due) return;
  pending_since_us_.erase(table.id);
  if (auto job = start_flush(services_, table); !job && job.error().code != ErrorCode::kIdempotentConflict) {
    log::error("flush of {} cannot start: {}", table.qualified_name(), job.error().message);
  }
}

}  // namespace kalamdb::query
