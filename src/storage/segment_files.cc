#include "storage/segment_files.h"

#include "base/bytes.h"
#include "base/log.h"
#include "cold/path_template.h"
#include "hot/keys.h"

namespace kalamdb::storage {
namespace {

constexpr std::string_view kManifestFile = "/manifest.json";

std::string file_path(const std::string& directory, uint64_t segment_id) {
  return directory + "/" + cold::segment_file_name(segment_id);
}

std::string parent(const std::string& path) { return path.substr(0, path.rfind('/')); }

}  // namespace

Result<uint64_t> SegmentFiles::load(const hot::Store& store) {
  KALAM_CHECK(files_.create_directories(base_));
  Result<> outcome;
  KALAM_CHECK(store.scan_records(
      hot::RecordSpace::kDirectory, "", nullptr, [&](std::string_view key, std::string_view directory) {
        if (key.size() != sizeof(uint32_t)) {
          outcome = fail(ErrorCode::kCorruption, "The key of a table's directory is damaged");
          return false;
        }
        const TableId table(read_big_endian<uint32_t>(key.data()));
        directories_.emplace(table, directory);
        owners_.emplace(directory, table);
        return true;
      }));
  KALAM_CHECK(outcome);
  std::unordered_set<std::string> named;
  KALAM_CHECK(
      store.scan_records(hot::RecordSpace::kManifest, "", nullptr, [&](std::string_view, std::string_view record) {
        auto manifest = cold::decode_manifest(record);
        if (!manifest) {
          outcome = fail(std::move(manifest).error());
          return false;
        }
        for (auto& segment : manifest->segments) named.insert(std::move(segment.path));
        return true;
      }));
  KALAM_CHECK(outcome);
  return collect_orphans(named);
}

Result<uint64_t> SegmentFiles::collect_orphans(const std::unordered_set<std::string>& named) {
  KALAM_TRY(const auto paths, files_.list_recursive(base_));
  uint64_t removed = 0;
  for (const std::string& path : paths) {
    const auto name = cold::parse_segment_file_name(std::string_view(path).substr(path.rfind('/') + 1));
    if (!name || (!name->temporary && named.contains(path))) continue;
    KALAM_CHECK(files_.remove_file(absolute(path)));
    ++removed;
  }
  return removed;
}

std::string SegmentFiles::table_directory(const model::TableDefinition& table) {
  const std::lock_guard lock(mutex_);
  if (const auto known = directories_.find(table.id); known != directories_.end()) return known->second;
  std::string directory = table.namespace_id + "/" + table.name;  // kDefaultSharedTemplate
  // Names of tables have no '-', so that this one is nobody's.
  if (owners_.contains(directory)) directory += "-" + std::to_string(table.id.value);
  directories_.emplace(table.id, directory);
  owners_.emplace(directory, table.id);
  return directory;
}

std::string SegmentFiles::scope_directory(const model::TableDefinition& table, const UserId& user) {
  std::string directory = table_directory(table);
  // kDefaultUserTemplate
  return table.is_per_user() ? directory + "/" + cold::path_component(user) : directory;
}

std::optional<std::string> SegmentFiles::known_directory(TableId table) const {
  const std::lock_guard lock(mutex_);
  const auto known = directories_.find(table);
  if (known == directories_.end()) return std::nullopt;
  return known->second;
}

std::vector<TableId> SegmentFiles::tables() const {
  const std::lock_guard lock(mutex_);
  std::vector<TableId> tables;
  for (const auto& [table, directory] : directories_) tables.push_back(table);
  return tables;
}

Result<> SegmentFiles::remove_directory(TableId table) {
  const auto directory = known_directory(table);
  if (!directory) return {};
  KALAM_CHECK(files_.remove_tree(absolute(*directory)));
  const std::lock_guard lock(mutex_);
  // It keeps its owner until the server ends: what the engine has cached of a file's name must not be read as
  // another's.
  directories_.erase(table);
  return {};
}

Result<> SegmentFiles::make_directory(const std::string& directory) {
  const std::string path = absolute(directory);
  KALAM_CHECK(files_.create_directories(path));
  // Each new directory is an entry in the one above it; syncing one that has nothing new costs nothing.
  for (std::string above = parent(path); above.size() >= base_.size(); above = parent(above)) {
    KALAM_CHECK(files_.sync_directory(above));
  }
  return {};
}

Result<duck::WrittenSegment> SegmentFiles::write_segment(duck::Engine& engine, const std::string& directory,
                                                         uint64_t segment_id, const model::TablePtr& table,
                                                         const UserId& user, model::RowCursor& rows) {
  KALAM_CHECK(make_directory(directory));
  const std::string path = absolute(file_path(directory, segment_id));
  const std::string temporary = path + ".tmp";
  KALAM_TRY(const auto written,
            engine.write_segment(temporary, table, rows,
                                 {{"kalamdb.table", table->qualified_name()},
                                  {"kalamdb.user", user.value},
                                  {"kalamdb.schema_version", std::to_string(table->schema_version)}}));
  KALAM_CHECK(files_.sync_file(temporary));
  KALAM_CHECK(files_.rename(temporary, path));
  KALAM_CHECK(files_.sync_directory(absolute(directory)));
  return written;
}

bool SegmentFiles::segment_exists(const std::string& directory, uint64_t segment_id) const {
  return files_.exists(absolute(file_path(directory, segment_id)));
}

void SegmentFiles::discard_segment(const std::string& directory, uint64_t segment_id) {
  const std::string path = absolute(file_path(directory, segment_id));
  for (const std::string& file : {path, path + ".tmp"}) {
    if (!files_.exists(file)) continue;
    if (auto removed = files_.remove_file(file); !removed) log::warn("flush: {}", removed.error().message);
  }
}

Result<> SegmentFiles::remove_segments(const std::vector<cold::SegmentEntry>& segments) {
  Result<> outcome;
  for (const cold::SegmentEntry& segment : segments) {
    auto removed = files_.remove_file(absolute(segment.path));
    if (!removed && outcome) outcome = std::move(removed);
  }
  return outcome;
}

Result<> SegmentFiles::export_manifest(const cold::Manifest& manifest, const model::TableDefinition& table,
                                       const UserId& user, const std::vector<DeletionsPtr>& deletions) {
  std::string path = absolute(manifest.directory);
  path += kManifestFile;
  return files_.write_file_durably(path, cold::to_json(manifest, table, user, deletions));
}

}  // namespace kalamdb::storage
