#include "query/maintenance.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/log.h"
#include "query/backup.h"
#include "query/housekeeping.h"
#include "query/register.h"
#include "query/table_job.h"

namespace kalamdb::query {

namespace {

std::string id_key(const model::TableDefinition& table) { return table.namespace_id + "-" + table.name; }

Result<std::string> run_flush(const Services& services, const jobs::Job& job, const std::stop_token& stop) {
  const Subject subject = subject_of(job);
  model::TablePtr flushed_table;
  KALAM_TRY(const auto flushed, on_current(services, subject, [&](const model::TablePtr& table) {
              flushed_table = table;
              return services.storage.flush(table, stop);
            }));
  if (flushed.fragmented > 0) {
    note_started(start_compaction(services, flushed_table, std::nullopt, UserId()),
                 "compaction of " + flushed_table->qualified_name());
  }
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

Result<std::string> run_compaction(const Services& services, const jobs::Job& job, const std::stop_token& stop) {
  const Subject subject = subject_of(job);
  KALAM_TRY(const auto compacted, on_current(services, subject, [&](const model::TablePtr& table) {
              return services.storage.compact(table, subject.user, storage::CompactKind::kOptimize, stop);
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

Result<std::string> run_vacuum(const Services& services, const jobs::Job& job, const std::stop_token& stop) {
  const Subject subject = subject_of(job);
  storage::VacuumResult all;
  KALAM_CHECK(on_each(services, subject, [&](const model::TablePtr& table) -> Result<> {
    KALAM_TRY(const auto one, services.storage.vacuum(table, subject.user, retention_hours(services, *table), stop));
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

Result<std::string> run_analysis(const Services& services, const jobs::Job& job, const std::stop_token& stop) {
  const Subject subject = subject_of(job);
  storage::AnalyzeResult all;
  KALAM_CHECK(on_each(services, subject, [&](const model::TablePtr& table) -> Result<> {
    KALAM_TRY(const auto one, services.storage.analyze(table, subject.user, stop));
    all.segments += one.segments;
    all.analyzed += one.analyzed;
    return {};
  }));
  return nlohmann::json{{"message", "Analysis completed for " + subject.display()},
                        {"files", all.segments},
                        {"files_analyzed", all.analyzed}}
      .dump();
}

Result<std::string> run_cleanup(const Services& services, const jobs::Job& job, const std::stop_token& stop) {
  const auto parameters = nlohmann::json::parse(job.parameters, nullptr, false);
  if (parameters.value("operation", "") == kUnregisterOperation) return run_unregister(services, job, stop);
  KALAM_TRY(auto definition, model::decode_table(parameters.value("definition", "")));
  const auto table = std::make_shared<const model::TableDefinition>(std::move(definition));
  KALAM_TRY(const uint64_t bytes, services.storage.remove_segments(table));
  return nlohmann::json{{"message", "Cleaned up table " + table->namespace_id + ":" + table->name + " successfully - " +
                                        std::to_string(bytes) + " bytes freed"},
                        {"bytes_freed", bytes}}
      .dump();
}

Result<std::string> start(const Services& services, jobs::JobRequest request) {
  if (!request.started_by.value.empty()) request.priority = kStatementPriority;
  KALAM_TRY(const jobs::Job job, services.jobs.create(std::move(request)));
  return job.id;
}

Result<std::string> start(const Services& services, jobs::JobType type, const model::TablePtr& table,
                          const std::optional<UserId>& user, const UserId& by) {
  nlohmann::json parameters = nlohmann::json::object();
  if (table != nullptr) parameters = parameters_of(*table);
  if (user) parameters["user_id"] = user->value;
  const std::string key =
      std::string(name(type)) + (table != nullptr ? "-" + id_key(*table) : "") + (user ? "-" + user->value : "");
  return start(services, {.type = type, .parameters = parameters.dump(), .idempotency_key = key, .started_by = by});
}

}  // namespace

bool is_flush_live(const Services& services, const model::TableDefinition& table) {
  const auto live = services.jobs.live();
  return std::ranges::any_of(
      live, [&](const jobs::Job& job) { return job.type == jobs::JobType::kFlush && subject_of(job).id == table.id; });
}

Result<std::string> start_flush(const Services& services, const model::TableDefinition& table, const UserId& by) {
  return start(services, {.type = jobs::JobType::kFlush,
                          .parameters = parameters_of(table).dump(),
                          .idempotency_key = "flush-" + id_key(table),
                          .started_by = by});
}

Result<std::string> start_compaction(const Services& services, const model::TablePtr& table,
                                     const std::optional<UserId>& user, const UserId& by) {
  return start(services, jobs::JobType::kCompact, table, user, by);
}

Result<std::string> start_vacuum(const Services& services, const model::TablePtr& table,
                                 const std::optional<UserId>& user, const UserId& by) {
  return start(services, jobs::JobType::kVacuum, table, user, by);
}

Result<std::string> start_analysis(const Services& services, const model::TablePtr& table,
                                   const std::optional<UserId>& user, const UserId& by) {
  return start(services, jobs::JobType::kAnalyze, table, user, by);
}

Result<std::string> start_cleanup(const Services& services, const model::TableDefinition& dropped, const UserId& by) {
  nlohmann::json parameters = parameters_of(dropped);
  parameters["operation"] = "drop_table";
  parameters["definition"] = encode(dropped, {});
  return start(services, {.type = jobs::JobType::kCleanup,
                          .parameters = parameters.dump(),
                          .idempotency_key = "drop-" + id_key(dropped) + "-" + std::to_string(dropped.id.value),
                          .started_by = by});
}

void register_executors(const Services& services, jobs::JobManager& jobs) {
  using Run = Result<std::string> (*)(const Services& services, const jobs::Job& job, const std::stop_token& stop);
  // Those that do all of it in one attempt.
  const auto add = [&](jobs::JobType type, Run run) {
    jobs.set_executor(
        type, {.run = [&services, run](const jobs::Job& job, const std::stop_token& stop) -> Result<jobs::Decision> {
          KALAM_TRY(std::string message, run(services, job, stop));
          return jobs::Decision::completed(std::move(message));
        }});
  };
  add(jobs::JobType::kFlush, run_flush);
  add(jobs::JobType::kCompact, run_compaction);
  add(jobs::JobType::kVacuum, run_vacuum);
  add(jobs::JobType::kAnalyze, run_analysis);
  add(jobs::JobType::kBackup, run_backup);
  add(jobs::JobType::kRestore, run_restore);
  add(jobs::JobType::kCleanup, run_cleanup);
  add(jobs::JobType::kRegister, run_register);
  register_housekeeping(services, jobs);
}

}  // namespace kalamdb::query
