// Where segments and manifest.json lie, and the steps that bring them there.
//
// A storage's template, filled in for a table as far as the component with {tableName}, gives the directory of all of
// the table's files in that storage; what is behind it is filled in for each user. The directory is settled with the
// first segment: it stays when the table gets another name, and another is settled when the template changes. Segments
// stay where they were written: their manifest names storage and path of each.
#pragma once

#include <functional>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include "cold/manifest.h"
#include "cold/parquet_footer.h"
#include "duck/engine.h"
#include "hot/store.h"
#include "storage/segment_cache.h"
#include "storage/segment_scope.h"
#include "storage/storage_registry.h"

namespace kalamdb::storage {

// Where the next segments of a scope go.
struct Location {
  std::string storage_id;
  std::shared_ptr<cold::ObjectStore> objects;
  std::string directory;  // relative to the storage's base
  // What keeps the table's directory settled: a record of RecordSpace::kDirectory.
  std::string record_key;
  std::string record;
};

// Where a scope's files lie, its table's being in `table_directory` by that template.
Result<std::string> scope_directory(const std::string& table_directory, std::string_view path_template,
                                    const model::TableDefinition& table, const SegmentScope& scope);

// The record that keeps a table's directory settled has the template as its value.
std::string directory_record_key(TableId table, const std::string& storage_id, const std::string& directory);

// What a segment's file tells of itself.
std::vector<std::pair<std::string, std::string>> segment_metadata(const model::TableDefinition& table,
                                                                  const SegmentScope& scope);

// The shard of the users whose rows are in a file with such metadata; nullopt for those of one scope without shards.
std::optional<uint32_t> shard_of(const cold::ParquetFooter& footer);

// Makes the location, which record_directory() has settled, that of `manifest`, in the commit that has segments there.
// Errors: kConflict when its storage was dropped meanwhile.
Result<> settle_location(const Location& location, const hot::Store& store, cold::Manifest& manifest);

// Thread-safe after load(). Errors: those of cold::ObjectStore.
class SegmentFiles {
 public:
  // Which storage a user wants rows in, of tables with USE_USER_STORAGE; empty: none in particular.
  using UserStorage = std::function<std::string(const UserId& user)>;

  // `storages` must outlive it.
  explicit SegmentFiles(StorageRegistry& storages) : storages_(storages) {}

  // Before the first flush.
  void set_user_storage(UserStorage user_storage) { user_storage_ = std::move(user_storage); }

  // Segment files that no manifest names.
  struct Orphans {
    uint64_t removed = 0;
    // Scopes whose manifest must have been lost: there is no record, but a manifest.json beside files that it names.
    // Their tables' files were left.
    std::set<std::string> lost_scopes;
  };
  // Reads where tables lie, and removes segment files and unfinished ones that no manifest names from storages on
  // disks: from all of `local`, and from the directories of tables in others, which several servers may share; but none
  // of tables that have a scope in `damaged`, whose manifest cannot tell, nor of those that have been unregistered.
  // `tables` are those there are.
  Result<Orphans> load(const hot::Store& store, const std::set<std::string>& damaged,
                       const std::unordered_map<TableId, model::TablePtr>& tables);

  // Errors: kUnavailable when its storage cannot be used.
  Result<Location> locate(const model::TableDefinition& table, const SegmentScope& scope);

  // The directory of all of the table's files in its own storage, whatever storages its users have.
  Result<Location> home(const model::TableDefinition& table);

  // The table whose a directory, or one in or around it, is; nullopt where there is none.
  std::optional<TableId> neighbour(const std::string& storage_id, const std::string& directory) const;
  // Keeps a directory for a table that is to have it: no other table gets it, or one in or around it, meanwhile.
  // Returns neighbour() if there is one.
  std::optional<TableId> reserve(const std::string& storage_id, const std::string& directory, TableId table);
  // It is the table's, in which scopes lie by the template.
  void adopt(const std::string& storage_id, const std::string& directory, TableId table, std::string path_template);
  // It is nobody's any more, with all that lies in it. Does nothing unless it was this table's.
  void release(const std::string& storage_id, const std::string& directory, TableId table);

  // The object store of a storage. Errors: kUnavailable.
  Result<std::shared_ptr<cold::ObjectStore>> objects(const std::string& storage_id) const {
    return storages_.objects(storage_id);
  }

