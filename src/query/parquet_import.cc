// REGISTER TABLE of a folder of plain Parquet files: whoever wrote them, their rows become those of a new SHARED table.
#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

#include "base/log.h"
#include "cold/manifest.h"
#include "model/key_codec.h"
#include "model/names.h"
#include "query/backup_job.h"
#include "query/create_table_parser.h"
#include "query/register.h"
#include "query/system_tables.h"
#include "query/views.h"

namespace kalamdb::query {
namespace {

using model::TypeTag;

constexpr std::string_view kManifestFile = "manifest.json";

// What KalamDB's own segments have besides the columns of their table.
bool is_system_column(std::string_view name) {
  return name == model::kSeqColumn || name == model::kDeletedColumn || name == model::kUpdatedColumn ||
         name == model::kHiddenKeyColumn;
}

// The files as files of this machine, as long as it lives.
class LocalFiles {
 public:
  explicit LocalFiles(std::string directory) : directory_(std::move(directory)) {}
  ~LocalFiles() { remove(); }
  LocalFiles(const LocalFiles&) = delete;
  LocalFiles& operator=(const LocalFiles&) = delete;

  Result<std::vector<std::string>> fetch(const cold::BackupPlace& place, const std::vector<std::string>& files,
                                         const std::stop_token& stop) {
    std::vector<std::string> paths;
    remove();  // what a crash has left
    for (const std::string& file : files) {
      KALAM_CHECK(storage::check_stop(stop));
      if (auto path = place.objects->local_path(place.object(file)); path) {
        paths.push_back(*std::move(path));
        continue;
      }
      KALAM_CHECK(disk_.create_directories(directory_));
      paths.push_back(directory_ + "/" + std::to_string(paths.size()) + ".parquet");
      KALAM_CHECK(cold::fetch_object(disk_, *place.objects, place.object(file), paths.back(), file));
    }
    return paths;
  }

 private:
  void remove() {
    if (!disk_.exists(directory_)) return;
    if (auto removed = disk_.remove_tree(directory_); !removed) log::warn("register: {}", removed.error().message);
  }

  const std::string directory_;
  platform::RealFileSystem disk_;
};

std::string names_of(const std::vector<model::ColumnDefinition>& columns) {
  std::string names;
  for (const auto& column : columns) names += (names.empty() ? "" : ", ") + column.name;
  return names;
}

// The table that the files' columns make.
Result<model::TableDefinition> define(const std::vector<duck::ResultColumn>& columns,
                                      const Registration& registration) {
  model::TableDefinition table;
  table.namespace_id = registration.namespace_id;
  table.name = registration.table;
  table.type = model::TableType::kShared;
  for (const auto& [name, type, source, inline_json] : columns) {
    if (is_system_column(name)) continue;
    if (name == model::kUserColumn) {
      return fail(ErrorCode::kInvalidOperation,
                  "The files have rows of several users of a USER table, which a SHARED table has not; UNREGISTER "
                  "TABLE there leaves a folder that can be registered");
    }
    KALAM_CHECK(model::validate_column_name(name, /*quoted=*/true));
    model::ColumnDefinition column;
    column.name = lower(name);
    column.type = type;
    column.ordinal = static_cast<uint32_t>(table.columns.size()) + 1;
    table.columns.push_back(std::move(column));
  }
  if (table.columns.empty()) return fail(ErrorCode::kInvalidOperation, "The files have no columns");
  KALAM_CHECK(model::validate_distinct_columns(table.columns));
  std::vector<std::string> key = registration.key;
  if (key.empty() && table.find_column("id") != nullptr) key = {"id"};
  if (key.empty()) {
    return fail(ErrorCode::kInvalidOperation, "The files have no column 'id'; add PRIMARY KEY (…) with some of " +
                                                  names_of(table.columns) + " to REGISTER TABLE");
  }
  auto settled = settle_primary_key(table.columns, key);
  if (!settled) {
    return fail(settled.error().code, settled.error().message + "; the columns are " + names_of(table.columns));
  }
  return table;
}

// Rows of the files as the table has them, ascending by key.
class ImportedRows final : public model::RowCursor {
 public:
  // `order[i]`: the index in the result of the i-th column of the table.
  ImportedRows(model::TablePtr table, std::vector<size_t> order, duck::QueryResult& rows)
      : table_(std::move(table)), order_(std::move(order)), rows_(rows), row_(table_->columns.size()) {}

