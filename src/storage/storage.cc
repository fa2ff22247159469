#include "storage/storage.h"

#include <algorithm>
#include <unordered_set>
#include <utility>

#include "base/log.h"
#include "hot/keys.h"
#include "storage/eviction.h"
#include "storage/flush.h"
#include "storage/manifest_export.h"
#include "storage/snapshot_scan.h"
#include "storage/storage_impl.h"
#include "storage/ttl.h"

namespace kalamdb::storage {

using hot::RecordSpace;

namespace {

// Lets a segment be read as one user's.
void show_rows(duck::Segment& segment, const SegmentScope& scope, PositionRange rows) {
  segment.visible = rows;
  if (!scope.shard) return;
  // The bounds are those of segment_key(), not of primary keys.
  segment.min_key.clear();
  segment.max_key.clear();
}

}  // namespace

Result<std::unique_ptr<Storage>> Storage::open(StorageOptions options, platform::FileSystem& files,
                                               platform::Clock& clock, platform::Random& random, duck::Engine& engine) {
  options.storages.data_directory = options.data_directory;
  auto storage = std::make_unique<StorageImpl>(files, clock, random, engine, options);
  KALAM_CHECK(storage->open());
  return storage;
}

StorageImpl::StorageImpl(platform::FileSystem& files, platform::Clock& clock, platform::Random& random,
                         duck::Engine& engine, const StorageOptions& options)
    : files_(files),
      clock_(clock),
      engine_(engine),
      options_(options),
      storages_(options.storages, files, clock, random),
      remote_reader_(storages_, options.remote_reads),
      segment_files_(storages_) {
  engine_.set_remote_files(&remote_reader_);
}

Result<> StorageImpl::open() {
  KALAM_CHECK(files_.create_directories(options_.data_directory));
  KALAM_TRY(lock_, files_.lock_file(options_.data_directory + "/LOCK"));
  const std::string hot_directory = options_.data_directory + "/rocksdb";
  KALAM_CHECK(files_.create_directories(hot_directory));  // RocksDB would tell of an error first
  KALAM_TRY(store_, hot::Store::open(hot_directory, options_.hot));
  collector_ = std::make_unique<FileCollector>(*store_);
  KALAM_CHECK(files_.create_directories(options_.data_directory + "/storage"));
  KALAM_CHECK(storages_.load(*store_));
  segments_ = std::make_unique<SegmentCache>(*store_);
  KALAM_TRY(const auto tables, stored_tables(*store_));
  KALAM_CHECK(load_segment_files(tables));
  // The directories themselves must survive a power failure as what is in them does.
  KALAM_CHECK(files_.sync_directory(options_.data_directory));
  pending_ = std::make_unique<PendingRows>(*store_);
  hot_row_counts_ = std::make_unique<HotRowCounts>(store_->last_seq());
  KALAM_TRY(committer_, CommitterThread::start(*store_, *segments_, *hot_row_counts_, clock_, options_.durability,
                                               options_.node_number,
                                               [this] { return files_.require_room(options_.data_directory); }));
  committer_->add_early_listener([this](const ChangeSetPtr& changes) {
    pending_->add(*changes);
    watches_.add(changes);
  });
  remove_leftover_directories(tables);
  begin_rebuilds();
  return {};
}

void StorageImpl::stop() {
  is_stopping_ = true;
  if (!is_stopped_.exchange(true) && committer_ != nullptr) export_all_manifests();
  remote_reader_.stop();
  storages_.stop();
  if (collector_ != nullptr) collector_->stop();
  if (committer_ != nullptr) committer_->stop();
}

std::optional<FoundRow> StorageImpl::live_row(const model::TableDefinition& table, hot::StoredRow&& stored) const {
  if (stored.deleted || is_expired(table, stored.seq, clock_.now_us())) return std::nullopt;
  return FoundRow{.seq = stored.seq, .row = std::move(stored.row)};
}

Result<std::optional<FoundRow>> StorageImpl::find(const model::TablePtr& table, const UserId& user,
                                                  std::string_view key, const hot::SnapshotPtr& snapshot) {
  const std::string wanted(key);
  hot::SnapshotPtr at = snapshot;
  if (at == nullptr) {
    KALAM_TRY(auto stored, store_->get(table->id, user, key, nullptr));
    if (stored) return live_row(*table, *std::move(stored));
    if (table->type == model::TableType::kStream) return std::nullopt;
    KALAM_TRY(const uint64_t version, segments_version(table, user, nullptr));
    if (version == 0) return std::nullopt;
    // Between the two halves a cold row may become a hot one: look at both as of one moment.
    at = store_->snapshot();
  }
  KALAM_TRY(auto found, find_all(table, user, std::span(&wanted, 1), at));
  return std::move(found.front());
}

Result<std::vector<std::optional<FoundRow>>> StorageImpl::find_all(const model::TablePtr& table, const UserId& user,
                                                                   std::span<const std::string> keys,
                                                                   const hot::SnapshotPtr& snapshot) {
  std::vector<std::optional<FoundRow>> found(keys.size());
  std::vector<std::string> not_hot;
  for (size_t i = 0; i < keys.size(); ++i) {
    KALAM_TRY(auto stored, store_->get(table->id, user, keys[i], snapshot));
    if (stored) {
      found[i] = live_row(*table, *std::move(stored));
    } else {
      not_hot.push_back(keys[i]);
    }
  }
  if (not_hot.empty() || table->type == model::TableType::kStream) return found;
  KALAM_TRY(const auto manifest, segments_->manifest(segment_scope(*table, user).key, snapshot));
  if (manifest == nullptr) return found;
  KALAM_TRY(auto rows, find_cold(table, user, manifest, not_hot, snapshot));
  std::unordered_map<std::string_view, const duck::SegmentRow*> by_key;
  for (const duck::SegmentRow& row : rows) by_key.emplace(row.key, &row);
  for (size_t i = 0; i < keys.size(); ++i) {
    const auto row = by_key.find(keys[i]);
    if (row == by_key.end()) continue;
    const duck::SegmentRow& cold = *row->second;
    found[i] = FoundRow{.seq = cold.seq, .row = cold.row, .cold = ColdPosition{cold.segment_id, cold.position}};
  }
  return found;
}

Result<StorageImpl::Candidates> StorageImpl::find_candidates(const model::TableDefinition& table, const UserId& user,
                                                             const cold::Manifest& manifest,
                                                             std::span<const std::string> keys) {
  const SegmentScope scope = segment_scope(table, user);
  std::vector<std::string> sort_keys;
  for (const std::string& key : keys) sort_keys.push_back(segment_key(table, user, key));
  Candidates candidates{.segments = {}, .wanted = std::vector<char>(keys.size(), 0)};
  for (size_t s = 0; s < manifest.segments.size(); ++s) {
    const cold::SegmentEntry& segment = manifest.segments[s];
    bool is_candidate = false;
    std::shared_ptr<const cold::BloomFilter> filter;
    for (size_t i = 0; i < keys.size(); ++i) {
      if (sort_keys[i] < segment.min_key || sort_keys[i] > segment.max_key) continue;
      if (filter == nullptr) {
        KALAM_TRY(filter, segments_->filter(scope.key, segment.id));
      }
      if (filter != nullptr && !filter->may_contain(sort_keys[i])) continue;
      is_candidate = true;
      candidates.wanted[i] = 1;
    }
    if (is_candidate) candidates.segments.push_back(s);
  }
  return candidates;
}

Result<bool> StorageImpl::must_read_segments(const model::TablePtr& table, const UserId& user,
                                             std::span<const std::string> keys) {
  if (table->type == model::TableType::kStream) return false;
  KALAM_TRY(const auto manifest, segments_->manifest(segment_scope(*table, user).key, nullptr));
  if (manifest == nullptr) return false;
  KALAM_TRY(const Candidates candidates, find_candidates(*table, user, *manifest, keys));
  return !candidates.segments.empty();
}

Result<std::vector<duck::SegmentRow>> StorageImpl::find_cold(const model::TablePtr& table, const UserId& user,
                                                             const cold::ManifestPtr& manifest,
                                                             std::span<const std::string> keys,
                                                             const hot::SnapshotPtr& snapshot) {
  KALAM_TRY(const Candidates candidates, find_candidates(*table, user, *manifest, keys));
  const SegmentScope scope = segment_scope(*table, user);
  std::vector<duck::Segment> segments;
  for (const size_t s : candidates.segments) {
    const cold::SegmentEntry& segment = manifest->segments[s];
    KALAM_TRY(const PositionRange rows, segments_->rows_of(scope, segment, user, snapshot));
    if (rows.empty()) continue;
    KALAM_TRY(const auto deletions, segments_->deletions(scope.key, segment.id, snapshot));
    segments.push_back(segment_files_.to_segment(manifest, s, deletions));
    show_rows(segments.back(), scope, rows);
  }
  if (segments.empty()) return std::vector<duck::SegmentRow>{};
  std::vector<std::string> wanted_keys;
  for (size_t i = 0; i < keys.size(); ++i) {
    if (candidates.wanted[i] != 0) wanted_keys.push_back(keys[i]);
  }
  return engine_.find_in_segments(table, segments, wanted_keys);
}

Result<std::vector<duck::Segment>> StorageImpl::segments_of(const SegmentScope& scope,
                                                            const cold::ManifestPtr& manifest, const UserId& user,
                                                            const hot::SnapshotPtr& snapshot) {
  KALAM_TRY(const auto deletions, segments_->all_deletions(scope.key, *manifest, snapshot));
  std::vector<duck::Segment> segments;
  for (size_t i = 0; i < manifest->segments.size(); ++i) {
    KALAM_TRY(const PositionRange rows, segments_->rows_of(scope, manifest->segments[i], user, snapshot));
    if (rows.empty()) continue;
    segments.push_back(segment_files_.to_segment(manifest, i, deletions[i]));
    show_rows(segments.back(), scope, rows);
  }
  return segments;
}

Result<Storage::ColdKeys> StorageImpl::cold_keys(const model::TablePtr& table, const UserId& user,
                                                 std::span<const std::string> keys, const hot::SnapshotPtr& snapshot) {
  ColdKeys result;
  if (table->type == model::TableType::kStream) return result;
  const std::string scope = segment_scope(*table, user).key;
  KALAM_TRY(result.segments_version, segments_->segments_version(scope, snapshot));
  if (result.segments_version == 0) return result;
  const hot::SnapshotPtr at = snapshot != nullptr ? snapshot : store_->snapshot();
  KALAM_TRY(const auto manifest, segments_->manifest(scope, at));
  if (manifest == nullptr) return result;
  result.segments_version = manifest->segments_version;
  KALAM_TRY(auto rows, find_cold(table, user, manifest, keys, at));
  for (duck::SegmentRow& row : rows) {
    result.taken.push_back({std::move(row.key), manifest->find(row.segment_id)->path});
  }
  return result;
}

Result<std::shared_ptr<const duck::TableScan>> StorageImpl::scan(const model::TablePtr& table, const UserId& user,
                                                                 const hot::SnapshotPtr& snapshot) {
  hot::SnapshotPtr at = snapshot != nullptr ? snapshot : store_->snapshot();
  std::vector<duck::Segment> segments;
  if (table->type != model::TableType::kStream) {
    const SegmentScope scope = segment_scope(*table, user);
    KALAM_TRY(const auto manifest, segments_->manifest(scope.key, at));
    if (manifest != nullptr) {
      KALAM_TRY(segments, segments_of(scope, manifest, user, at));
    }
  }
  return std::make_shared<const SnapshotScan>(*store_, *hot_row_counts_, table, user, std::move(at),
                                              std::move(segments), expired_up_to(*table, clock_.now_us()));
}

Result<uint64_t> StorageImpl::segments_version(const model::TablePtr& table, const UserId& user,
                                               const hot::SnapshotPtr& snapshot) {
  return segments_->segments_version(segment_scope(*table, user).key, snapshot);
}

Result<std::vector<UserId>> StorageImpl::users(const model::TablePtr& table, const hot::SnapshotPtr& snapshot) {
  KALAM_TRY(std::vector<UserId> users, store_->users(table->id, snapshot));
  const std::unordered_set<UserId> hot(users.begin(), users.end());
  KALAM_TRY(const auto with_segments, segment_users(table->id, snapshot));
  std::ranges::copy_if(with_segments, std::back_inserter(users),
                       [&](const UserId& user) { return !hot.contains(user); });
  return users;
}

Result<> check_stop(const std::stop_token& stop) {
  if (!stop.stop_requested()) return {};
  return fail(ErrorCode::kUnavailable, "It was asked to stop before its end");
}

SegmentsContext StorageImpl::segments_context(const std::stop_token& stop) {
  return {.store = *store_,
          .committer = *committer_,
          .segments = *segments_,
          .files = segment_files_,
          .collector = *collector_,
          .watches = watches_,
          .engine = engine_,
          .clock = clock_,
          .disk = files_,
          .max_segment_rows = options_.max_segment_rows,
          .max_small_segments = options_.max_small_segments,
          .stop = stop};
}

std::shared_ptr<TableMutexes> StorageImpl::table_mutexes(TableId table) {
  const std::lock_guard lock(mutex_);
  auto& entry = table_mutexes_[table];
  if (entry == nullptr) entry = std::make_shared<TableMutexes>();
  return entry;
}

Result<FlushResult> StorageImpl::flush(const model::TablePtr& table, const std::stop_token& stop) {
  if (table->type == model::TableType::kStream) {
    return fail(ErrorCode::kInvalidOperation, "STORAGE FLUSH TABLE is not supported for STREAM tables");
  }
  const auto mutexes = table_mutexes(table->id);
  const std::lock_guard lock(mutexes->segments);
  // Counted before, so that what is written meanwhile stays counted.
  const uint64_t pending = pending_->count(table->id);
  const SegmentsContext context = segments_context(stop);
  FlushResult result;
  KALAM_TRY(const auto users, store_->users(table->id, nullptr));
  auto scopes = by_scope(*table, users);
  // Users whose manifest is damaged must not keep those of others hot.
  const auto sound = std::ranges::stable_partition(
      scopes, [&](const ScopeUsers& one) { return segments_->damaged(one.scope.key).empty(); });
  auto flushed = flush_scopes(context, table, std::span(scopes.begin(), sound.begin()), result);
  store_->note_erased(result.rows);
  if (flushed && !sound.empty()) {
    const UserId& user = sound.front().users.front();
    if (auto damaged = segments_version(table, user, nullptr); !damaged) flushed = fail(damaged.error());
  }
  if (!flushed) {
    pending_->subtract(table->id, result.rows);
    return fail(std::move(flushed).error());
  }
  pending_->subtract(table->id, pending);
  export_changed_manifests(context, table);
  return result;
}

Result<Seq> StorageImpl::evictable_up_to(const model::TablePtr& table) {
  return storage::evictable_up_to(*store_, *table, clock_.now_us());
}

Result<uint64_t> StorageImpl::count_rows_up_to(const model::TablePtr& table, Seq up_to, uint64_t max_rows) {
  const auto snapshot = store_->snapshot();
  KALAM_TRY(const auto users, store_->users(table->id, snapshot));
  uint64_t rows = 0;
  for (const UserId& user : users) {
    const auto changes = store_->scan_changes(table->id, user, 0, snapshot);
    while (true) {
      if (rows >= max_rows) return rows;
      KALAM_TRY(const auto record, changes->next());
      if (!record || record->seq > up_to) break;
      ++rows;
    }
  }
  return rows;
}

Result<uint64_t> StorageImpl::evict(const model::TablePtr& table, Seq up_to, uint64_t max_rows) {
  KALAM_TRY(auto eviction, Eviction::prepare(*store_, table, watch_writes(table->id), up_to, max_rows));
  const uint64_t rows = eviction->row_count();
  if (rows == 0) return 0;
  CommitRequest request;
  request.segments_change = std::move(eviction);
  KALAM_CHECK(committer_->commit(std::move(request)));
  store_->note_erased(rows);
  return rows;
}

Result<TableStats> StorageImpl::stats(const model::TablePtr& table) {
  TableStats stats;
  stats.hot_rows = store_->estimate_rows(table->id, nullptr);
  const auto snapshot = store_->snapshot();
  Result<> outcome;
  const auto add_scope = [&](const std::string& scope) -> Result<> {
    KALAM_TRY(const auto manifest, segments_->manifest(scope, snapshot));
    if (manifest == nullptr) return {};
    KALAM_TRY(const auto deletions, segments_->all_deletions(scope, *manifest, snapshot));
    for (size_t i = 0; i < manifest->segments.size(); ++i) {
      const cold::SegmentEntry& segment = manifest->segments[i];
      stats.cold_rows += segment.row_count - (deletions[i] != nullptr ? deletions[i]->size() : 0);
      stats.segment_bytes += segment.size_bytes;
    }
    stats.segments += manifest->segments.size();
    return {};
  };
  KALAM_CHECK(store_->scan_records(RecordSpace::kManifest, hot::table_prefix(table->id), snapshot,
                                   [&](std::string_view scope, std::string_view) {
                                     outcome = add_scope(std::string(scope));
                                     return outcome.has_value();
                                   }));
  KALAM_CHECK(outcome);
  return stats;
}

Result<uint64_t> StorageImpl::scopes_in(std::string_view storage_id) {
  uint64_t scopes = 0;
  KALAM_CHECK(for_each_manifest(*store_, "", nullptr, [&](const cold::Manifest& manifest) -> Result<> {
    const bool is_in =
        manifest.storage == storage_id ||
        std::ranges::find(manifest.segments, storage_id, &cold::SegmentEntry::storage) != manifest.segments.end();
    scopes += is_in ? 1 : 0;
    return {};
  }));
  return scopes;
}

Result<uint64_t> StorageImpl::remove_segments(const model::TablePtr& table) {
  const auto mutexes = table_mutexes(table->id);
  const std::scoped_lock lock(mutexes->maintenance, mutexes->segments);
  for (const std::string& scope : segments_->damaged(hot::table_prefix(table->id))) segments_->set_sound(scope);
  const auto before = stats(table);  // of damaged manifests there are none
  KALAM_TRY(const Seq erased, erase_segment_records(table->id));
  collector_->add(erased, [this, id = table->id] { return remove_directories(id); });
  return before ? before->segment_bytes : 0;
}

Result<> StorageImpl::remove_directories(TableId table) {
  KALAM_CHECK(segment_files_.remove_directories(table));
  // Last, so that the next start knows of directories that are left.
  CommitRequest request;
  KALAM_CHECK(store_->scan_records(
      RecordSpace::kDirectory, hot::table_prefix(table), nullptr, [&](std::string_view key, std::string_view) {
        request.records.push_back({.space = RecordSpace::kDirectory, .key = std::string(key)});
        return true;
      }));
  if (request.records.empty()) return {};
  KALAM_CHECK(committer_->commit(std::move(request)));
  return {};
}

void StorageImpl::remove_leftover_directories(const StoredTables& tables) {
  for (const TableId table : segment_files_.tables()) {
    if (tables.contains(table)) continue;
    // Later: a service that is away must not keep the server from starting.
    collector_->add_later([this, table]() -> Result<> {
      // A crash between DROP TABLE and the start of its job leaves these too.
      KALAM_CHECK(erase_segment_records(table));
      return remove_directories(table);
    });
  }
}

Result<std::vector<RecordWrite>> StorageImpl::segment_records(TableId table) const {
  std::vector<RecordWrite> records;
  for (const auto space : {RecordSpace::kManifest, RecordSpace::kDeletions, RecordSpace::kFilter, RecordSpace::kUsers,
                           RecordSpace::kRetention}) {
    KALAM_CHECK(
        store_->scan_records(space, hot::table_prefix(table), nullptr, [&](std::string_view key, std::string_view) {
          records.push_back({.space = space, .key = std::string(key)});
          return true;
        }));
  }
  return records;
}

Result<Seq> StorageImpl::erase_segment_records(TableId table) {
  CommitRequest request;
  KALAM_TRY(request.records, segment_records(table));
  if (request.records.empty()) return store_->last_seq();
  request.always_sync = true;
  KALAM_TRY(const ChangeSetPtr erased, committer_->commit(std::move(request)));
  return erased->commit_seq;
}

}  // namespace kalamdb::storage
