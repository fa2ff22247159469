#include "platform/file_system.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <filesystem>
#include <system_error>
#include <utility>

namespace kalamdb::platform {
namespace {

namespace fs = std::filesystem;

// An open file descriptor, closed at the end of its scope.
class Descriptor {
 public:
  Descriptor(const std::string& path, int flags, mode_t mode = 0)
      : fd_(::open(path.c_str(), flags | O_CLOEXEC, mode)) {}
  Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  bool is_open() const { return fd_ >= 0; }
  int get() const { return fd_; }

 private:
  int fd_;
};

class HeldLock final : public FileLock {
 public:
  explicit HeldLock(Descriptor file) : file_(std::move(file)) {}

 private:
  Descriptor file_;  // closing it gives the lock up
};

// Writes all of `bytes`; false with errno set when it can't.
bool write_all(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    ssize_t written = ::write(fd, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return false;
    bytes.remove_prefix(static_cast<size_t>(written));
  }
  return true;
}

Result<> sync_path(const std::string& path, int flags) {
  Descriptor file(path, flags);
  if (!file.is_open()) return io_error("open", path, errno);
  if (::fsync(file.get()) != 0) return io_error("sync", path, errno);
  return {};
}

std::string parent_of(const std::string& path) {
  std::string parent = fs::path(path).parent_path().string();
  return parent.empty() ? "." : parent;
}

Result<> write_new(const std::string& path, std::string_view bytes, mode_t mode, bool sync) {
  Descriptor file(path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW, mode);
  if (!file.is_open()) return io_error("create", path, errno);
  if (!write_all(file.get(), bytes)) return io_error("write", path, errno);
  if (sync && ::fsync(file.get()) != 0) return io_error("sync", path, errno);
  return {};
}

}  // namespace

std::unexpected<Error> io_error(std::string_view action, std::string_view path, int error_number) {
  return fail(ErrorCode::kIo, "Cannot " + std::string(action) + " " + std::string(path) + ": " +
                                  std::generic_category().message(error_number));
}

Result<std::string> RealFileSystem::read_file(const std::string& path) {
  Descriptor file(path, O_RDONLY);
  if (!file.is_open()) return io_error("open", path, errno);
  struct stat status;
  if (::fstat(file.get(), &status) != 0) return io_error("read", path, errno);
  std::string bytes(static_cast<size_t>(status.st_size), '\0');
  size_t filled = 0;
  while (true) {
    // One byte more than expected, to see the end, or that the file (as in /proc) did not tell its size.
    if (filled == bytes.size()) bytes.resize(bytes.size() + std::max<size_t>(1, bytes.size() / 8));
    ssize_t count = ::read(file.get(), bytes.data() + filled, bytes.size() - filled);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return io_error("read", path, errno);
    if (count == 0) break;
    filled += static_cast<size_t>(count);
  }
  bytes.resize(filled);
  return bytes;
}

Result<std::string> RealFileSystem::read_range(const std::string& path, uint64_t offset, uint64_t length) {
  Descriptor file(path, O_RDONLY);
  if (!file.is_open()) return io_error("open", path, errno);
  struct stat status;
  if (::fstat(file.get(), &status) != 0) return io_error("read", path, errno);
  const auto size = static_cast<uint64_t>(status.st_size);
  // Before anything of that length is allocated.
  if (offset > size || length > size - offset) {
    return fail(ErrorCode::kIo, "Cannot read " + std::to_string(length) + " bytes at " + std::to_string(offset) +
                                    " of " + path + ": it has only " + std::to_string(size));
  }
  std::string bytes(length, '\0');
  for (size_t filled = 0; filled < length;) {
    const ssize_t count =
        ::pread(file.get(), bytes.data() + filled, length - filled, static_cast<off_t>(offset + filled));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return io_error("read", path, errno);
    if (count == 0) return fail(ErrorCode::kIo, "Cannot read " + path + ": it became shorter meanwhile");
    filled += static_cast<size_t>(count);
  }
  return bytes;
}

Result<> RealFileSystem::write_file_durably(const std::string& path, std::string_view bytes, mode_t mode) {
  // Two threads that write one file at the same time must not share a temporary one.
  static std::atomic<uint64_t> writes{0};
  std::string temporary = path + "." + std::to_string(writes.fetch_add(1)) + ".tmp";
  auto written = write_new(temporary, bytes, mode, true);
  if (written) written = rename(temporary, path);
  if (!written) {
    ::unlink(temporary.c_str());
    return written;
  }
  return sync_directory(parent_of(path));
}

Result<> RealFileSystem::write_file(const std::string& path, std::string_view bytes) {
  KALAM_CHECK(require_room(path));
  return write_new(path, bytes, 0644, false);
}

Result<> RealFileSystem::append_file(const std::string& path, std::string_view bytes) {
  KALAM_CHECK(require_room(path));
  Descriptor file(path, O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW, 0644);
  if (!file.is_open()) return io_error("open", path, errno);
  if (!write_all(file.get(), bytes)) return io_error("write", path, errno);
  return {};
}

Result<> RealFileSystem::sync_file(const std::string& path) { return sync_path(path, O_RDONLY); }

Result<> RealFileSystem::sync_directory(const std::string& path) { return sync_path(path, O_RDONLY | O_DIRECTORY); }

Result<> RealFileSystem::rename(const std::string& from, const std::string& to) {
  if (::rename(from.c_str(), to.c_str()) != 0) return io_error("rename " + from + " to", to, errno);
  return {};
}

Result<> RealFileSystem::remove_file(const std::string& path) {
  if (::unlink(path.c_str()) != 0) return io_error("remove", path, errno);
  return {};
}

Result<> RealFileSystem::remove_tree(const std::string& path) {
  std::error_code error;
  fs::remove_all(path, error);
  if (error) return io_error("remove", path, error.value());
  return {};
}

Result<> RealFileSystem::create_directories(const std::string& path) {
  std::error_code error;
  fs::create_directories(path, error);
  if (error) return io_error("create directory", path, error.value());
  return {};
}

Result<> RealFileSystem::require_room(const std::string& path) {
  if (min_free_bytes_ == 0) return {};
  struct statvfs disk {};
  if (::statvfs(path.c_str(), &disk) != 0 && (errno != ENOENT || ::statvfs(parent_of(path).c_str(), &disk) != 0)) {
    return io_error("look for room on the disk of", path, errno);
  }
  const uint64_t free_bytes = uint64_t{disk.f_bavail} * disk.f_frsize;
  if (free_bytes >= min_free_bytes_) return {};
  return fail(ErrorCode::kIo, "The disk of " + path + " has " + std::to_string(free_bytes >> 20) +
                                  " MiB free, and storage.min_free_bytes keeps " +
                                  std::to_string(min_free_bytes_ >> 20) + " MiB for the database's own work");
}

bool RealFileSystem::exists(const std::string& path) {
  struct stat status;
  return ::stat(path.c_str(), &status) == 0;
}

FileType RealFileSystem::type(const std::string& path) {
  struct stat status;
  if (::lstat(path.c_str(), &status) != 0) return FileType::kMissing;
  if (S_ISREG(status.st_mode)) return FileType::kFile;
  if (S_ISDIR(status.st_mode)) return FileType::kDirectory;
  return S_ISLNK(status.st_mode) ? FileType::kSymbolicLink : FileType::kOther;
}

Result<uint64_t> RealFileSystem::file_size(const std::string& path) {
  struct stat status;
  if (::stat(path.c_str(), &status) != 0) return io_error("get the size of", path, errno);
  return static_cast<uint64_t>(status.st_size);
}

Result<std::vector<std::string>> RealFileSystem::list_directory(const std::string& path) {
  std::vector<std::string> names;
  std::error_code error;
  for (fs::directory_iterator entry(path, error), end; !error && entry != end; entry.increment(error)) {
    names.push_back(entry->path().filename().string());
  }
  if (error) return io_error("list", path, error.value());
  std::ranges::sort(names);
  return names;
}

Result<std::vector<std::string>> RealFileSystem::list_recursive(const std::string& path) {
  std::vector<std::string> paths;
  std::error_code error;
  for (fs::recursive_directory_iterator entry(path, error), end; !error && entry != end; entry.increment(error)) {
    std::error_code ignored;  // an entry that vanished meanwhile is not a file any more
    if (entry->symlink_status(ignored).type() == fs::file_type::regular) {
      paths.push_back(entry->path().lexically_relative(path).string());
    }
  }
  if (error) return io_error("list", path, error.value());
  std::ranges::sort(paths);
  return paths;
}

Result<std::unique_ptr<FileLock>> RealFileSystem::lock_file(const std::string& path) {
  Descriptor file(path, O_RDWR | O_CREAT | O_NOFOLLOW, 0644);
  if (!file.is_open()) return io_error("create", path, errno);
  if (::flock(file.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK) return io_error("lock", path, errno);
    return fail(ErrorCode::kIo, "data directory " + parent_of(path) + " is in use by another process");
  }
  return std::make_unique<HeldLock>(std::move(file));
}

}  // namespace kalamdb::platform
