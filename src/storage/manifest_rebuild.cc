#include "storage/manifest_rebuild.h"

#include <xxhash.h>

#include <algorithm>
#include <charconv>
#include <optional>
#include <tuple>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "base/log.h"
#include "cold/deletion_vector.h"
#include "cold/parquet_footer.h"
#include "hot/keys.h"
#include "storage/backup.h"
#include "storage/manifest_export.h"
#include "storage/retention.h"
#include "storage/scope_cursor.h"
#include "storage/segment_facts.h"
#include "storage/ttl.h"

namespace kalamdb::storage {
namespace {

using hot::RecordSpace;

// Of how many rows the keys are compared at once: 256 MiB of them. More are read several times.
constexpr uint64_t kMaxVersions = 8 << 20;
constexpr uint64_t kPartBytes = 1 << 20;
constexpr uint64_t kRowsBetweenLooks = 4096;

// The keys of a scope's hot rows, tombstones among them, asked for in ascending order.
class HotKeys {
 public:
  HotKeys(const model::TableDefinition& table, std::unique_ptr<ScopeCursor> rows)
      : table_(table), rows_(std::move(rows)) {}

  Result<bool> contains(std::string_view key) {
    while (!at_end_ && (!has_row_ || key_ < key)) {
      KALAM_TRY(const auto record, rows_->next());
      at_end_ = !record;
      has_row_ = true;
      if (record) key_ = segment_key(table_, *record->user, record->key);
    }
    return !at_end_ && key_ == key;
  }

 private:
  const model::TableDefinition& table_;
  std::unique_ptr<ScopeCursor> rows_;
  std::string key_;
  bool has_row_ = false;
  bool at_end_ = false;
};

// A row of a segment, its key as a hash of 128 bits.
struct Version {
  uint64_t high = 0;
  uint64_t low = 0;
  Seq seq = 0;
  uint32_t source = 0;
  uint32_t position = 0;
};

struct Source {
  cold::SegmentEntry entry;
  bool is_exported = false;      // manifest.json names it
  bool knows_deletions = false;  // by a sound record
  PositionSet deleted;
};

class ScopeRebuild {
 public:
  ScopeRebuild(const SegmentsContext& context, const model::TablePtr& table, const SegmentScope& scope,
               const std::function<bool()>& is_stopped)
      : context_(context),
        table_(table),
        segment_scope_(scope),
        is_stopped_(is_stopped),
        scope_(scope.key),
        snapshot_(context.store.snapshot()) {}

  Result<> run() {
    KALAM_TRY(const auto users, context_.store.users(table_->id, snapshot_));
    for (ScopeUsers& one : by_scope(*table_, users)) {
      if (one.scope.key == scope_) hot_users_ = std::move(one);
    }
    KALAM_TRY(old_record_, context_.store.get_record(RecordSpace::kManifest, scope_, snapshot_));
    if (old_record_) {
      if (auto sound = cold::decode_manifest(*old_record_)) sound_ = *std::move(sound);
    }
    KALAM_CHECK(find_files());
    if (sound_) {
      KALAM_CHECK(take_segments());
    } else {
      KALAM_CHECK(choose_files());
    }
    KALAM_CHECK(compare_rows());
    if (!sound_) drop_empty();
    KALAM_CHECK(commit());
    context_.segments.set_sound(scope_);
    export_manifest(context_, table_, segment_scope_);
    tell();
    return {};
  }

 private:
  std::string name() const {
    std::string name = "table " + table_->qualified_name();
    if (segment_scope_.shard) name += ", shard " + std::to_string(*segment_scope_.shard);
    if (!segment_scope_.user.value.empty()) name += " of user '" + segment_scope_.user.value + "'";
    return name;
  }
  std::unexpected<Error> impossible(const std::string& why) const {
    return fail(ErrorCode::kCorruption, "The manifest of " + name() + " is damaged and cannot be rebuilt: " + why);
  }

