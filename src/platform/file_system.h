// Files as a seam: the operating system's, or one that fails and forgets as disks do.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace kalamdb::platform {

// Held until destroyed.
class FileLock {
 public:
  virtual ~FileLock() = default;
};

enum class FileType : uint8_t { kMissing, kFile, kDirectory, kSymbolicLink, kOther };

// Thread-safe. Errors are kIo, with what was tried, the path and the operating system's reason.
class FileSystem {
 public:
  virtual ~FileSystem() = default;

  virtual Result<std::string> read_file(const std::string& path) = 0;
  // The bytes [offset, offset + length) of a file that has them all.
  virtual Result<std::string> read_range(const std::string& path, uint64_t offset, uint64_t length) = 0;
  // Replaces the file in one step that survives a power failure: readers, and the next start, find all of the old bytes
  // or all of the new ones. The directory must exist. After an error the file is as it was, or it is the new one.
  virtual Result<> write_file_durably(const std::string& path, std::string_view bytes, mode_t mode = 0644) = 0;
  // For what need not survive a power failure, such as caches: after one, or an error, the file may hold anything.
  virtual Result<> write_file(const std::string& path, std::string_view bytes) = 0;
  // The same, behind what the file has.
  virtual Result<> append_file(const std::string& path, std::string_view bytes) = 0;
  // Brings a file that another library wrote to the disk.
  virtual Result<> sync_file(const std::string& path) = 0;
  // Makes creations, renames and removals in the directory survive a power failure.
  virtual Result<> sync_directory(const std::string& path) = 0;
  // Replaces `to` if it is there.
  virtual Result<> rename(const std::string& from, const std::string& to) = 0;
  // A missing file is an error.
  virtual Result<> remove_file(const std::string& path) = 0;
  // A missing directory is none.
  virtual Result<> remove_tree(const std::string& path) = 0;
  // With missing parents; an existing directory is fine.
  virtual Result<> create_directories(const std::string& path) = 0;

  // Whether the disk of `path`, or of its directory while there is nothing, has more room than is to be kept free.
  virtual Result<> require_room(const std::string& path) = 0;

  virtual bool exists(const std::string& path) = 0;
  // What is there itself: a symbolic link is not followed. Whatever can't be looked at is missing.
  virtual FileType type(const std::string& path) = 0;
  virtual Result<uint64_t> file_size(const std::string& path) = 0;
  // Names of what is in the directory, sorted.
  virtual Result<std::vector<std::string>> list_directory(const std::string& path) = 0;
  // Paths, relative to `path`, of the files in it and in the directories below it, sorted. Symbolic links are not
  // followed.
  virtual Result<std::vector<std::string>> list_recursive(const std::string& path) = 0;

  // Creates the file if need be and keeps other processes from locking it. `path` lies in the data directory that it
  // stands for, which the error names: "data directory X is in use by another process".
  virtual Result<std::unique_ptr<FileLock>> lock_file(const std::string& path) = 0;
};

class RealFileSystem final : public FileSystem {
 public:
  // write_file() and append_file() leave `min_free_bytes` free on the disk.
  explicit RealFileSystem(uint64_t min_free_bytes = 0) : min_free_bytes_(min_free_bytes) {}

  Result<std::string> read_file(const std::string& path) override;
  Result<std::string> read_range(const std::string& path, uint64_t offset, uint64_t length) override;
  Result<> write_file_durably(const std::string& path, std::string_view bytes, mode_t mode = 0644) override;
  Result<> write_file(const std::string& path, std::string_view bytes) override;
  Result<> append_file(const std::string& path, std::string_view bytes) override;
  Result<> sync_file(const std::string& path) override;
  Result<> sync_directory(const std::string& path) override;
  Result<> rename(const std::string& from, const std::string& to) override;
  Result<> remove_file(const std::string& path) override;
  Result<> remove_tree(const std::string& path) override;
  Result<> create_directories(const std::string& path) override;
  Result<> require_room(const std::string& path) override;
  bool exists(const std::string& path) override;
  FileType type(const std::string& path) override;
  Result<uint64_t> file_size(const std::string& path) override;
  Result<std::vector<std::string>> list_directory(const std::string& path) override;
  Result<std::vector<std::string>> list_recursive(const std::string& path) override;
  Result<std::unique_ptr<FileLock>> lock_file(const std::string& path) override;

 private:
  const uint64_t min_free_bytes_;
};

// The error of a failed system call: "Cannot <action> <path>: <reason>".
std::unexpected<Error> io_error(std::string_view action, std::string_view path, int error_number);

}  // namespace kalamdb::platform
