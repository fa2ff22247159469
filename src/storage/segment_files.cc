#include "storage/segment_files.h"

#include <algorithm>
#include <charconv>
#include <set>

#include "base/bytes.h"
#include "base/log.h"
#include "cold/backup.h"
#include "cold/path_template.h"
#include "hot/keys.h"

namespace kalamdb::storage {
namespace {

constexpr std::string_view kManifestFile = "manifest.json";

// Of those of which it is known; of others it is asked for again.
constexpr size_t kMaxExported = 100'000;

// What a crash leaves of one that was being written, "manifest.json.7.tmp".
bool is_unfinished_manifest(std::string_view file) {
  return file.starts_with(std::string(kManifestFile) + ".") && file.ends_with(".tmp");
}

std::string object_name(const std::string& directory, std::string_view file) {
  return std::string(directory).append("/").append(file);
}

// How `named` segments are told apart.
std::string place_of(const std::string& storage_id, const std::string& path) { return storage_id + ":" + path; }

// Those of all segments whose manifests' keys start with `prefix`. What a damaged manifest names is not among them.
Result<std::unordered_set<std::string>> named_places(const hot::Store& store, const std::string& prefix) {
  std::unordered_set<std::string> named;
  KALAM_CHECK(
      store.scan_records(hot::RecordSpace::kManifest, prefix, nullptr, [&](std::string_view, std::string_view record) {
        const auto manifest = cold::decode_manifest(record);
        if (!manifest) return true;
        for (const auto& segment : manifest->segments) named.insert(place_of(segment.storage, segment.path));
        return true;
      }));
  return named;
}

TableId table_of(std::string_view scope) { return TableId(read_big_endian<uint32_t>(scope.data())); }

// What is behind a name's last slash, and before it: "" where there is none.
std::string_view file_of(std::string_view name) { return name.substr(name.rfind('/') + 1); }
std::string directory_of(std::string_view name) {
  const size_t slash = name.rfind('/');
  return std::string(name.substr(0, slash == name.npos ? 0 : slash));
}

// Takes out what lies in directories of tables that have been unregistered.
void leave_unregistered(std::vector<cold::ObjectInfo>& objects) {
  std::vector<std::string> directories;
  for (const auto& object : objects) {
    if (file_of(object.name) == cold::kUnregisteredFile) directories.push_back(directory_of(object.name) + "/");
  }
  for (const std::string& directory : directories) {
    std::erase_if(objects, [&](const auto& object) { return object.name.starts_with(directory); });
  }
}

}  // namespace

// The record of a directory is [table][storage][00][directory] → [template]. Of `local` it was once
// [table] → [directory], below a default template.
std::string directory_record_key(TableId table, const std::string& storage_id, const std::string& directory) {
  return hot::table_prefix(table) + storage_id + '\0' + directory;
}

Result<std::string> scope_directory(const std::string& table_directory, std::string_view path_template,
                                    const model::TableDefinition& table, const SegmentScope& scope) {
  std::string rest = cold::split_at_table(path_template).rest;
  // The table may have been made when the template was another, or the storage is the user's: each scope still has a
  // directory of its own.
  if (!scope.user.value.empty() && !cold::names_user(path_template)) rest += rest.empty() ? "{userId}" : "/{userId}";
  if (rest.empty()) return table_directory;
  KALAM_TRY(const std::string inner, cold::resolve_path(rest, {table.namespace_id, table.name, scope.user,
                                                               table.options.user_shards, scope.shard}));
  return table_directory + "/" + inner;
}

std::optional<uint32_t> shard_of(const cold::ParquetFooter& footer) {
  const std::string text = footer.value("kalamdb.shard");
  uint32_t shard = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), shard);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return shard;
}