  // What lies in the scope's directories, and the newest manifest.json there.
  Result<> find_files() {
    KALAM_TRY(const auto places, context_.files.locations_of(*table_, segment_scope_));
    for (const Location& place : places) {
      KALAM_TRY(const auto found, place.objects->list(place.directory));
      for (const auto& object : found) {
        const std::string_view file = std::string_view(object.name).substr(place.directory.size() + 1);
        if (file.contains('/')) continue;
        if (file == "manifest.json") KALAM_CHECK(read_export(place, object.name));
        const auto segment = cold::parse_segment_file_name(file);
        if (!segment || segment->temporary) continue;
        last_number_ = std::max(last_number_, segment->segment_id);
        files_.push_back({.id = segment->segment_id,
                          .storage = place.storage_id,
                          .path = object.name,
                          .size_bytes = object.size_bytes});
      }
    }
    std::ranges::sort(files_, {}, &cold::SegmentEntry::id);
    return {};
  }

  Result<> read_export(const Location& place, const std::string& file) {
    KALAM_TRY(const std::string text, place.objects->get(file));
    auto exported = cold::parse_json(text);
    if (!exported || exported->user != segment_scope_.user || exported->shard != segment_scope_.shard) {
      log::warn("storage: {}: {}", file, exported ? "it is another user's" : exported.error().message);
      return {};
    }
    if (exported_ && exported_->version >= exported->version) return {};
    exported_ = *std::move(exported);
    place_ = {place.storage_id, place.directory};
    return {};
  }

  // Of a sound manifest, with the deletion vectors that are sound too.
  Result<> take_segments() {
    for (const cold::SegmentEntry& entry : sound_->segments) {
      Source source{.entry = entry};
      KALAM_TRY(const auto record,
                context_.store.get_record(RecordSpace::kDeletions, segment_record_key(scope_, entry.id), snapshot_));
      auto decoded = record ? cold::decode_deletions(*record) : PositionSet();
      source.knows_deletions = decoded.has_value();
      if (decoded) source.deleted = *std::move(decoded);
      add(std::move(source));
    }
    return {};
  }

  Result<> choose_files() {
    std::string missing;
    for (const auto& segment : exported_ ? exported_->segments : std::vector<cold::ExportedSegment>()) {
      if (std::ranges::find(files_, segment.id, &cold::SegmentEntry::id) != files_.end()) continue;
      missing += (missing.empty() ? "" : ", ") + cold::segment_file_name(segment.id);
    }
    bool any_newer = false;
    for (const cold::SegmentEntry& file : files_) {
      const bool is_exported = exported_ && exported_->find(file.id) != nullptr;
      // One that was replaced by a compaction, and not removed yet: its rows are in others.
      if (exported_ && !is_exported && file.id <= exported_->last_segment && missing.empty()) continue;
      any_newer = any_newer || !is_exported;
      KALAM_CHECK(take_file(file, is_exported));
    }
    // A compaction may have replaced them since.
    if (!missing.empty() && any_newer) {
      log::warn("storage: manifest.json of {} names files that are not there: {}", name(), missing);
    } else if (!missing.empty()) {
      return impossible("files are missing that manifest.json names: " + missing +
                        "; put them back from a backup, or drop the table");
    }
    if (sources_.empty() && !exported_) {
      return impossible(
          "neither a segment nor manifest.json is left in its directory; put them back from a backup, or "
          "drop the table");
    }
    return {};
  }

  Result<> take_file(cold::SegmentEntry file, bool is_exported) {
    KALAM_TRY(const auto objects, context_.files.objects(file.storage));
    KALAM_TRY(const auto footer, cold::read_parquet_footer(*objects, file.path, file.size_bytes));
    const std::string version = footer.value("kalamdb.schema_version");
    const auto [end, error] = std::from_chars(version.data(), version.data() + version.size(), file.schema_version);
    if (error != std::errc() || end != version.data() + version.size() ||
        footer.value("kalamdb.user") != segment_scope_.user.value || shard_of(footer) != segment_scope_.shard) {
      return impossible(file.path + " is not one of its segments; move it elsewhere");
    }
    file.row_count = footer.row_count;
    file.created_at_us = context_.clock.now_us();
    KALAM_TRY(file.checksum, checksum(*objects, file));
    Source source{.entry = std::move(file), .is_exported = is_exported};
    if (is_exported) {
      const cold::ExportedSegment& exported = *exported_->find(source.entry.id);
      if (exported.row_count != source.entry.row_count ||
          (exported.checksum != 0 && exported.checksum != source.entry.checksum)) {
        return impossible(source.entry.path + " is not as it was written; put it back from a backup");
      }
      source.entry.created_at_us = exported.created_at_us;
    }
    add(std::move(source));
    return {};
  }

