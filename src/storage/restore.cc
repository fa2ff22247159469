#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <utility>

#include "cold/bloom.h"
#include "cold/deletion_vector.h"
#include "hot/keys.h"
#include "storage/backup.h"
#include "storage/flush.h"
#include "storage/flush_cursor.h"
#include "storage/storage.h"

namespace kalamdb::storage {
namespace {

using hot::RecordSpace;

// The restore that is under way, {"job": …, "tables": [ids]}, or the last one that ended, {"job": …, "done": …}.
constexpr std::string_view kRestore = "restore";
// Rows that go in one commit, which others wait for.
constexpr size_t kBatchRows = 10'000;

std::unexpected<Error> inconsistent(const cold::BackupTable& listed) {
  return fail(ErrorCode::kCorruption, "The backup of table " + listed.namespace_id + "." + listed.name +
                                          " does not fit together; restore another backup");
}

Result<nlohmann::json> read_restore(const hot::Store& store) {
  KALAM_TRY(const auto record, store.get_record(RecordSpace::kMeta, kRestore, nullptr));
  auto json = nlohmann::json::parse(record.value_or("{}"), nullptr, false);
  if (!json.is_object()) return fail(ErrorCode::kCorruption, "The record of a restore is damaged");
  return json;
}

RecordWrite restore_record(const nlohmann::json& json) {
  return {.space = RecordSpace::kMeta, .key = std::string(kRestore), .value = json.dump(), .expected = std::nullopt};
}

// From here on a crash leaves nothing that is not found again.
Result<> begin_restore(Committer& committer, const std::string& job_id, const std::vector<TableId>& tables,
                       std::vector<RecordWrite> directories) {
  nlohmann::json ids = nlohmann::json::array();
  for (const TableId table : tables) ids.push_back(table.value);
  CommitRequest request;
  request.records = std::move(directories);
  request.records.push_back(restore_record({{"job", job_id}, {"tables", std::move(ids)}}));
  request.always_sync = true;
  KALAM_CHECK(committer.commit(std::move(request)));
  return {};
}

// Gives each row of a table a `_seq` of its own, from `first` on.
class NumberedRows final : public model::RowCursor {
 public:
  NumberedRows(model::RowCursor& rows, Seq first) : rows_(rows), next_(first) {}

  Result<std::optional<model::RowRecord>> next() override {
    KALAM_TRY(auto record, rows_.next());
    if (!record) return record;
    record->seq = next_++;
    record->user = &nobody_;
    return record;
  }
  Seq next_seq() const { return next_; }

 private:
  model::RowCursor& rows_;
  Seq next_;
  const UserId nobody_;
};

// One scope of one table, and where its files go.
struct Scope {
  const TableToRestore& from;
  const cold::BackupScope& scope;
  SegmentScope to;
  Location location;
};

class Restore {
 public:
  Restore(const SegmentsContext& context, const cold::BackupPlace& place, std::span<const TableToRestore> tables,
          Seq seq, const TableFolder* adopted)
      : context_(context), place_(place), tables_(tables), seq_(seq), adopted_(adopted) {}

  Result<CommitRequest> run(const std::string& job_id, const std::string& done) {
    for (const TableToRestore& table : tables_) {
      for (const cold::BackupScope& scope : table.details.scopes) {
        const model::TableOptions& options = table.table->options;
        if (scope.shard.has_value() != options.shares_segments || scope.shard.value_or(0) >= options.user_shards) {
          return inconsistent(table.listed);
        }
        SegmentScope to = restored_scope(*table.table, scope);
        KALAM_TRY(Location location, locate(table, to));
        scopes_.push_back({table, scope, std::move(to), std::move(location)});
      }
    }
    KALAM_CHECK(begin(job_id));
    if (adopted_ != nullptr) {
      const TableToRestore& table = tables_.front();
      commit_.records.push_back({RecordSpace::kDirectory,
                                 directory_record_key(table.table->id, adopted_->storage_id, adopted_->directory),
                                 table.details.path_template, std::nullopt});
    }
    for (const Scope& scope : scopes_) {
      KALAM_CHECK(copy_segments(scope));
      if (!scope.scope.tombstones.empty()) KALAM_CHECK(read_tombstones(scope));
      for (const auto& [user, record] : scope.scope.retention) {
        commit_.records.push_back(
            {RecordSpace::kRetention, hot::scope_prefix(scope.from.table->id, user), record, std::nullopt});
      }
    }
    KALAM_CHECK(commit_tombstones());
    commit_.seq_floor = seq_;
    commit_.always_sync = true;
    commit_.records.push_back(restore_record({{"job", job_id}, {"done", done}}));
    return std::move(commit_);
  }