Result<SegmentFiles::Orphans> SegmentFiles::load(const hot::Store& store, const std::set<std::string>& damaged,
                                                 const std::unordered_map<TableId, model::TablePtr>& tables) {
  Result<> outcome;
  Named named;
  KALAM_CHECK(
      store.scan_records(hot::RecordSpace::kDirectory, "", nullptr, [&](std::string_view key, std::string_view record) {
        if (key.size() < sizeof(uint32_t)) {
          outcome = fail(ErrorCode::kCorruption, "The key of a table's directory is damaged");
          return false;
        }
        const TableId table = table_of(key);
        key.remove_prefix(sizeof(uint32_t));
        Directory directory{.storage_id = std::string(cold::kLocalStorage), .path = std::string(record)};
        if (const size_t end = key.find('\0'); end != key.npos) {
          directory = {std::string(key.substr(0, end)), std::string(key.substr(end + 1)), std::string(record)};
        }
        owners_.emplace(Place(directory.storage_id, directory.path), table);
        directories_[table].push_back(std::move(directory));
        return true;
      }));
  KALAM_CHECK(outcome);
  KALAM_TRY(named.places, named_places(store, ""));
  for (const std::string& scope : damaged) named.untouchable.insert(table_of(scope));
  return collect_orphans(store, named, tables);
}

Result<SegmentFiles::Orphans> SegmentFiles::collect_orphans(
    const hot::Store& store, Named& named, const std::unordered_map<TableId, model::TablePtr>& tables) const {
  Orphans orphans;
  for (const auto& storage : storages_.list()) {
    const std::string& id = storage->definition.id;
    if (storage->definition.type != cold::StorageType::kFilesystem) continue;  // VACUUM looks there
    const auto removed = [&]() -> Result<> {
      if (id == cold::kLocalStorage) return remove_unnamed(store, **storage->objects, id, "", named, orphans);
      for (const auto& [table, directories] : directories_) {
        for (const Directory& directory : directories) {
          if (directory.storage_id != id) continue;
          KALAM_CHECK(remove_unnamed(store, **storage->objects, id, directory.path, named, orphans));
        }
      }
      return {};
    }();
    // A disk that is not mounted must not keep the server from serving the others.
    if (!removed && id != cold::kLocalStorage) {
      log::warn("storage '{}' cannot be cleared of unfinished segments: {}", id, removed.error().message);
      continue;
    }
    KALAM_CHECK(removed);
  }
  // Files of a table that was dropped go with their directory.
  std::erase_if(orphans.lost_scopes, [&](const std::string& scope) { return !tables.contains(table_of(scope)); });
  return orphans;
}

Result<> SegmentFiles::remove_unnamed(const hot::Store& store, cold::ObjectStore& objects,
                                      const std::string& storage_id, const std::string& directory, Named& named,
                                      Orphans& orphans) const {
  KALAM_TRY(auto found, objects.list(directory));
  leave_unregistered(found);
  KALAM_CHECK(find_lost_scopes(store, objects, storage_id, found, named, orphans.lost_scopes));
  for (const std::string& scope : orphans.lost_scopes) named.untouchable.insert(table_of(scope));
  std::unordered_set<std::string> with_manifest;  // directories
  for (const auto& object : found) {
    if (file_of(object.name) == kManifestFile) with_manifest.insert(directory_of(object.name));
  }
  for (const auto& object : found) {
    if (is_unfinished_manifest(file_of(object.name)) && owner_of(storage_id, object.name)) {
      KALAM_CHECK(objects.remove(object.name));
      ++orphans.removed;
      continue;
    }
    const auto name = cold::parse_segment_file_name(file_of(object.name));
    const std::string place = place_of(storage_id, object.name);
    if (!name || (!name->temporary && named.places.contains(place)) || is_retired(place)) continue;
    const auto owner = owner_of(storage_id, object.name);
    if (owner && named.untouchable.contains(*owner)) continue;
    // Of a folder that was put there to be registered: an unfinished flush has none.
    if (!owner && with_manifest.contains(directory_of(object.name))) continue;
    KALAM_CHECK(objects.remove(object.name));
    ++orphans.removed;
  }
  return {};
}

