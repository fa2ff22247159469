// Where segments and manifest.json lie, and the steps that bring them to the disk.
#pragma once

#include <map>
#include <mutex>
#include <string>
#include <unordered_map>
#include <unordered_set>

#include "duck/engine.h"
#include "hot/store.h"
#include "platform/file_system.h"
#include "storage/segment_cache.h"

namespace kalamdb::storage {

// Paths are relative to the base directory unless said otherwise. Thread-safe after load(). Errors: kIo.
class SegmentFiles {
 public:
  // `base` is absolute.
  SegmentFiles(platform::FileSystem& files, std::string base) : files_(files), base_(std::move(base)) {}

  const std::string& base() const { return base_; }
  std::string absolute(const std::string& path) const { return base_ + "/" + path; }

  // Makes the base directory, reads where tables lie, and removes segment files and unfinished ones that no manifest
  // names. Returns how many were removed.
  Result<uint64_t> load(const hot::Store& store);

  // The directory of all of a table's files. It is named after the table unless another table's files, of one that was
  // dropped or renamed, lie there; it stays the same for the table's life once a record of it is stored.
  std::string table_directory(const model::TableDefinition& table);
  // The directory of one scope's segments, within the table's.
  std::string scope_directory(const model::TableDefinition& table, const UserId& user);
  // The directory, if a record or a flush has settled it. Once removed, no other table gets it while the server runs.
  std::optional<std::string> known_directory(TableId table) const;
  // The tables that have one.
  std::vector<TableId> tables() const;
  Result<> remove_directory(TableId table);

  // Writes a segment by `engine`, and returns once it is on the disk under its name.
  Result<duck::WrittenSegment> write_segment(duck::Engine& engine, const std::string& directory, uint64_t segment_id,
                                             const model::TablePtr& table, const UserId& user, model::RowCursor& rows);
  // True if there is a file, of a flush that failed, under this number: it must not be used again.
  bool segment_exists(const std::string& directory, uint64_t segment_id) const;
  // Tries to; what stays is removed at the next start.
  void discard_segment(const std::string& directory, uint64_t segment_id);
  // Segments that nothing names and nobody reads any more. Tries all of them; the error is the first one's.
  Result<> remove_segments(const std::vector<cold::SegmentEntry>& segments);
  Result<> export_manifest(const cold::Manifest& manifest, const model::TableDefinition& table, const UserId& user,
                           const std::vector<DeletionsPtr>& deletions);

 private:
  Result<uint64_t> collect_orphans(const std::unordered_set<std::string>& named);
  Result<> make_directory(const std::string& directory);

  platform::FileSystem& files_;
  std::string base_;
  mutable std::mutex mutex_;
  std::unordered_map<TableId, std::string> directories_;
  std::unordered_map<std::string, TableId> owners_;  // the same the other way round
};

}  // namespace kalamdb::storage