 private:
  Result<Location> locate(const TableToRestore& table, const SegmentScope& scope) {
    if (adopted_ == nullptr) return context_.files.locate(*table.table, scope);
    Location location{.storage_id = adopted_->storage_id, .objects = place_.objects};
    KALAM_TRY(location.directory,
              scope_directory(adopted_->directory, table.details.path_template, *table.table, scope));
    KALAM_CHECK(cold::check_object_name(location.directory));
    return location;
  }

  Result<> begin(const std::string& job_id) {
    std::vector<TableId> ids;
    for (const TableToRestore& table : tables_) ids.push_back(table.table->id);
    std::vector<RecordWrite> directories;
    for (const Scope& scope : scopes_) {
      // One that is adopted must not go with what comes to nothing.
      if (adopted_ == nullptr) directories.push_back(directory_record(scope.location));
    }
    return begin_restore(context_.committer, job_id, ids, std::move(directories));
  }

  Result<> copy_segments(const Scope& to) {
    cold::Manifest manifest = to.scope.manifest;
    if (manifest.segments.empty()) return {};
    for (size_t i = 0; i < manifest.segments.size(); ++i) {
      KALAM_CHECK(check_stop(context_.stop));
      cold::SegmentEntry& segment = manifest.segments[i];
      const cold::BackupFile* const listed = to.from.listed.find(segment.path);
      if (listed == nullptr || listed->size_bytes != segment.size_bytes || segment.max_seq > seq_) {
        return inconsistent(to.from.listed);
      }
      segment.storage = to.location.storage_id;
      if (adopted_ != nullptr) {
        segment.path = place_.object(segment.path);
      } else {
        const std::string path = to.location.directory + "/" + cold::segment_file_name(segment.id);
        KALAM_TRY(const auto copied, cold::copy_object(context_.disk, *place_.objects, place_.object(segment.path),
                                                       *to.location.objects, path, segment.path));
        if (copied != *listed) return inconsistent(to.from.listed);
        segment.path = path;
      }
      KALAM_CHECK(add_segment_records(to, i, segment_record_key(to.to.key, segment.id)));
    }
    ++manifest.segments_version;
    ++manifest.version;
    manifest.storage = to.location.storage_id;
    manifest.directory = to.location.directory;
    manifest.updated_at_us = context_.clock.now_us();
    commit_.records.push_back({RecordSpace::kManifest, to.to.key, cold::encode(manifest), std::nullopt});
    return {};
  }

  Result<> add_segment_records(const Scope& to, size_t index, const std::string& key) {
    const std::string& filter = to.scope.filters[index];
    if (!filter.empty()) commit_.records.push_back({RecordSpace::kFilter, key, filter, std::nullopt});
    if (to.scope.shard) {
      KALAM_TRY(const auto users, cold::SegmentUsers::decode(to.scope.users[index]));
      if (users.row_count() != to.scope.manifest.segments[index].row_count) return inconsistent(to.from.listed);
      commit_.records.push_back({RecordSpace::kUsers, key, to.scope.users[index], std::nullopt});
    }
    const std::string& deletions = to.scope.deletions[index];
    if (deletions.empty()) return {};
    KALAM_TRY(const auto deleted, PositionSet::decode(deletions));
    if (deleted.size() > to.scope.manifest.segments[index].row_count) return inconsistent(to.from.listed);
    commit_.records.push_back(
        {RecordSpace::kDeletions, key, cold::encode_deletions(context_.store.last_seq(), deleted), std::nullopt});
    return {};
  }

  Result<> read_tombstones(const Scope& to) {
    const cold::BackupFile* const listed = to.from.listed.find(to.scope.tombstones);
    if (listed == nullptr) return inconsistent(to.from.listed);
    // Under the table's own directory, which goes as a whole if this comes to nothing, or is cleared later.
    const std::string copy = to.location.directory + "/" + std::string(cold::kTombstonesFile);
    KALAM_TRY(const std::string path, to.location.objects->staging_file(copy));
    KALAM_CHECK(cold::download_object(context_.disk, *place_.objects, place_.object(listed->name), path, *listed));
    const auto added = add_tombstones(to, {.id = 0,
                                           .path = path,
                                           .row_count = 0,
                                           .size_bytes = listed->size_bytes,
                                           .schema_version = to.from.table->schema_version,
                                           .max_seq = seq_});
    KALAM_CHECK(context_.disk.remove_file(path));
    return added;
  }