Result<> SegmentFiles::find_lost_scopes(const hot::Store& store, cold::ObjectStore& objects,
                                        const std::string& storage_id, const std::vector<cold::ObjectInfo>& found,
                                        const Named& named, std::set<std::string>& lost) const {
  std::map<std::string, std::vector<const cold::ObjectInfo*>> unnamed;  // by directory
  for (const auto& object : found) {
    const auto name = cold::parse_segment_file_name(file_of(object.name));
    const std::string place = place_of(storage_id, object.name);
    if (!name || name->temporary || named.places.contains(place) || is_retired(place)) continue;
    unnamed[directory_of(object.name)].push_back(&object);
  }
  for (const auto& object : found) {
    if (file_of(object.name) != kManifestFile) continue;
    const auto files = unnamed.find(directory_of(object.name));
    const auto owner = owner_of(storage_id, object.name);
    // It is exported when a manifest has been committed, and a scope keeps its manifest as long as there is the table.
    if (files == unnamed.end() || !owner || named.untouchable.contains(*owner)) continue;
    KALAM_TRY(const std::string text, objects.get(object.name));
    const auto exported = cold::parse_json(text);
    const auto is_named = [&](const cold::ObjectInfo* file) {
      return exported->find(cold::parse_segment_file_name(file_of(file->name))->segment_id) != nullptr;
    };
    if (exported && std::ranges::none_of(files->second, is_named)) continue;
    std::string scope;
    if (exported) {
      scope = exported->shard ? hot::shard_prefix(*owner, *exported->shard) : hot::scope_prefix(*owner, exported->user);
    } else {
      const auto footer = cold::read_parquet_footer(objects, files->second[0]->name, files->second[0]->size_bytes);
      if (!footer) continue;
      const auto shard = shard_of(*footer);
      scope =
          shard ? hot::shard_prefix(*owner, *shard) : hot::scope_prefix(*owner, UserId(footer->value("kalamdb.user")));
    }
    KALAM_TRY(const auto record, store.get_record(hot::RecordSpace::kManifest, scope, nullptr));
    if (!record) lost.insert(scope);
  }
  return {};
}

std::optional<TableId> SegmentFiles::owner_of(const std::string& storage_id, std::string_view name) const {
  const std::lock_guard lock(mutex_);
  for (std::string directory = directory_of(name); !directory.empty(); directory = directory_of(directory)) {
    if (const auto owner = owners_.find(Place(storage_id, directory)); owner != owners_.end()) return owner->second;
  }
  return std::nullopt;
}

Result<SegmentFiles::Orphans> SegmentFiles::remove_orphans(const hot::Store& store, TableId table) {
  Named named;
  KALAM_TRY(named.places, named_places(store, hot::table_prefix(table)));
  Orphans orphans;
  for (const Directory& directory : directories_of(table)) {
    KALAM_TRY(const auto objects, storages_.objects(directory.storage_id));
    KALAM_CHECK(remove_unnamed(store, *objects, directory.storage_id, directory.path, named, orphans));
  }
  return orphans;
}

Result<std::vector<Location>> SegmentFiles::locations_of(const model::TableDefinition& table,
                                                         const SegmentScope& scope) const {
  std::vector<Location> locations;
  for (const Directory& known : directories_of(table.id)) {
    std::string path_template = known.path_template;
    if (path_template.empty()) {
      path_template = table.is_per_user() ? cold::kDefaultUserTemplate : cold::kDefaultSharedTemplate;
    }
    Location location{.storage_id = known.storage_id};
    KALAM_TRY(location.objects, storages_.objects(known.storage_id));
    KALAM_TRY(location.directory, scope_directory(known.path, path_template, table, scope));
    locations.push_back(std::move(location));
  }
  return locations;
}

bool SegmentFiles::is_retired(const std::string& place) const {
  const std::lock_guard lock(mutex_);
  return retired_.contains(place);
}

void SegmentFiles::retire_segments(const std::vector<cold::SegmentEntry>& segments) {
  const std::lock_guard lock(mutex_);
  for (const auto& segment : segments) retired_.insert(place_of(segment.storage, segment.path));
}

std::optional<TableId> SegmentFiles::neighbour_locked(const Place& place, TableId table) const {
  const auto& [storage_id, path] = place;
  for (std::string directory = path; !directory.empty(); directory = directory_of(directory)) {
    const auto owner = owners_.find(Place(storage_id, directory));
    if (owner != owners_.end() && owner->second != table) return owner->second;
  }
  const std::string inside = path + "/";
  for (auto owner = owners_.lower_bound(Place(storage_id, inside));
       owner != owners_.end() && owner->first.first == storage_id && owner->first.second.starts_with(inside); ++owner) {
    if (owner->second != table) return owner->second;
  }
  return std::nullopt;
}