  Result<std::optional<model::RowRecord>> next() override {
    if (batch_ == nullptr || next_ == batch_->row_count()) {
      next_ = 0;
      KALAM_TRY(batch_, rows_.next());
      if (batch_ == nullptr) return std::nullopt;
    }
    for (size_t i = 0; i < order_.size(); ++i) KALAM_CHECK(read(i));
    ++next_;
    std::string key = model::encode_key(*table_, row_);
    if (!is_first_ && key == key_) {
      return fail(ErrorCode::kConstraintViolation,
                  "Several rows have the PRIMARY KEY " + model::key_to_text(*table_, key) + "; choose another key");
    }
    if (!is_first_ && key < key_) {
      return fail(ErrorCode::kInternal,
                  "The rows did not come in the order of their keys at " + model::key_to_text(*table_, key));
    }
    is_first_ = false;
    key_ = std::move(key);
    encoded_ = model::encode_row(*table_, row_);
    return model::RowRecord{.key = key_, .row = encoded_};
  }

 private:
  Result<> read(size_t i) {
    const model::ColumnDefinition& column = table_->columns[i];
    const model::ValueView cell = batch_->cell(next_, order_[i]);
    if (column.is_primary_key() && model::is_null(cell)) {
      return fail(ErrorCode::kConstraintViolation,
                  "Column '" + column.name + "' is NULL in a row, but part of the PRIMARY KEY; choose another key");
    }
    const TypeTag tag = column.type.tag;
    if (tag != TypeTag::kDate && tag != TypeTag::kTime && tag != TypeTag::kTimestamp && tag != TypeTag::kDateTime) {
      row_[i] = model::to_value(cell);
      return {};
    }
    // DuckDB's go beyond the years that KalamDB has.
    auto value = model::coerce(cell, column.type);
    if (!value) return fail(value.error().code, "Column '" + column.name + "': " + value.error().message);
    row_[i] = *std::move(value);
    return {};
  }

