#include "query/maintenance.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/log.h"
#include "query/backup.h"
#include "query/dml.h"

namespace kalamdb::query {

namespace {

std::string id_key(const model::TableDefinition& table) { return table.namespace_id + "-" + table.name; }
std::string flush_key(const model::TableDefinition& table) { return "flush-" + id_key(table); }

// What a job is about.
struct Subject {
  std::string namespace_id;
  std::string table;
  TableId id;
  std::optional<UserId> user;

  std::string display() const { return table.empty() ? "all tables" : namespace_id + ":" + table; }
};

Subject subject_of(const jobs::Job& job) {
  const auto parameters = nlohmann::json::parse(job.parameters, nullptr, false);
  Subject subject{parameters.value("namespace", ""), parameters.value("table", ""),
                  TableId(parameters.value("internal_id", uint32_t{0})), std::nullopt};
  if (const auto user = parameters.find("user_id"); user != parameters.end()) subject.user = UserId(*user);
  return subject;
}

nlohmann::json parameters_of(const model::TableDefinition& table) {
  return {{"table_id", table.qualified_name()},
          {"internal_id", table.id.value},
          {"table_type", pascal_name(table.type)},
          {"namespace", table.namespace_id},
          {"table", table.name}};
}

// The job's table under the name that it has by now; nullptr if it is gone.
Result<model::TablePtr> find_subject(const Services& services, const Subject& subject) {
  KALAM_TRY(model::TablePtr table, services.catalog.find_table(subject.namespace_id, subject.table));
  if (table != nullptr && table->id == subject.id) return table;
  KALAM_TRY(const auto tables, services.catalog.tables(subject.namespace_id));
  const auto renamed = std::ranges::find(tables, subject.id, [](const auto& other) { return other->id; });
  return renamed == tables.end() ? nullptr : *renamed;
}

// Does the work on a table; again, with the new definition, when the table is altered meanwhile.
template <typename Work>
auto on_current(const Services& services, const Subject& subject, const Work& work)
    -> decltype(work(model::TablePtr())) {
  for (int attempt = 1;; ++attempt) {
    KALAM_TRY(const model::TablePtr table, find_subject(services, subject));
    if (table == nullptr) {
      return fail(ErrorCode::kNotFound,
                  "Table " + subject.namespace_id + "." + subject.table + " was dropped meanwhile");
    }
    auto done = work(table);
    if (done || done.error().code != ErrorCode::kConflict || attempt == kMaxAttempts) return done;
  }
}

Result<std::string> run_flush(const Services& services, const jobs::Job& job) {
  const Subject subject = subject_of(job);
  KALAM_TRY(const auto flushed,
            on_current(services, subject, [&](const model::TablePtr& table) { return services.storage.flush(table); }));
  return nlohmann::json{{"message", "Flushed " + subject.display() + " successfully (" + std::to_string(flushed.rows) +
                                        " rows, " + std::to_string(flushed.segments) + " files)"},
                        {"rows_flushed", flushed.rows},
                        {"parquet_files", flushed.segments},
                        {"bytes_written", flushed.bytes}}
      .dump();
}

int64_t bytes_saved(const storage::CompactResult& compacted) {
  return static_cast<int64_t>(compacted.bytes_before) - static_cast<int64_t>(compacted.bytes_after);
}

Result<std::string> run_compaction(const Services& services, const jobs::Job& job) {
  const Subject subject = subject_of(job);
  KALAM_TRY(const auto compacted, on_current(services, subject, [&](const model::TablePtr& table) {
              return services.storage.compact(table, subject.user, storage::CompactKind::kOptimize);
            }));
  return nlohmann::json{{"message", "Compaction completed for " + subject.display()},
                        {"files_before", compacted.segments_before},
                        {"files_after", compacted.segments_after},
                        {"bytes_saved", bytes_saved(compacted)}}
      .dump();
}

// Does the work on the job's table, or on every one that has segments when it names none.
template <typename Work>
Result<> on_each(const Services& services, const Subject& subject, const Work& work) {
  if (!subject.table.empty()) return on_current(services, subject, work);
  KALAM_TRY(const auto tables, services.catalog.tables());
  for (const auto& table : tables) {
    if (!has_segments(table->type) || (subject.user && table->type != model::TableType::kUser)) continue;
    auto done = on_current(services, {table->namespace_id, table->name, table->id, subject.user}, work);
    if (!done && done.error().code != ErrorCode::kTableNotFound) return done;  // dropped meanwhile
  }
  return {};
}

Result<std::string> run_vacuum(const Services& services, const jobs::Job& job) {
  const Subject subject = subject_of(job);
  storage::VacuumResult all;
  KALAM_CHECK(on_each(services, subject, [&](const model::TablePtr& table) -> Result<> {
    const uint64_t hours =
        table->options.deleted_retention_hours.value_or(services.limits.default_deleted_retention_hours);
    KALAM_TRY(const auto one, services.storage.vacuum(table, subject.user, hours));
    all.tombstones_removed += one.tombstones_removed;
    all.orphans_removed += one.orphans_removed;
    all.compacted.segments_before += one.compacted.segments_before;
    all.compacted.segments_after += one.compacted.segments_after;
    all.compacted.bytes_before += one.compacted.bytes_before;
    all.compacted.bytes_after += one.compacted.bytes_after;
    return {};
  }));
  return nlohmann::json{{"message", "Vacuum completed for " + subject.display()},
                        {"rows_deleted", all.tombstones_removed},
                        {"files_before", all.compacted.segments_before},
                        {"files_after", all.compacted.segments_after},
                        {"bytes_saved", bytes_saved(all.compacted)},
                        {"orphans_removed", all.orphans_removed}}
      .dump();
}

Result<std::string> run_analysis(const Services& services, const jobs::Job& job) {
  const Subject subject = subject_of(job);
  storage::AnalyzeResult all;
  KALAM_CHECK(on_each(services, subject, [&](const model::TablePtr& table) -> Result<> {
    KALAM_TRY(const auto one, services.storage.analyze(table, subject.user));
    all.segments += one.segments;
    all.analyzed += one.analyzed;
    return {};
  }));
  return nlohmann::json{{"message", "Analysis completed for " + subject.display()},
                        {"files", all.segments},
                        {"files_analyzed", all.analyzed}}
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
  KALAM_TRY(const jobs::Job job,
            services.jobs.create(jobs::JobType::kFlush, parameters_of(table).dump(), flush_key(table)));
  return job.id;
}

namespace {

Result<std::string> start(const Services& services, jobs::JobType type, const model::TablePtr& table,
                          const std::optional<UserId>& user) {
  nlohmann::json parameters = nlohmann::json::object();
  if (table != nullptr) parameters = parameters_of(*table);
  if (user) parameters["user_id"] = user->value;
  const std::string key =
      std::string(name(type)) + (table != nullptr ? "-" + id_key(*table) : "") + (user ? "-" + user->value : "");
  KALAM_TRY(const jobs::Job job, services.jobs.create(type, parameters.dump(), key));
  return job.id;
}

}  // namespace

Result<std::string> start_compaction(const Services& services, const model::TablePtr& table,
                                     const std::optional<UserId>& user) {
  return start(services, jobs::JobType::kCompact, table, user);
}

Result<std::string> start_vacuum(const Services& services, const model::TablePtr& table,
                                 const std::optional<UserId>& user) {
  return start(services, jobs::JobType::kVacuum, table, user);
}

Result<std::string> start_analysis(const Services& services, const model::TablePtr& table,
                                   const std::optional<UserId>& user) {
  return start(services, jobs::JobType::kAnalyze, table, user);
}

Result<std::string> start_cleanup(const Services& services, const model::TableDefinition& dropped) {
  nlohmann::json parameters = parameters_of(dropped);
  parameters["operation"] = "drop_table";
  parameters["definition"] = encode(dropped, {});
  const std::string key = "drop-" + id_key(dropped) + "-" + std::to_string(dropped.id.value);
  KALAM_TRY(const jobs::Job job, services.jobs.create(jobs::JobType::kCleanup, parameters.dump(), key));
  return job.id;
}

void register_executors(const Services& services, jobs::JobManager& jobs) {
  jobs.set_executor(jobs::JobType::kFlush, [&services](const jobs::Job& job) { return run_flush(services, job); });
  jobs.set_executor(jobs::JobType::kCompact,
                    [&services](const jobs::Job& job) { return run_compaction(services, job); });
  jobs.set_executor(jobs::JobType::kVacuum, [&services](const jobs::Job& job) { return run_vacuum(services, job); });
  jobs.set_executor(jobs::JobType::kAnalyze, [&services](const jobs::Job& job) { return run_analysis(services, job); });
  jobs.set_executor(jobs::JobType::kBackup, [&services](const jobs::Job& job) { return run_backup(services, job); });
  jobs.set_executor(jobs::JobType::kRestore, [&services](const jobs::Job& job) { return run_restore(services, job); });
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
      continue;
    }
    services_.storage.export_manifests(table);
    if (table->options.flush_policy) flush_if_due(*table);
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