Result<Location> SegmentFiles::settle(const model::TableDefinition& table, const RegisteredStorage& storage) {
  const std::string& storage_id = storage.definition.id;
  Location location{.storage_id = storage_id};
  KALAM_TRY(location.objects, storages_.objects(storage_id));
  location.record = table.is_per_user() ? storage.definition.user_template : storage.definition.shared_template;
  const auto find_known_locked = [&] {
    for (const Directory& known : directories_[table.id]) {
      if (known.storage_id != storage_id) continue;
      if (known.path_template != location.record && !known.path_template.empty()) continue;
      location.directory = known.path;
      location.record_key = directory_record_key(table.id, storage_id, known.path);
      return true;
    }
    return false;
  };
  {
    const std::lock_guard lock(mutex_);
    if (find_known_locked()) return location;
  }
  KALAM_TRY(const std::string wanted, cold::resolve_path(cold::split_at_table(location.record).table,
                                                         {table.namespace_id, table.name, UserId()}));
  // Another table's files may lie there: of one that was renamed or is being removed, of one that was unregistered, or
  // of another server that uses the storage. Names of tables have no '-', so that the other names are no table's.
  const std::string number = std::to_string(table.id.value);
  for (uint32_t attempt = 0;; ++attempt) {
    std::string directory = wanted;
    if (attempt == 1) directory += "-" + number;
    if (attempt > 1) directory = "table-" + number + "-" + std::to_string(attempt);
    {
      const std::lock_guard lock(mutex_);
      if (neighbour_locked(Place(storage_id, directory), table.id)) continue;
    }
    KALAM_TRY(const auto found, location.objects->list(directory));
    if (!found.empty()) continue;
    const std::lock_guard lock(mutex_);
    if (find_known_locked()) return location;
    if (neighbour_locked(Place(storage_id, directory), table.id)) continue;
    owners_.insert_or_assign(Place(storage_id, directory), table.id);
    directories_[table.id].push_back({storage_id, directory, location.record});
    (void)find_known_locked();
    return location;
  }
}

Result<Location> SegmentFiles::home(const model::TableDefinition& table) {
  const auto storage = storages_.find(table.options.storage_id);
  if (storage != nullptr) return settle(table, *storage);
  return fail(ErrorCode::kUnavailable, "Storage '" + table.options.storage_id + "' of table " + table.qualified_name() +
                                           " does not exist; create it again");
}

Result<Location> SegmentFiles::locate(const model::TableDefinition& table, const SegmentScope& scope) {
  RegisteredStoragePtr storage;
  if (table.options.use_user_storage && user_storage_ && !scope.shard) {
    if (const std::string id = user_storage_(scope.user); !id.empty()) storage = storages_.find(id);
  }
  Location location;
  if (storage != nullptr) {
    KALAM_TRY(location, settle(table, *storage));
  } else {
    KALAM_TRY(location, home(table));
  }
  KALAM_TRY(location.directory, scope_directory(location.directory, location.record, table, scope));
  return location;
}

std::optional<TableId> SegmentFiles::neighbour(const std::string& storage_id, const std::string& directory) const {
  const std::lock_guard lock(mutex_);
  return live_neighbour_locked(storage_id, directory);
}

std::optional<TableId> SegmentFiles::reserve(const std::string& storage_id, const std::string& directory,
                                             TableId table) {
  const std::lock_guard lock(mutex_);
  if (const auto owner = live_neighbour_locked(storage_id, directory)) return owner;
  owners_.insert_or_assign(Place(storage_id, directory), table);
  return std::nullopt;
}

std::optional<TableId> SegmentFiles::live_neighbour_locked(const std::string& storage_id,
                                                           const std::string& directory) const {
  const auto is_within = [](const std::string& inner, const std::string& outer) {
    return inner == outer || inner.starts_with(outer + "/");
  };
  for (const auto& [table, directories] : directories_) {
    for (const Directory& one : directories) {
      if (one.storage_id != storage_id) continue;
      if (is_within(one.path, directory) || is_within(directory, one.path)) return table;
    }
  }
  return std::nullopt;
}

void SegmentFiles::adopt(const std::string& storage_id, const std::string& directory, TableId table,
                         std::string path_template) {
  const std::lock_guard lock(mutex_);
  directories_[table].push_back({storage_id, directory, std::move(path_template)});
}

