#include "storage/backup.h"

#include <algorithm>
#include <array>
#include <filesystem>
#include <utility>

#include "cold/bloom.h"
#include "hot/keys.h"
#include "storage/flush_cursor.h"
#include "storage/scope_cursor.h"
#include "storage/storage.h"

namespace kalamdb::storage {
namespace {

using hot::RecordSpace;

bool is_within(const std::string& inner, const std::string& outer) {
  return inner == outer || inner.starts_with(outer + "/");
}

// The deleted rows among others.
class TombstoneCursor final : public model::RowCursor {
 public:
  explicit TombstoneCursor(model::RowCursor& rows) : rows_(rows) {}

  Result<std::optional<model::RowRecord>> next() override {
    while (true) {
      KALAM_TRY(auto record, rows_.next());
      if (!record || record->deleted) return record;
    }
  }

 private:
  model::RowCursor& rows_;
};

class TableBackup {
 public:
  // `home`: the table's own directory, which is `place`; nullptr for a backup elsewhere.
  TableBackup(const SegmentsContext& context, model::TablePtr table, hot::SnapshotPtr snapshot,
              const cold::BackupPlace& place, const Location* home)
      : context_(context), table_(std::move(table)), snapshot_(std::move(snapshot)), place_(place), home_(home) {
    listed_.namespace_id = table_->namespace_id;
    listed_.name = table_->name;
    listed_.type = lower_name(table_->type);
  }

  Result<cold::BackupTable> run(const std::string& record, const std::vector<UserId>& users) {
    cold::BackupDetails details{.definition = record, .path_template = home_ ? home_->record : "", .scopes = {}};
    const std::string directory = home_ ? "" : table_->namespace_id + "/" + table_->name + "/";
    for (const ScopeUsers& one : by_scope(*table_, users)) {
      std::string own = directory;
      if (home_ != nullptr) {
        KALAM_TRY(own, scope_directory("", home_->record, *table_, one.scope));
        own = own.empty() ? "" : own.substr(1) + "/";
      } else if (table_->is_per_user()) {
        own += "scope-" + std::to_string(details.scopes.size()) + "/";
      }
      KALAM_TRY(auto scope, back_up_scope(one, own));
      details.scopes.push_back(std::move(scope));
    }
    const std::string name = directory + std::string(cold::kDetailsFile);
    KALAM_TRY(auto file, cold::put_checked(*place_.objects, place_.object(name), cold::encode(details), name));
    listed_.files.insert(listed_.files.begin(), std::move(file));
    return std::move(listed_);
  }

 private:
  // `directory` is "" or ends with '/'.
  Result<cold::BackupScope> back_up_scope(const ScopeUsers& of, const std::string& directory) {
    cold::BackupScope scope;
    scope.user = of.scope.user;
    scope.shard = of.scope.shard;
    for (const UserId& user : of.users) {
      KALAM_TRY(auto record,
                context_.store.get_record(RecordSpace::kRetention, hot::scope_prefix(table_->id, user), snapshot_));
      if (record) scope.retention.emplace_back(user, *std::move(record));
    }
    KALAM_CHECK(copy_segments(scope, of.scope, directory));
    KALAM_CHECK(write_hot_rows(scope, of, directory));
    KALAM_CHECK(write_tombstones(scope, of, directory));
    scope.manifest.storage.clear();
    scope.manifest.directory.clear();
    return scope;
  }

  Result<> copy_segments(cold::BackupScope& scope, const SegmentScope& of, const std::string& directory) {
    KALAM_TRY(const auto manifest, context_.segments.manifest(of.key, snapshot_));
    if (manifest == nullptr) return {};
    scope.manifest = *manifest;
    KALAM_TRY(const auto deletions, context_.segments.all_deletions(of.key, *manifest, snapshot_));
    for (size_t i = 0; i < manifest->segments.size(); ++i) {
      KALAM_CHECK(check_stop(context_.stop));
      cold::SegmentEntry& segment = scope.manifest.segments[i];
      KALAM_TRY(const std::string name, bring_segment(segment, directory));
      segment.storage.clear();
      segment.path = name;
      KALAM_TRY(auto filter,
                context_.store.get_record(RecordSpace::kFilter, segment_record_key(of.key, segment.id), snapshot_));
      scope.filters.push_back(std::move(filter).value_or(""));
      if (of.shard) {
        KALAM_TRY(const auto users, context_.segments.users(of.key, segment.id, snapshot_));
        scope.users.push_back(users->encode());
      }
      const bool any_deleted = deletions[i] != nullptr && !deletions[i]->empty();
      scope.deletions.push_back(any_deleted ? deletions[i]->encode() : std::string());
      listed_.rows += segment.row_count - (any_deleted ? deletions[i]->size() : 0);
    }
    return {};
  }