  const model::TablePtr table_;
  const std::vector<size_t> order_;
  duck::QueryResult& rows_;
  const duck::ResultBatch* batch_ = nullptr;
  size_t next_ = 0;
  model::Row row_;
  bool is_first_ = true;
  std::string key_;
  std::string encoded_;
};

// The columns of the table by the names that they have in the files, those of the key first, in its order; and where
// each of the table's is among them.
struct Asked {
  std::vector<std::string> names;
  std::vector<size_t> order;
};
Asked asked_of(const model::TableDefinition& table, const std::vector<duck::ResultColumn>& columns) {
  std::vector<const model::ColumnDefinition*> sorted = table.primary_key();
  for (const auto& column : table.columns) {
    if (!column.is_system() && !column.is_primary_key()) sorted.push_back(&column);
  }
  Asked asked;
  for (const auto* column : sorted) {
    const auto found = std::ranges::find_if(
        columns, [&](const duck::ResultColumn& in_files) { return equal_ignoring_case(in_files.name, column->name); });
    asked.names.push_back(found->name);
  }
  for (const auto& column : table.columns) {
    if (!column.is_system()) asked.order.push_back(std::ranges::find(sorted, &column) - sorted.begin());
  }
  return asked;
}

// The segments that the manifest names, if they can be read as they are.
Result<std::vector<std::string>> named_segments(const cold::BackupPlace& place, const std::string& shown) {
  KALAM_TRY(const std::string text, cold::read_object(*place.objects, place.object(kManifestFile)));
  const auto manifest = cold::parse_json(text);
  if (!manifest) {
    return fail(ErrorCode::kInvalidOperation, "manifest.json in '" + shown +
                                                  "' is damaged, so that nobody knows which rows are deleted; move it "
                                                  "away to take in all rows of all files");
  }
  std::vector<std::string> files;
  for (const cold::ExportedSegment& segment : manifest->segments) {
    if (segment.deletions != nullptr && !segment.deletions->empty()) {
      return fail(ErrorCode::kInvalidOperation,
                  "The files in '" + shown + "' still have rows of " + manifest->table +
                      " that are deleted; UNREGISTER TABLE on the server that has it, or VACUUM it there first");
    }
    files.push_back(cold::segment_file_name(segment.id));
  }
  return files;
}

}  // namespace

Result<std::vector<std::string>> parquet_files(const cold::BackupPlace& place, const std::string& shown) {
  KALAM_TRY(const auto objects, list_backup(place));
  std::vector<std::string> files;
  bool has_segments = false;
  bool has_manifest = false;
  for (const auto& object : objects) {
    const std::string file = object.name.substr(place.directory.size());
    if (file == cold::kDetailsFile) {
      return fail(ErrorCode::kInvalidOperation, "'" + shown +
                                                    "' is part of a backup, or was not unregistered to the end; use "
                                                    "RESTORE DATABASE, or UNREGISTER TABLE again where it comes from");
    }
    has_manifest |= file == kManifestFile;
    if (file.contains('/') || !file.ends_with(".parquet")) continue;
    has_segments |= cold::parse_segment_file_name(file).has_value();
    files.push_back(file);
  }
  if (has_segments && has_manifest) {
    KALAM_TRY(files, named_segments(place, shown));
  }
  if (files.empty()) {
    return fail(ErrorCode::kInvalidOperation, "'" + shown + "' has no Parquet files, and no " +
                                                  std::string(cold::kUnregisteredFile) +
                                                  ", which UNREGISTER TABLE writes last");
  }
  return files;
}

Result<std::string> import_parquet(const Services& services, const Registration& registration,
                                   const cold::BackupPlace& place, const jobs::Job& job, const std::stop_token& stop) {
  const std::string shown = registration.folder.display();
  KALAM_TRY(const auto files, parquet_files(place, shown));
  LocalFiles local(services.facts->data_directory + "/tmp/register-" + job.id);
  KALAM_TRY(const auto paths, local.fetch(place, files, stop));
  const auto is_abandoned = [stop] { return stop.stop_requested(); };
  KALAM_TRY(const auto columns, services.engine.parquet_columns(paths, is_abandoned));
  KALAM_TRY(model::TableDefinition draft, define(columns, registration));
  KALAM_TRY(draft.id, services.catalog.reserve_table_ids(1));
  draft.created_by = job.started_by.value;
  draft.created_at_us = draft.updated_at_us = services.clock.now_us();
  catalog::add_system_columns(draft);
  const auto table = std::make_shared<const model::TableDefinition>(std::move(draft));
  Asked asked = asked_of(*table, columns);
  KALAM_TRY(const auto result,
            services.engine.read_parquet(paths, asked.names, table->primary_key().size(), is_abandoned));
  ImportedRows rows(table, std::move(asked.order), *result);
  std::string message;
  const auto done = [&](uint64_t count) {
    message =
        nlohmann::json{{"message", "Registered " + table->qualified_name() + " from '" + shown + "' - " +
                                       std::to_string(count) + " rows, " + std::to_string(files.size()) + " files"},
                       {"rows", count},
                       {"files", files.size()}}
            .dump();
    return message;
  };
  KALAM_TRY(auto commit, services.storage.prepare_import(table, rows, job.id, done, stop));
  const std::vector<model::SchemaVersion> history = {{1, table->created_at_us, "REGISTER TABLE", table->columns}};
  KALAM_CHECK(services.catalog.add_restored({}, {{table, history}}, std::move(commit)));
  services.storage.restored(std::array{storage::TableToRestore{table, {}, {.definition = "", .scopes = {{}}}}});
  rebind_views(services);
  return message;
}

}  // namespace kalamdb::query