void SegmentFiles::release(const std::string& storage_id, const std::string& directory, TableId table) {
  const std::lock_guard lock(mutex_);
  const auto owner = owners_.find(Place(storage_id, directory));
  if (owner == owners_.end() || owner->second != table) return;
  owners_.erase(owner);
  const auto known = directories_.find(table);
  if (known == directories_.end()) return;
  std::erase_if(known->second,
                [&](const Directory& one) { return one.storage_id == storage_id && one.path == directory; });
  if (known->second.empty()) directories_.erase(known);
}

std::vector<std::pair<std::string, std::string>> segment_metadata(const model::TableDefinition& table,
                                                                  const SegmentScope& scope) {
  return {{"kalamdb.table", table.qualified_name()},
          {"kalamdb.user", scope.user.value},
          {"kalamdb.shard", scope.shard ? std::to_string(*scope.shard) : ""},
          {"kalamdb.schema_version", std::to_string(table.schema_version)}};
}

Result<> settle_location(const Location& location, const hot::Store& store, cold::Manifest& manifest) {
  if (location.storage_id != cold::kLocalStorage) {
    KALAM_TRY(const auto storage, store.get_record(hot::RecordSpace::kStorage, location.storage_id, nullptr));
    if (!storage) return fail(ErrorCode::kConflict, "The table's storage was dropped meanwhile; run it again");
  }
  manifest.storage = location.storage_id;
  manifest.directory = location.directory;
  return {};
}

Result<duck::WrittenSegment> SegmentFiles::write_segment(duck::Engine& engine, const Location& location,
                                                         uint64_t segment_id, const model::TablePtr& table,
                                                         const SegmentScope& scope, model::RowCursor& rows) {
  const std::string name = object_name(location.directory, cold::segment_file_name(segment_id));
  KALAM_TRY(const std::string staged, location.objects->staging_file(name));
  KALAM_CHECK(storages_.disk().require_room(staged));
  KALAM_TRY(const auto written, engine.write_segment(staged, table, rows, segment_metadata(*table, scope)));
  KALAM_CHECK(location.objects->put_file(name, staged));
  return written;
}

Result<bool> SegmentFiles::segment_exists(const Location& location, uint64_t segment_id) const {
  KALAM_TRY(const auto size,
            location.objects->size(object_name(location.directory, cold::segment_file_name(segment_id))));
  return size.has_value();
}

void SegmentFiles::discard_segment(const Location& location, uint64_t segment_id) {
  const std::string name = object_name(location.directory, cold::segment_file_name(segment_id));
  const auto warn = [](const Result<>& removed) {
    if (!removed) log::warn("storage: {}", removed.error().message);
  };
  if (const auto staged = location.objects->staging_file(name); staged && storages_.disk().exists(*staged)) {
    warn(storages_.disk().remove_file(*staged));
  }
  warn(location.objects->remove(name));
}

Result<> SegmentFiles::export_manifest(const cold::Manifest& manifest, const model::TableDefinition& table,
                                       const SegmentScope& scope, const std::vector<DeletionsPtr>& deletions) {
  KALAM_CHECK(put_manifest(manifest, cold::to_json(manifest, table, scope.user, scope.shard, deletions)));
  return remove_manifests(manifest.segments, {manifest.storage, manifest.directory});
}

Result<> SegmentFiles::put_manifest(const cold::Manifest& manifest, const std::string& json) {
  KALAM_TRY(const auto objects, storages_.objects(manifest.storage));
  const std::string name = object_name(manifest.directory, kManifestFile);
  if (objects->local_path(name)) return objects->put(name, json);
  const std::string place = place_of(manifest.storage, name);
  const auto find_known = [&]() -> std::optional<Exported> {
    const std::lock_guard lock(mutex_);
    const auto found = exported_.find(place);
    return found == exported_.end() ? std::nullopt : std::optional(found->second);
  };
  auto known = find_known();
  while (true) {
    std::optional<std::string> replaced;
    if (known) {
      replaced = known->version;
    } else {
      KALAM_TRY(replaced, objects->version(name));
    }
    auto written = objects->put_if(name, json, replaced);
    if (written) {
      const std::lock_guard lock(mutex_);
      if (exported_.size() >= kMaxExported) exported_.clear();
      exported_.insert_or_assign(place, Exported{manifest.version, *std::move(written)});
      return {};
    }
    if (written.error().code == ErrorCode::kNotImplemented) return objects->put(name, json);
    const auto before = std::exchange(known, find_known());
    if (written.error().code != ErrorCode::kConflict || known == before) {
      const std::lock_guard lock(mutex_);
      exported_.erase(place);
      return fail(std::move(written).error());
    }
    // It was another thread of this server.
    if (known && known->manifest_version > manifest.version) return {};
  }
}