  // Returns what the segment is called in the backup.
  Result<std::string> bring_segment(const cold::SegmentEntry& segment, const std::string& directory) {
    KALAM_TRY(const auto from, context_.files.objects(segment.storage));
    if (home_ != nullptr && segment.storage == home_->storage_id && segment.path.starts_with(place_.directory)) {
      std::string name = segment.path.substr(place_.directory.size());
      KALAM_TRY(auto file, cold::describe_object(*from, segment.path, name));
      listed_.files.push_back(std::move(file));
      return name;
    }
    std::string name = segment_name(directory, segment.id);
    KALAM_TRY(auto file,
              cold::copy_object(context_.disk, *from, segment.path, *place_.objects, place_.object(name), name));
    listed_.files.push_back(std::move(file));
    return name;
  }

  Result<> write_hot_rows(cold::BackupScope& scope, const ScopeUsers& of, const std::string& directory) {
    FlushCursor rows(table_, std::make_unique<ScopeCursor>(context_.store, table_->id, of, snapshot_),
                     context_.max_segment_rows);
    while (true) {
      KALAM_TRY(const bool more, rows.begin_segment());
      if (!more) return {};
      KALAM_CHECK(check_stop(context_.stop));
      uint64_t id = scope.manifest.next_segment++;
      // A flush that failed, or this job before a crash, may have left a file.
      while (home_ != nullptr) {
        KALAM_TRY(const auto taken, place_.objects->size(place_.object(segment_name(directory, id))));
        if (!taken) break;
        id = scope.manifest.next_segment++;
      }
      const std::string name = segment_name(directory, id);
      KALAM_TRY(const auto written, write_file(name, of.scope, rows));
      const FlushedRows notes = rows.take_notes();
      if (written.row_count != notes.keys.size()) {
        return fail(ErrorCode::kInternal, "A file of the backup was written with " + std::to_string(written.row_count) +
                                              " rows of " + std::to_string(notes.keys.size()));
      }
      scope.manifest.segments.push_back(segment_entry(id, "", name, *table_, written, notes, context_.clock.now_us()));
      scope.filters.push_back(cold::BloomFilter::build(notes.keys).record());
      scope.deletions.emplace_back();
      if (of.scope.shard) scope.users.push_back(notes.users.encode());
      listed_.rows += written.row_count;
    }
  }

  Result<> write_tombstones(cold::BackupScope& scope, const ScopeUsers& of, const std::string& directory) {
    ScopeCursor looked_at(context_.store, table_->id, of, snapshot_);
    KALAM_TRY(const auto first, TombstoneCursor(looked_at).next());
    if (!first) return {};
    scope.tombstones = std::string(directory).append(cold::kTombstonesFile);
    ScopeCursor all(context_.store, table_->id, of, snapshot_);
    TombstoneCursor rows(all);
    KALAM_TRY(const auto written, write_file(scope.tombstones, of.scope, rows));
    listed_.tombstones += written.row_count;
    return {};
  }

  Result<duck::WrittenSegment> write_file(const std::string& name, const SegmentScope& scope, model::RowCursor& rows) {
    KALAM_TRY(const std::string staged, place_.objects->staging_file(place_.object(name)));
    // What a crash has left, DuckDB would want to move away.
    if (context_.disk.exists(staged)) KALAM_CHECK(context_.disk.remove_file(staged));
    KALAM_TRY(const auto written,
              context_.engine.write_segment(staged, table_, rows, segment_metadata(*table_, scope)));
    KALAM_TRY(auto file, cold::put_file_checked(context_.disk, *place_.objects, place_.object(name), staged, name));
    listed_.files.push_back(std::move(file));
    return written;
  }