  Result<> add_tombstones(const Scope& to, const duck::Segment& file) {
    KALAM_TRY(const auto rows, context_.engine.read_segment(to.from.table, file));
    while (true) {
      KALAM_TRY(const duck::SegmentRow* const row, rows->next());
      if (row == nullptr) return {};
      if (row->seq > seq_) return inconsistent(to.from.listed);
      if (tombstones_.empty()) KALAM_CHECK(check_stop(context_.stop));
      const UserId& user = to.scope.shard ? row->user : to.scope.user;
      tombstones_.push_back({to.from.table->id, user, row->key, row->seq, row->row});
      if (tombstones_.size() >= kBatchRows) KALAM_CHECK(commit_tombstones());
    }
  }

  Result<> commit_tombstones() {
    if (tombstones_.empty()) return {};
    CommitRequest request;
    request.tombstones = std::exchange(tombstones_, {});
    request.seq_floor = seq_;
    KALAM_CHECK(context_.committer.commit(std::move(request)));
    return {};
  }

  const SegmentsContext& context_;
  const cold::BackupPlace& place_;
  std::span<const TableToRestore> tables_;
  Seq seq_;
  const TableFolder* adopted_;
  std::vector<Scope> scopes_;
  std::vector<RestoredTombstone> tombstones_;
  CommitRequest commit_;
};

}  // namespace

SegmentScope restored_scope(const model::TableDefinition& table, const cold::BackupScope& scope) {
  return scope.shard ? shard_scope(table.id, *scope.shard) : segment_scope(table, scope.user);
}

Result<CommitRequest> prepare_restore(const SegmentsContext& context, const cold::BackupPlace& place,
                                      std::span<const TableToRestore> tables, Seq seq, const std::string& job_id,
                                      const std::string& done, const TableFolder* adopted) {
  return Restore(context, place, tables, seq, adopted).run(job_id, done);
}

Result<CommitRequest> prepare_import(const SegmentsContext& context, const model::TablePtr& table,
                                     model::RowCursor& rows, const std::string& job_id,
                                     const std::function<std::string(uint64_t rows)>& done) {
  const SegmentScope scope = segment_scope(*table, UserId());
  KALAM_TRY(const Location location, context.files.locate(*table, scope));
  KALAM_CHECK(begin_restore(context.committer, job_id, {table->id}, {directory_record(location)}));
  // The commit comes after all of them.
  const Seq first = context.store.last_seq() + 1;
  auto numbered = std::make_unique<NumberedRows>(rows, first);
  const NumberedRows& counted = *numbered;
  FlushCursor portions(table, std::move(numbered), context.max_segment_rows);
  cold::Manifest manifest{.storage = location.storage_id, .directory = location.directory};
  manifest.created_at_us = manifest.updated_at_us = context.clock.now_us();
  CommitRequest commit;
  while (true) {
    KALAM_TRY(const bool more, portions.begin_segment());
    if (!more) break;
    KALAM_CHECK(check_stop(context.stop));
    const uint64_t id = manifest.next_segment++;
    KALAM_TRY(const auto written, context.files.write_segment(context.engine, location, id, table, scope, portions));
    const FlushedRows notes = portions.take_notes();
    manifest.segments.push_back(segment_entry(id, location.storage_id,
                                              location.directory + "/" + cold::segment_file_name(id), *table, written,
                                              notes, context.clock.now_us()));
    commit.records.push_back({RecordSpace::kFilter, segment_record_key(scope.key, id),
                              cold::BloomFilter::build(notes.keys).record(), std::nullopt});
  }
  if (!manifest.segments.empty()) {
    manifest.segments_version = manifest.version = 1;
    commit.records.push_back({RecordSpace::kManifest, scope.key, cold::encode(manifest), std::nullopt});
  }
  const Seq next = counted.next_seq();
  commit.records.push_back(restore_record({{"job", job_id}, {"done", done(static_cast<uint64_t>(next - first))}}));
  commit.seq_floor = next - 1;
  commit.always_sync = true;
  return commit;
}

Result<std::optional<std::string>> finished_restore(const hot::Store& store, const std::string& job_id) {
  KALAM_TRY(const auto json, read_restore(store));
  if (json.value("job", "") != job_id || !json.contains("done")) return std::nullopt;
  return json.value("done", "");
}

Result<std::vector<TableId>> abandon_restored_rows(const hot::Store& store, Committer& committer) {
  KALAM_TRY(const auto json, read_restore(store));
  std::vector<TableId> tables;
  if (!json.contains("tables")) return tables;
  for (const auto& id : json["tables"]) tables.emplace_back(id.get<uint32_t>());
  CommitRequest request;
  request.erase_tables = tables;
  request.records.push_back(restore_record({{"job", json.value("job", "")}}));
  KALAM_CHECK(committer.commit(std::move(request)));
  return tables;
}

}  // namespace kalamdb::storage