  // With what manifest.json knows of its deletions.
  void add(Source source) {
    const auto* exported = exported_ ? exported_->find(source.entry.id) : nullptr;
    source.is_exported = exported != nullptr && exported->row_count == source.entry.row_count;
    if (!source.knows_deletions && source.is_exported && exported->deletions) source.deleted = *exported->deletions;
    sources_.push_back(std::move(source));
  }

  // The XXH3 of a file, as a writer of segments gives it.
  Result<uint64_t> checksum(cold::ObjectStore& objects, const cold::SegmentEntry& file) const {
    const std::unique_ptr<XXH3_state_t, decltype(&XXH3_freeState)> state(XXH3_createState(), XXH3_freeState);
    if (state == nullptr) return fail(ErrorCode::kInternal, "There is no memory for a checksum");
    XXH3_64bits_reset(state.get());
    for (uint64_t at = 0; at < file.size_bytes; at += kPartBytes) {
      KALAM_CHECK(check_going());
      KALAM_TRY(const std::string part, objects.get_range(file.path, at, std::min(kPartBytes, file.size_bytes - at)));
      XXH3_64bits_update(state.get(), part.data(), part.size());
    }
    return std::max<uint64_t>(XXH3_64bits_digest(state.get()), 1);
  }

  Result<> check_going() const {
    if (!is_stopped_()) return {};
    return fail(ErrorCode::kUnavailable, "The manifest of " + name() + " was not rebuilt: the server stops");
  }

  // Marks as deleted what is not the newest row with its key.
  Result<> compare_rows() {
    uint64_t rows = 0;
    for (const Source& source : sources_) rows += source.entry.row_count;
    const uint64_t passes = rows / kMaxVersions + 1;
    for (uint64_t pass = 0; pass < passes; ++pass) {
      std::vector<Version> versions;
      for (uint32_t i = 0; i < sources_.size(); ++i) KALAM_CHECK(read(i, pass, passes, versions));
      mark_older(versions);
    }
    return {};
  }

  // The first time also what the manifest says of the segment.
  Result<> read(uint32_t index, uint64_t pass, uint64_t passes, std::vector<Version>& versions) {
    Source& source = sources_[index];
    const auto only = std::make_shared<const cold::Manifest>(cold::Manifest{.segments = {source.entry}});
    KALAM_TRY(const auto rows, context_.engine.read_segment(table_, context_.files.to_segment(only, 0, nullptr)));
    HotKeys hot(*table_, std::make_unique<ScopeCursor>(context_.store, table_->id, hot_users_, snapshot_));
    SegmentFacts facts(*table_);
    std::string last_key;
    Seq min_seq = INT64_MAX;
    Seq max_seq = INT64_MIN;
    uint64_t count = 0;
    for (;; ++count) {
      if (count % kRowsBetweenLooks == 0) KALAM_CHECK(check_going());
      KALAM_TRY(const duck::SegmentRow* const row, rows->next());
      if (row == nullptr) break;
      std::string key = segment_key(*table_, row->user, row->key);
      if (row->position != count || (count > 0 && key <= last_key)) {
        return impossible(source.entry.path + " is out of order; put it back from a backup");
      }
      if (pass == 0) {
        KALAM_CHECK(facts.add(*row));
        min_seq = std::min(min_seq, row->seq);
        max_seq = std::max(max_seq, row->seq);
        KALAM_TRY(const bool is_hot, hot.contains(key));
        if (is_hot) source.deleted.add(row->position);
      }
      last_key = std::move(key);
      if (source.deleted.contains(row->position)) continue;
      const auto hash = XXH3_128bits(last_key.data(), last_key.size());
      if (hash.low64 % passes != pass) continue;
      versions.push_back({hash.high64, hash.low64, row->seq, index, row->position});
    }
    if (count != source.entry.row_count || count == 0) {
      return impossible(source.entry.path + " has not the rows that it says; put it back from a backup");
    }
    if (pass > 0) return {};
    if (segment_scope_.shard) {
      KALAM_CHECK(put_segment_record(RecordSpace::kUsers, source.entry.id, facts.users().encode()));
    }
    if (sound_) return {};
    source.entry.min_key = facts.keys().front();
    source.entry.max_key = facts.keys().back();
    source.entry.min_seq = min_seq;
    source.entry.max_seq = max_seq;
    source.entry.columns = facts.columns();
    return put_segment_record(RecordSpace::kFilter, source.entry.id, facts.filter_record());
  }

