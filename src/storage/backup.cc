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
  TableBackup(const SegmentsContext& context, model::TablePtr table, hot::SnapshotPtr snapshot,
              const cold::BackupPlace& place)
      : context_(context), table_(std::move(table)), snapshot_(std::move(snapshot)), place_(place) {
    listed_.namespace_id = table_->namespace_id;
    listed_.name = table_->name;
    listed_.type = lower_name(table_->type);
  }

  Result<cold::BackupTable> run(const std::string& record, const std::vector<UserId>& users) {
    cold::BackupDetails details{.definition = record, .scopes = {}};
    const std::string directory = table_->namespace_id + "/" + table_->name;
    for (const ScopeUsers& one : by_scope(*table_, users)) {
      const std::string number = std::to_string(details.scopes.size());
      const std::string own = table_->is_per_user() ? directory + "/scope-" + number : directory;
      KALAM_TRY(auto scope, back_up_scope(one, own));
      details.scopes.push_back(std::move(scope));
    }
    const std::string name = directory + "/table.cbor";
    KALAM_TRY(auto file, cold::put_checked(*place_.objects, place_.object(name), cold::encode(details), name));
    listed_.files.insert(listed_.files.begin(), std::move(file));
    return std::move(listed_);
  }

 private:
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
      KALAM_TRY(const auto from, context_.files.objects(segment.storage));
      const std::string name = segment_name(directory, segment.id);
      KALAM_TRY(auto file,
                cold::copy_object(context_.disk, *from, segment.path, *place_.objects, place_.object(name), name));
      listed_.files.push_back(std::move(file));
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

  Result<> write_hot_rows(cold::BackupScope& scope, const ScopeUsers& of, const std::string& directory) {
    FlushCursor rows(table_, std::make_unique<ScopeCursor>(context_.store, table_->id, of, snapshot_),
                     context_.max_segment_rows);
    while (true) {
      KALAM_TRY(const bool more, rows.begin_segment());
      if (!more) return {};
      KALAM_CHECK(check_stop(context_.stop));
      const uint64_t id = scope.manifest.next_segment++;
      const std::string name = segment_name(directory, id);
      KALAM_TRY(const auto written, write_file(name, of.scope, rows));
      const FlushedRows notes = rows.take_notes();
      if (written.row_count != notes.keys.size()) {
        return fail(ErrorCode::kInternal, "A file of the backup was written with " + std::to_string(written.row_count) +
                                              " rows of " + std::to_string(notes.keys.size()));
      }
      const auto [min_seq, max_seq] = std::ranges::minmax(notes.seqs);
      scope.manifest.segments.push_back({.id = id,
                                         .storage = "",
                                         .path = name,
                                         .row_count = written.row_count,
                                         .size_bytes = written.size_bytes,
                                         .checksum = written.checksum,
                                         .schema_version = table_->schema_version,
                                         .min_seq = min_seq,
                                         .max_seq = max_seq,
                                         .min_key = notes.keys.front(),
                                         .max_key = notes.keys.back(),
                                         .created_at_us = context_.clock.now_us(),
                                         .columns = written.columns});
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
    scope.tombstones = directory + "/tombstones.parquet";
    ScopeCursor all(context_.store, table_->id, of, snapshot_);
    TombstoneCursor rows(all);
    KALAM_TRY(const auto written, write_file(scope.tombstones, of.scope, rows));
    listed_.tombstones += written.row_count;
    return {};
  }

  Result<duck::WrittenSegment> write_file(const std::string& name, const SegmentScope& scope, model::RowCursor& rows) {
    KALAM_TRY(const std::string staged, place_.objects->staging_file(place_.object(name)));
    KALAM_TRY(const auto written,
              context_.engine.write_segment(staged, table_, rows, segment_metadata(*table_, scope)));
    KALAM_TRY(auto file, cold::put_file_checked(context_.disk, *place_.objects, place_.object(name), staged, name));
    listed_.files.push_back(std::move(file));
    return written;
  }

  // Not "batch-N.parquet", which may be removed where no manifest of a table names it.
  static std::string segment_name(const std::string& directory, uint64_t id) {
    return directory + "/segment-" + std::to_string(id) + ".parquet";
  }

  const SegmentsContext& context_;
  model::TablePtr table_;
  hot::SnapshotPtr snapshot_;
  const cold::BackupPlace& place_;
  cold::BackupTable listed_;
};

}  // namespace

Result<std::string> backup_directory(const std::string& path, const std::string& data_directory,
                                     const StorageRegistry& storages) {
  namespace fs = std::filesystem;
  const auto refused = [&](const std::string& rule) {
    return fail(ErrorCode::kInvalidOperation, "'" + path.substr(0, path.find('\0')) + "' can't hold a backup: " + rule);
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
                                        const hot::SnapshotPtr& snapshot, const cold::BackupPlace& place) {
  return TableBackup(context, table, snapshot, place).run(record, users);
}

}  // namespace kalamdb::storage
