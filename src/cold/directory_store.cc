#include "cold/directory_store.h"

#include <xxhash.h>

#include <algorithm>
#include <utility>

#include "base/assert.h"

namespace kalamdb::cold {
namespace {

using platform::FileType;

constexpr size_t kMaxSynced = 10'000;

std::string parent(const std::string& path) { return path.substr(0, path.rfind('/')); }

std::string version_of(std::string_view bytes) {
  const XXH128_hash_t hash = XXH3_128bits(bytes.data(), bytes.size());
  return std::to_string(hash.high64) + "-" + std::to_string(hash.low64);
}

}  // namespace

DirectoryStore::DirectoryStore(platform::FileSystem& files, std::string base) : files_(files), base_(std::move(base)) {
  KALAM_ASSERT(base_.starts_with('/'));
  while (base_.ends_with('/')) base_.pop_back();
}

Result<DirectoryStore::Entry> DirectoryStore::find(std::string_view name) const {
  KALAM_CHECK(check_object_name(name));
  Entry entry{.path = base_, .type = FileType::kDirectory};
  for (size_t begin = 0; begin < name.size();) {
    const size_t end = std::min(name.find('/', begin), name.size());
    entry.path.append("/").append(name.substr(begin, end - begin));
    // Below what is missing everything is.
    if (entry.type != FileType::kMissing) entry.type = files_.type(entry.path);
    if (entry.type == FileType::kSymbolicLink || entry.type == FileType::kOther) {
      return fail(ErrorCode::kIo, "Cannot use " + entry.path + ": only files and directories may lie in " + base_ +
                                      ", no symbolic links; put the real thing there");
    }
    begin = end + 1;
  }
  return entry;
}

Result<std::string> DirectoryStore::find_file(const std::string& name) const {
  KALAM_TRY(auto entry, find(name));
  if (entry.type != FileType::kFile) return fail(ErrorCode::kNotFound, "There is no object " + name + " in " + base_);
  return std::move(entry.path);
}

Result<> DirectoryStore::make_base() {
  const std::lock_guard lock(directories_mutex_);
  if (base_is_made_) return {};
  // Each new directory is an entry in the one above it.
  std::vector<std::string> to_sync;
  for (std::string path = base_; !path.empty() && !files_.exists(path); path = parent(path)) {
    to_sync.push_back(parent(path).empty() ? "/" : parent(path));
  }
  KALAM_CHECK(files_.create_directories(base_));
  for (const auto& directory : to_sync) KALAM_CHECK(files_.sync_directory(directory));
  base_is_made_ = true;
  return {};
}

Result<std::string> DirectoryStore::make_place(const std::string& name) {
  KALAM_TRY(auto entry, find(name));
  KALAM_CHECK(make_base());
  const std::string directory = parent(entry.path);
  std::string known = directory;
  {
    const std::lock_guard lock(directories_mutex_);
    while (known != base_ && !(synced_.contains(known) && files_.type(known) == FileType::kDirectory)) {
      synced_.erase(known);
      known = parent(known);
    }
  }
  if (known == directory) return std::move(entry.path);
  KALAM_CHECK(files_.create_directories(directory));
  // Each new directory is an entry in the one above it. Another thread may just have made them without having synced.
  for (std::string path = directory; path != known; path = parent(path)) {
    KALAM_CHECK(files_.sync_directory(parent(path)));
  }
  const std::lock_guard lock(directories_mutex_);
  if (synced_.size() >= kMaxSynced) synced_.clear();
  for (std::string path = directory; path != known; path = parent(path)) synced_.insert(path);
  return std::move(entry.path);
}

Result<std::string> DirectoryStore::staging_file(const std::string& name) {
  KALAM_TRY(const auto path, make_place(name));
  return path + ".tmp";
}

Result<> DirectoryStore::put_file(const std::string& name, const std::string& staged) {
  KALAM_TRY(const auto entry, find(name));
  KALAM_CHECK(files_.sync_file(staged));
  KALAM_CHECK(files_.rename(staged, entry.path));
  return files_.sync_directory(parent(entry.path));
}

Result<> DirectoryStore::put(const std::string& name, std::string_view bytes) {
  KALAM_TRY(const auto path, make_place(name));
  return files_.write_file_durably(path, bytes);
}

Result<std::optional<std::string>> DirectoryStore::version(const std::string& name) {
  const auto bytes = get(name);
  if (bytes) return version_of(*bytes);
  if (bytes.error().code == ErrorCode::kNotFound) return std::nullopt;
  return fail(bytes.error());
}

Result<std::string> DirectoryStore::put_if(const std::string& name, std::string_view bytes,
                                           const std::optional<std::string>& version) {
  const std::lock_guard lock(put_if_mutex_);
  KALAM_TRY(const auto there, this->version(name));
  if (there != version) {
    return fail(ErrorCode::kConflict, "Cannot write " + name + " in " + base_ + ": it was changed meanwhile");
  }
  KALAM_CHECK(put(name, bytes));
  return version_of(bytes);
}

Result<std::string> DirectoryStore::get(const std::string& name) {
  KALAM_TRY(const auto path, find_file(name));
  KALAM_TRY(const auto size, files_.file_size(path));
  if (size > kMaxGetBytes) {
    return fail(ErrorCode::kIo, "Cannot read " + path + " as a whole: it has " + std::to_string(size) +
                                    " bytes, more than " + std::to_string(kMaxGetBytes));
  }
  return files_.read_file(path);
}

Result<std::string> DirectoryStore::get_range(const std::string& name, uint64_t offset, uint64_t length) {
  KALAM_TRY(const auto path, find_file(name));
  return files_.read_range(path, offset, length);
}

Result<std::optional<uint64_t>> DirectoryStore::size(const std::string& name) {
  KALAM_TRY(const auto entry, find(name));
  if (entry.type != FileType::kFile) return std::nullopt;
  return files_.file_size(entry.path);
}

Result<std::vector<ObjectInfo>> DirectoryStore::list(const std::string& directory) {
  Entry top{.path = base_, .type = files_.exists(base_) ? FileType::kDirectory : FileType::kMissing};
  if (!directory.empty()) {
    KALAM_TRY(top, find(directory));
  }
  std::vector<ObjectInfo> objects;
  if (top.type != FileType::kDirectory) return objects;
  KALAM_TRY(auto names, files_.list_recursive(top.path));
  for (auto& name : names) {
    const std::string path = top.path + "/" + name;
    auto size = files_.file_size(path);
    if (!size && files_.type(path) == FileType::kMissing) continue;  // removed meanwhile
    if (!size) return fail(std::move(size).error());
    objects.push_back({directory.empty() ? std::move(name) : directory + "/" + name, *size});
  }
  return objects;
}

Result<> DirectoryStore::remove(const std::string& name) {
  KALAM_TRY(const auto entry, find(name));
  if (entry.type != FileType::kFile) return {};
  auto removed = files_.remove_file(entry.path);
  if (!removed && files_.type(entry.path) == FileType::kMissing) return {};  // by another thread
  return removed;
}

Result<> DirectoryStore::remove_directory(const std::string& directory) {
  KALAM_TRY(const auto entry, find(directory));
  if (entry.type != FileType::kDirectory) return {};
  return files_.remove_tree(entry.path);
}

std::optional<std::string> DirectoryStore::local_path(const std::string& name) const {
  auto entry = find(name);
  if (!entry) return std::nullopt;
  return std::move(entry->path);
}

}  // namespace kalamdb::cold