  std::string segment_name(const std::string& directory, uint64_t id) const {
    if (home_ != nullptr) return directory + cold::segment_file_name(id);
    // Not "batch-N.parquet", which may be removed where no manifest of a table names it.
    return directory + "segment-" + std::to_string(id) + ".parquet";
  }

  const SegmentsContext& context_;
  model::TablePtr table_;
  hot::SnapshotPtr snapshot_;
  const cold::BackupPlace& place_;
  const Location* const home_;
  cold::BackupTable listed_;
};

// Before the id of a table that is being unregistered.
constexpr std::string_view kUnregistered = "unregistered/";

std::string unregistered_key(TableId table) { return std::string(kUnregistered) + std::to_string(table.value); }

}  // namespace

RecordWrite unregistered_record(TableId table, std::string definition) {
  return {.space = RecordSpace::kMeta,
          .key = unregistered_key(table),
          .value = std::move(definition),
          .expected = std::nullopt};
}

Result<std::optional<std::string>> unregistered_definition(const hot::Store& store, TableId table) {
  return store.get_record(RecordSpace::kMeta, unregistered_key(table), nullptr);
}

Result<std::vector<model::TablePtr>> unregistered_tables(const hot::Store& store) {
  std::vector<model::TablePtr> tables;
  Result<> outcome;
  KALAM_CHECK(
      store.scan_records(RecordSpace::kMeta, kUnregistered, nullptr, [&](std::string_view, std::string_view json) {
        auto table = model::decode_table(json);
        if (table) tables.push_back(std::make_shared<const model::TableDefinition>(*std::move(table)));
        if (!table) outcome = fail(std::move(table).error());
        return outcome.has_value();
      }));
  KALAM_CHECK(outcome);
  return tables;
}

Result<std::string> backup_directory(const std::string& path, const std::string& data_directory,
                                     const StorageRegistry& storages, std::string_view what) {
  namespace fs = std::filesystem;
  const auto refused = [&](const std::string& rule) {
    return fail(ErrorCode::kInvalidOperation,
                "'" + path.substr(0, path.find('\0')) + "' can't hold " + std::string(what) + ": " + rule);
  };
  if (path.empty()) return refused("the path is empty");
  if (path.contains('\0')) return refused("the path has a NUL byte");
  for (const auto& part : fs::path(path)) {
    if (part == "..") return refused("'..' is not allowed in the path");
  }
  const std::string backups = data_directory + "/backups";
  std::error_code error;
  const auto resolved = fs::weakly_canonical(path.starts_with('/') ? path : backups + "/" + path, error);
  if (error) return refused(error.message());
  std::string directory = resolved.lexically_normal().string();
  while (directory.size() > 1 && directory.ends_with('/')) directory.pop_back();
  if (directory == "/") return refused("it is the root of all directories");
  for (const std::string system : {"/etc", "/root", "/var/log", "/proc", "/sys", "/dev", "/boot"}) {
    if (is_within(directory, system)) return refused("it lies in " + system + ", which is the system's");
  }
  const std::string data = fs::weakly_canonical(data_directory, error).string();
  if (error) return refused(error.message());
  if (is_within(directory, data) && !directory.starts_with(data + "/backups/")) {
    return refused("in the data directory only what is below " + backups + " may");
  }
  for (const auto& storage : storages.list()) {
    if (storage->definition.type != cold::StorageType::kFilesystem) continue;
    const std::string base = fs::weakly_canonical(storage->definition.base, error).string();
    if (!error && is_within(directory, base)) {
      return refused("it lies in the directory of storage '" + storage->definition.id + "'; write STORAGE " +
                     storage->definition.id + " 'path'");
    }
  }
  return directory;
}

Result<cold::BackupTable> back_up_table(const SegmentsContext& context, const model::TablePtr& table,
                                        const std::string& record, const std::vector<UserId>& users,
                                        const hot::SnapshotPtr& snapshot, const cold::BackupPlace& place,
                                        const Location* home) {
  return TableBackup(context, table, snapshot, place, home).run(record, users);
}

}  // namespace kalamdb::storage