  // Writes a segment by `engine`, and returns once it is stored under its name.
  Result<duck::WrittenSegment> write_segment(duck::Engine& engine, const Location& location, uint64_t segment_id,
                                             const model::TablePtr& table, const SegmentScope& scope,
                                             model::RowCursor& rows);
  // True if there is a file, of a flush that failed, under this number: it must not be used again.
  Result<bool> segment_exists(const Location& location, uint64_t segment_id) const;
  // Tries to; what stays is garbage that no manifest names.
  void discard_segment(const Location& location, uint64_t segment_id);
  // Writes manifest.json. In a bucket it takes the place of what this server has written or found there, or else
  // kConflict: another server writes to the same folder. The next time, what is there then is replaced.
  Result<> export_manifest(const cold::Manifest& manifest, const model::TableDefinition& table,
                           const SegmentScope& scope, const std::vector<DeletionsPtr>& deletions);
  // Its manifest.json.
  Result<> remove_exported(const cold::Manifest& manifest);
  // What was exported last.
  Result<std::string> exported_manifest(const cold::Manifest& manifest) const;
  // Segments that no manifest names any more, which remove_segments() is to remove once nobody reads them.
  void retire_segments(const std::vector<cold::SegmentEntry>& segments);
  // Segments that nothing names and nobody reads any more, since others at `replaced_at` have their rows. Tries all of
  // them; the error is the first one's.
  Result<> remove_segments(const std::vector<cold::SegmentEntry>& segments, const Location& replaced_at);

  // Removes segment files of a table, in all of its directories, that neither a manifest names nor readers may need, of
  // what went wrong. Nobody must be writing segments of the table, and all of its manifests must be readable.
  Result<Orphans> remove_orphans(const hot::Store& store, TableId table);

  // Everywhere that files of a scope may lie: each directory that its table ever had. `record` stays empty. Errors:
  // kUnavailable when one of the storages cannot be used.
  Result<std::vector<Location>> locations_of(const model::TableDefinition& table, const SegmentScope& scope) const;

  // The tables that have directories.
  std::vector<TableId> tables() const;
  // All of the table's directories, with all that lies in them. No other table gets one of them while the server runs.
  Result<> remove_directories(TableId table);

  // A segment of a manifest as the engine wants it, with all of its rows.
  duck::Segment to_segment(const cold::ManifestPtr& manifest, size_t index, const DeletionsPtr& deletions) const;
  // All of them; `deletions[i]` belongs to `manifest->segments[i]`.
  std::vector<duck::Segment> to_segments(const cold::ManifestPtr& manifest,
                                         const std::vector<DeletionsPtr>& deletions) const;

 private:
  struct Directory {
    std::string storage_id;
    std::string path;
    std::string path_template;  // that it was made from; empty: some default one, in `local`
  };

  using Place = std::pair<std::string, std::string>;  // a storage and a directory in it

  // What is `named` by a manifest, and tables whose files are not to be removed.
  struct Named {
    std::unordered_set<std::string> places;
    std::unordered_set<TableId> untouchable;
  };
  Result<Orphans> collect_orphans(const hot::Store& store, Named& named,
                                  const std::unordered_map<TableId, model::TablePtr>& tables) const;
  // Removes what lies below `directory` and is neither named nor retired. A table of which a scope is found to be lost
  // becomes untouchable.
  Result<> remove_unnamed(const hot::Store& store, cold::ObjectStore& objects, const std::string& storage_id,
                          const std::string& directory, Named& named, Orphans& orphans) const;
  Result<> find_lost_scopes(const hot::Store& store, cold::ObjectStore& objects, const std::string& storage_id,
                            const std::vector<cold::ObjectInfo>& found, const Named& named,
                            std::set<std::string>& lost) const;
  // The table in one of whose directories a file lies.
  std::optional<TableId> owner_of(const std::string& storage_id, std::string_view name) const;
  bool is_retired(const std::string& place) const;
  std::vector<Directory> directories_of(TableId table) const;
  Result<> remove_manifests(const std::vector<cold::SegmentEntry>& segments, const Place& but);
  Result<> put_manifest(const cold::Manifest& manifest, const std::string& json);
  Result<> remove_manifest(const Place& place);
  // The table's directory in a storage: `directory` is that, and `record` the template.
  Result<Location> settle(const model::TableDefinition& table, const RegisteredStorage& storage);
  // What directories_ knows: those whose files have been removed are nobody's.
  std::optional<TableId> live_neighbour_locked(const std::string& storage_id, const std::string& directory) const;
  // Another table than that one which has, or had, the directory, or one in or around it.
  std::optional<TableId> neighbour_locked(const Place& place, TableId table) const;

  StorageRegistry& storages_;
  UserStorage user_storage_;
  mutable std::mutex mutex_;
  std::unordered_map<TableId, std::vector<Directory>> directories_;
  std::map<Place, TableId> owners_;
  std::unordered_set<std::string> retired_;  // places, as place_of() names them
  struct Exported {
    uint64_t manifest_version = 0;
    std::string version;  // ObjectStore::version()
    bool operator==(const Exported&) const = default;
  };
  std::unordered_map<std::string, Exported> exported_;  // what manifest.json in a bucket is, by place
};

}  // namespace kalamdb::storage
