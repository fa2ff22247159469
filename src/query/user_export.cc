#include "query/user_export.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <unordered_set>

#include "platform/file_system.h"
#include "platform/utc_text.h"
#include "query/maintenance.h"
#include "query/zip_archive.h"

namespace kalamdb::query {

namespace {

using nlohmann::json;

std::string exports_directory(const Services& services) { return services.facts->data_directory + "/exports"; }

platform::FileSystem& disk(const Services& services) { return services.storage.storages().disk(); }

std::string archive_path(const Services& services, const std::string& job_id) {
  return exports_directory(services) + "/" + job_id + ".zip";
}

// The live rows of one user: hot ones, then those of each segment.
class UserRows : public model::RowCursor {
 public:
  UserRows(duck::Engine& engine, std::shared_ptr<const duck::TableScan> scan, UserId user)
      : engine_(engine), scan_(std::move(scan)), user_(std::move(user)), hot_(scan_->hot({}, false)) {}

  Result<std::optional<model::RowRecord>> next() override {
    if (hot_ != nullptr) {
      KALAM_TRY(auto record, hot_->next());
      if (record) return record;
      hot_.reset();
    }
    while (true) {
      if (cold_ == nullptr) {
        if (next_segment_ == scan_->segments().size()) return std::nullopt;
        KALAM_TRY(cold_, engine_.read_segment(scan_->table(), scan_->segments()[next_segment_++]));
      }
      KALAM_TRY(const duck::SegmentRow* row, cold_->next());
      if (row == nullptr) {
        cold_.reset();
      } else if (!scan_->table()->options.shares_segments || row->user == user_) {
        return model::RowRecord{.seq = row->seq, .key = row->key, .row = row->row};
      }
    }
  }