  // Apart from the manifest, so that not all of them are in memory together.
  Result<> put_segment_record(RecordSpace space, uint64_t segment_id, std::string record) {
    CommitRequest request;
    request.records.push_back({.space = space,
                               .key = segment_record_key(scope_, segment_id),
                               .value = std::move(record),
                               .expected = std::nullopt});
    KALAM_CHECK(context_.committer.commit(std::move(request)));
    return {};
  }

  void mark_older(std::vector<Version>& versions) {
    const auto newest_first = [&](const Version& one, const Version& other) {
      const auto rank = [&](const Version& version) {
        const Source& source = sources_[version.source];
        return std::tuple(version.seq, source.is_exported, source.entry.id);
      };
      if (std::tie(one.high, one.low) != std::tie(other.high, other.low)) {
        return std::tie(one.high, one.low) < std::tie(other.high, other.low);
      }
      return rank(one) > rank(other);
    };
    std::ranges::sort(versions, newest_first);
    for (size_t i = 1; i < versions.size(); ++i) {
      if (versions[i].high != versions[i - 1].high || versions[i].low != versions[i - 1].low) continue;
      sources_[versions[i].source].deleted.add(versions[i].position);
    }
  }

  // Files of a flush or compaction that failed: all that is in them is in others.
  void drop_empty() {
    std::erase_if(sources_, [](const Source& source) {
      return !source.is_exported && source.deleted.size() == source.entry.row_count;
    });
  }

  cold::Manifest manifest() const {
    cold::Manifest manifest;
    if (exported_) {
      manifest.version = exported_->version;
      manifest.created_at_us = exported_->created_at_us;
      manifest.next_segment = exported_->last_segment + 1;
      std::tie(manifest.storage, manifest.directory) = place_;
    } else {
      const std::string& newest = sources_.back().entry.path;
      manifest.created_at_us = context_.clock.now_us();
      manifest.storage = sources_.back().entry.storage;
      manifest.directory = newest.substr(0, newest.rfind('/'));
    }
    if (!files_.empty()) manifest.next_segment = std::max(manifest.next_segment, last_number_ + 1);
    manifest.segments_version = ++manifest.version;
    manifest.updated_at_us = context_.clock.now_us();
    for (const Source& source : sources_) manifest.segments.push_back(source.entry);
    return manifest;
  }

  Result<> commit() {
    CommitRequest request;
    request.always_sync = true;
    if (!sound_ && sources_.empty() && !exported_) return impossible("all of its segments are empty");
    request.records.push_back({.space = RecordSpace::kManifest,
                               .key = scope_,
                               .value = sound_ ? *old_record_ : cold::encode(manifest()),
                               .expected = old_record_.value_or("")});
    KALAM_CHECK(context_.store.scan_records(
        RecordSpace::kDeletions, scope_, snapshot_, [&](std::string_view key, std::string_view) {
          request.records.push_back({.space = RecordSpace::kDeletions, .key = std::string(key)});
          return true;
        }));
    for (const Source& source : sources_) {
      if (source.deleted.empty()) continue;
      // Commits that add to it are newer than the store's last one.
      request.records.push_back({.space = RecordSpace::kDeletions,
                                 .key = segment_record_key(scope_, source.entry.id),
                                 .value = cold::encode_deletions(context_.store.last_seq(), source.deleted),
                                 .expected = std::nullopt});
    }
    KALAM_CHECK(context_.committer.commit(std::move(request)));
    return {};
  }