Result<> SegmentFiles::remove_exported(const cold::Manifest& manifest) {
  return remove_manifest({manifest.storage, manifest.directory});
}

Result<> SegmentFiles::remove_manifest(const Place& place) {
  const auto& [storage_id, directory] = place;
  KALAM_TRY(const auto objects, storages_.objects(storage_id));
  const std::string name = object_name(directory, kManifestFile);
  {
    const std::lock_guard lock(mutex_);
    exported_.erase(place_of(storage_id, name));
  }
  return objects->remove(name);
}

Result<std::string> SegmentFiles::exported_manifest(const cold::Manifest& manifest) const {
  KALAM_TRY(const auto objects, storages_.objects(manifest.storage));
  return objects->get(object_name(manifest.directory, kManifestFile));
}

// There is one for a scope, where its newest segments are.
Result<> SegmentFiles::remove_manifests(const std::vector<cold::SegmentEntry>& segments, const Place& but) {
  std::set<Place> places;
  for (const auto& segment : segments) {
    places.emplace(segment.storage, segment.path.substr(0, segment.path.rfind('/')));
  }
  places.erase(but);
  for (const Place& place : places) KALAM_CHECK(remove_manifest(place));
  return {};
}

Result<> SegmentFiles::remove_segments(const std::vector<cold::SegmentEntry>& segments, const Location& replaced_at) {
  Result<> outcome = remove_manifests(segments, {replaced_at.storage_id, replaced_at.directory});
  for (const cold::SegmentEntry& segment : segments) {
    const auto removed = [&]() -> Result<> {
      KALAM_TRY(const auto objects, storages_.objects(segment.storage));
      return objects->remove(segment.path);
    }();
    if (!removed && outcome) outcome = removed;
    const std::lock_guard lock(mutex_);
    retired_.erase(place_of(segment.storage, segment.path));
  }
  return outcome;
}

std::vector<TableId> SegmentFiles::tables() const {
  const std::lock_guard lock(mutex_);
  std::vector<TableId> tables;
  for (const auto& [table, directories] : directories_) tables.push_back(table);
  return tables;
}

std::vector<SegmentFiles::Directory> SegmentFiles::directories_of(TableId table) const {
  const std::lock_guard lock(mutex_);
  const auto known = directories_.find(table);
  return known == directories_.end() ? std::vector<Directory>() : known->second;
}

Result<> SegmentFiles::remove_directories(TableId table) {
  for (const Directory& directory : directories_of(table)) {
    KALAM_TRY(const auto objects, storages_.objects(directory.storage_id));
    KALAM_CHECK(objects->remove_directory(directory.path));
  }
  const std::lock_guard lock(mutex_);
  // They keep their owner until the server ends: what is cached of a file's name must not be read as another's.
  directories_.erase(table);
  return {};
}

duck::Segment SegmentFiles::to_segment(const cold::ManifestPtr& manifest, size_t index,
                                       const DeletionsPtr& deletions) const {
  const cold::SegmentEntry& entry = manifest->segments[index];
  return {.id = entry.id,
          .path = storages_.engine_path(entry.storage, entry.path),
          .row_count = entry.row_count,
          .visible = {0, static_cast<uint32_t>(entry.row_count)},
          .size_bytes = entry.size_bytes,
          .checksum = entry.checksum,
          .schema_version = entry.schema_version,
          .created_at_us = entry.created_at_us,
          .min_seq = entry.min_seq,
          .max_seq = entry.max_seq,
          .min_key = entry.min_key,
          .max_key = entry.max_key,
          .columns = {manifest, &entry.columns},
          .deleted = deletions};
}

std::vector<duck::Segment> SegmentFiles::to_segments(const cold::ManifestPtr& manifest,
                                                     const std::vector<DeletionsPtr>& deletions) const {
  std::vector<duck::Segment> segments;
  segments.reserve(manifest->segments.size());
  for (size_t i = 0; i < manifest->segments.size(); ++i) segments.push_back(to_segment(manifest, i, deletions[i]));
  return segments;
}

}  // namespace kalamdb::storage