 private:
  duck::Engine& engine_;
  const std::shared_ptr<const duck::TableScan> scan_;
  const UserId user_;
  std::unique_ptr<model::RowCursor> hot_;
  std::unique_ptr<duck::SegmentRows> cold_;
  size_t next_segment_ = 0;
};

// One Parquet file of all rows; how many there are.
Result<uint64_t> write_rows(const Services& services, const model::TablePtr& table, const UserId& user,
                            const hot::SnapshotPtr& snapshot, const std::string& path) {
  KALAM_TRY(auto scan, services.storage.scan(table, user, snapshot));
  UserRows rows(services.engine, std::move(scan), user);
  // Nobody else's rows are in this file.
  auto alone = std::make_shared<model::TableDefinition>(*table);
  alone->options.shares_segments = false;
  KALAM_TRY(const auto written, services.engine.write_segment(path, alone, rows, {}));
  return written.row_count;
}

// Writes the rows of all tables below `directory`.
struct Written {
  std::vector<ZipEntry> entries;
  uint64_t rows = 0;
  uint64_t bytes = 0;
};
Result<Written> write_tables(const Services& services, const UserId& user, std::span<const model::TablePtr> tables,
                             const std::string& directory, const std::stop_token& stop) {
  platform::FileSystem& files = disk(services);
  const hot::SnapshotPtr snapshot = services.storage.hot().snapshot();
  Written written;
  for (const auto& table : tables) {
    KALAM_CHECK(storage::check_stop(stop));
    const std::string path = directory + "/" + std::to_string(written.entries.size()) + ".parquet";
    KALAM_TRY(const uint64_t rows, write_rows(services, table, user, snapshot, path));
    if (rows == 0) {
      KALAM_CHECK(files.remove_file(path));
      continue;
    }
    KALAM_TRY(const uint64_t bytes, files.file_size(path));
    written.entries.push_back({table->namespace_id + "/" + table->name + "/batch-0.parquet", path});
    written.rows += rows;
    written.bytes += bytes;
  }
  return written;
}

std::string export_id_of(const jobs::Job& job) {
  return json::parse(job.parameters, nullptr, false).value("export_id", "");
}

}  // namespace

Result<std::string> start_user_export(const Services& services, const UserId& user) {
  const int64_t now_us = services.clock.now_us();
  const json parameters{{"user_id", user.value},
                        {"export_id", "export-" + user.value + "-" + platform::utc_text(now_us, "%Y%m%d-%H%M%S")}};
  KALAM_TRY(const jobs::Job job, services.jobs.create({.type = jobs::JobType::kUserExport,
                                                       .parameters = parameters.dump(),
                                                       .idempotency_key = "user_export:" + user.value + ":" +
                                                                          platform::utc_text(now_us, "%Y%m%d"),
                                                       .started_by = user,
                                                       .priority = kStatementPriority}));
  return job.id;
}

Result<std::vector<UserExport>> user_exports(const Services& services, const UserId& user) {
  KALAM_TRY(auto jobs, services.jobs.list());
  std::erase_if(jobs,
                [&](const jobs::Job& job) { return job.type != jobs::JobType::kUserExport || job.started_by != user; });
  std::ranges::sort(jobs, std::ranges::greater(),
                    [](const jobs::Job& job) { return std::pair(job.created_at_us, job.id); });
  std::vector<UserExport> exports;
  for (jobs::Job& job : jobs) {
    std::string id = export_id_of(job);
    exports.push_back({std::move(job), std::move(id)});
  }
  return exports;
}

Result<std::string> export_archive(const Services& services, const UserId& user, const std::string& export_id) {
  KALAM_TRY(const auto exports, user_exports(services, user));
  for (const UserExport& one : exports) {
    if (one.id != export_id || one.job.status != jobs::JobStatus::kCompleted) continue;
    std::string path = archive_path(services, one.job.id);
    if (disk(services).exists(path)) return path;
  }
  return fail(ErrorCode::kNotFound, "Export not found");
}

Result<jobs::Decision> run_user_export(const Services& services, const jobs::Job& job, const std::stop_token& stop) {
  const UserId user(json::parse(job.parameters).at("user_id").get<std::string>());
  KALAM_TRY(auto tables, services.catalog.tables());
  std::erase_if(tables, [](const model::TablePtr& table) { return table->type != model::TableType::kUser; });
  if (tables.empty()) return jobs::Decision::skipped(json{{"message", "No user tables found to export"}}.dump());
  std::ranges::sort(tables, {}, [](const model::TablePtr& table) { return table->qualified_name(); });

  platform::FileSystem& files = disk(services);
  const std::string directory = exports_directory(services) + "/" + job.id;
  KALAM_CHECK(files.remove_tree(directory));  // of an attempt that a crash ended
  KALAM_CHECK(files.create_directories(directory));
  auto written = write_tables(services, user, tables, directory, stop);
  const std::string unfinished = directory + "/archive.zip";
  Result<> done = written ? Result<>() : fail(written.error());
  if (done && !written->entries.empty()) done = write_zip(files, unfinished, written->entries, stop);
  if (done && !written->entries.empty()) done = files.rename(unfinished, archive_path(services, job.id));
  KALAM_CHECK(files.remove_tree(directory));
  KALAM_CHECK(done);
  if (written->entries.empty()) {
    return jobs::Decision::skipped(json{{"message", "No data found for this user in any table"}}.dump());
  }
  KALAM_CHECK(files.sync_directory(exports_directory(services)));
  return jobs::Decision::completed(json{
      {"message", "Exported " + std::to_string(written->entries.size()) + " Parquet files (" +
                      std::to_string(written->bytes) + " bytes) to " + export_id_of(job) + ".zip"},
      {"parquet_files", written->entries.size()},
      {"rows", written->rows},
      {"bytes_written",
       written->bytes}}.dump());
}

Result<> remove_exports(const Services& services, const std::optional<UserId>& gone) {
  platform::FileSystem& files = disk(services);
  const std::string directory = exports_directory(services);
  if (!files.exists(directory)) return {};
  // Before the jobs are listed: what one has made that came later is not among them.
  KALAM_TRY(const auto names, files.list_directory(directory));
  KALAM_TRY(const auto jobs, services.jobs.list());
  std::unordered_set<std::string> kept;
  for (const jobs::Job& job : jobs) {
    if (job.type != jobs::JobType::kUserExport || job.started_by == gone) continue;
    if (job.live()) kept.insert(job.id);
    if (job.live() || job.status == jobs::JobStatus::kCompleted) kept.insert(job.id + ".zip");
  }
  for (const std::string& name : names) {
    if (!kept.contains(name)) KALAM_CHECK(files.remove_tree(directory + "/" + name));
  }
  return {};
}

}  // namespace kalamdb::query