  // Of any user of the scope.
  Result<Seq> removed_tombstones() const {
    Seq newest = 0;
    Result<> outcome;
    const std::string users = segment_scope_.shard ? hot::table_prefix(table_->id) : scope_;
    KALAM_CHECK(context_.store.scan_records(
        RecordSpace::kRetention, users, snapshot_, [&](std::string_view key, std::string_view) {
          const auto removed = removed_tombstones_up_to(context_.store, std::string(key), snapshot_);
          if (removed) newest = std::max(newest, *removed);
          if (!removed) outcome = fail(removed.error());
          return outcome.has_value();
        }));
    KALAM_CHECK(outcome);
    return newest;
  }

  void tell() const {
    const auto removed = removed_tombstones();
    const Seq forgotten = removed ? *removed : INT64_MAX;
    const Seq exported_at = exported_ ? last_seq_at(exported_->updated_at_us / 1000) : 0;
    std::string doubtful;
    for (const Source& source : sources_) {
      const Seq known_up_to = source.knows_deletions ? INT64_MAX : source.is_exported ? exported_at : 0;
      if (source.entry.min_seq > forgotten || known_up_to >= forgotten) continue;
      doubtful += (doubtful.empty() ? "" : ", ") + cold::segment_file_name(source.entry.id);
    }
    log::warn("storage: rebuilt the {} of {}, damaged or lost, from {}{} segments",
              sound_ ? "deletion vectors" : "manifest", name(), exported_ ? "manifest.json and " : "", sources_.size());
    if (doubtful.empty()) return;
    log::warn("storage: rows of {} that were deleted before VACUUM last ran may show again in {}", name(), doubtful);
  }

  const SegmentsContext& context_;
  const model::TablePtr& table_;
  const SegmentScope& segment_scope_;
  ScopeUsers hot_users_;  // who has hot rows in it
  const std::function<bool()>& is_stopped_;
  const std::string scope_;
  const hot::SnapshotPtr snapshot_;
  std::optional<std::string> old_record_;
  std::optional<cold::Manifest> sound_;
  std::optional<cold::ExportedManifest> exported_;
  std::pair<std::string, std::string> place_;  // of `exported_`
  std::vector<cold::SegmentEntry> files_;      // ascending by number; what their names and sizes tell
  uint64_t last_number_ = 0;
  std::vector<Source> sources_;  // ascending by number
};

}  // namespace

Result<StoredTables> stored_tables(const hot::Store& store) {
  StoredTables tables;
  KALAM_TRY(const auto unregistered, unregistered_tables(store));
  for (const auto& table : unregistered) tables.emplace(table->id, table);
  Result<> outcome;
  KALAM_CHECK(store.scan_records(RecordSpace::kTable, "", nullptr, [&](std::string_view, std::string_view json) {
    auto table = model::decode_table(json);
    if (!table) {
      outcome = fail(std::move(table).error());
      return false;
    }
    const TableId id = table->id;
    tables.emplace(id, std::make_shared<const model::TableDefinition>(*std::move(table)));
    return true;
  }));
  KALAM_CHECK(outcome);
  return tables;
}

Result<std::set<std::string>> damaged_scopes(const hot::Store& store) {
  std::set<std::string> damaged;
  KALAM_CHECK(
      store.scan_records(RecordSpace::kManifest, "", nullptr, [&](std::string_view key, std::string_view record) {
        const auto scope = scope_of_key(key);
        if (!cold::decode_manifest(record) && scope && scope->key == key) damaged.emplace(key);
        return true;
      }));
  KALAM_CHECK(
      store.scan_records(RecordSpace::kDeletions, "", nullptr, [&](std::string_view key, std::string_view record) {
        const auto scope = scope_of_key(key);
        if (!cold::decode_deletions(record) && scope) damaged.insert(scope->key);
        return true;
      }));
  KALAM_CHECK(store.scan_records(RecordSpace::kUsers, "", nullptr, [&](std::string_view key, std::string_view record) {
    const auto scope = scope_of_key(key);
    if (!cold::SegmentUsers::decode(record) && scope) damaged.insert(scope->key);
    return true;
  }));
  return damaged;
}

Result<> rebuild_scope(const SegmentsContext& context, const model::TablePtr& table, const SegmentScope& scope,
                       const std::function<bool()>& is_stopped) {
  return ScopeRebuild(context, table, scope, is_stopped).run();
}

}  // namespace kalamdb::storage
