// Objects as files below a directory.
#pragma once

#include <mutex>
#include <unordered_set>

#include "cold/object_store.h"
#include "platform/file_system.h"

namespace kalamdb::cold {

// Nothing below the base directory may be a symbolic link: a name that leads through one is refused, and list() does
// not follow any, so that nothing outside is reached. The base directory itself may be one.
class DirectoryStore final : public ObjectStore {
 public:
  // `base`: the absolute path of the directory, which is made when something is first put. `files` must outlive it.
  DirectoryStore(platform::FileSystem& files, std::string base);

  Result<std::string> staging_file(const std::string& name) override;
  Result<> put_file(const std::string& name, const std::string& staged) override;
  Result<> put(const std::string& name, std::string_view bytes) override;
  Result<std::optional<std::string>> version(const std::string& name) override;
  Result<std::string> put_if(const std::string& name, std::string_view bytes,
                             const std::optional<std::string>& version) override;
  Result<std::string> get(const std::string& name) override;
  Result<std::string> get_range(const std::string& name, uint64_t offset, uint64_t length) override;
  Result<std::optional<uint64_t>> size(const std::string& name) override;
  Result<std::vector<ObjectInfo>> list(const std::string& directory) override;
  Result<> remove(const std::string& name) override;
  Result<> remove_directory(const std::string& directory) override;
  std::optional<std::string> local_path(const std::string& name) const override;

 private:
  // The path of what is, or is to be, called `name`, and what is there: a file, a directory or nothing.
  struct Entry {
    std::string path;
    platform::FileType type = platform::FileType::kMissing;
  };
  Result<Entry> find(std::string_view name) const;
  // The path of a file that is there, or kNotFound.
  Result<std::string> find_file(const std::string& name) const;
  // Where `name` is to be written, with its directory made so that it survives a power failure.
  Result<std::string> make_place(const std::string& name);
  Result<> make_base();

  platform::FileSystem& files_;
  std::string base_;  // without a slash at the end
  std::mutex directories_mutex_;
  bool base_is_made_ = false;
  // Directories that are on the disk, as are those above them: syncing costs milliseconds even where nothing is new.
  std::unordered_set<std::string> synced_;
  std::mutex put_if_mutex_;
};

}  // namespace kalamdb::cold
