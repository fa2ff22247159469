#include "platform/fault_file_system.h"

#include <filesystem>

namespace kalamdb::platform {
namespace {

std::string parent_of(const std::string& path) { return std::filesystem::path(path).parent_path().string(); }

std::string without_trailing_slash(const std::string& path) {
  return path.size() > 1 && path.ends_with('/') ? path.substr(0, path.size() - 1) : path;
}

}  // namespace

void FaultFileSystem::fail_call(uint64_t call, int error_number, bool and_after) {
  std::lock_guard lock(mutex_);
  calls_ = 0;
  failing_call_ = call;
  error_number_ = error_number;
  and_after_ = and_after;
}

void FaultFileSystem::stop_failing() {
  std::lock_guard lock(mutex_);
  failing_call_ = 0;
}

void FaultFileSystem::set_full(bool is_full) {
  std::lock_guard lock(mutex_);
  is_full_ = is_full;
}

uint64_t FaultFileSystem::changing_calls() const {
  std::lock_guard lock(mutex_);
  return calls_;
}

Result<> FaultFileSystem::count(std::string_view action, const std::string& path) {
  ++calls_;
  if (failing_call_ == 0) return {};
  if (calls_ == failing_call_ || (and_after_ && calls_ > failing_call_)) return io_error(action, path, error_number_);
  return {};
}

std::optional<std::string> FaultFileSystem::remember(const std::string& path) {
  if (!target_.exists(path)) return std::nullopt;
  auto bytes = target_.read_file(path);
  return bytes ? std::optional(*std::move(bytes)) : std::nullopt;
}

void FaultFileSystem::forget_changes(const std::function<bool(const std::string&)>& is_meant) {
  for (UnsyncedChange& change : unsynced_) std::erase_if(change.directories, is_meant);
  std::erase_if(unsynced_, [](const UnsyncedChange& change) { return change.directories.empty(); });
}

Result<> FaultFileSystem::lose_power() {
  std::lock_guard lock(mutex_);
  // Contents first: the undo steps below name files as they were before their renames.
  for (const std::string& path : unsynced_files_) {
    if (target_.exists(path)) KALAM_CHECK(target_.write_file_durably(path, ""));
  }
  for (auto change = unsynced_.rbegin(); change != unsynced_.rend(); ++change) KALAM_CHECK(change->undo());
  unsynced_.clear();
  unsynced_files_.clear();
  synced_files_.clear();
  return {};
}

Result<> FaultFileSystem::write_file_durably(const std::string& path, std::string_view bytes, mode_t mode) {
  std::lock_guard lock(mutex_);
  KALAM_CHECK(count("write", path));
  KALAM_CHECK(target_.write_file_durably(path, bytes, mode));
  unsynced_files_.erase(path);
  synced_files_.insert(path);
  forget_changes([&](const std::string& directory) { return directory == parent_of(path); });
  return {};
}

Result<> FaultFileSystem::write_file(const std::string& path, std::string_view bytes) {
  std::lock_guard lock(mutex_);
  KALAM_CHECK(count("write", path));
  KALAM_CHECK(target_.write_file(path, bytes));
  synced_files_.erase(path);
  unsynced_files_.insert(path);
  return {};
}

Result<> FaultFileSystem::append_file(const std::string& path, std::string_view bytes) {
  std::lock_guard lock(mutex_);
  KALAM_CHECK(count("write", path));
  KALAM_CHECK(target_.append_file(path, bytes));
  synced_files_.erase(path);
  unsynced_files_.insert(path);
  return {};
}

Result<> FaultFileSystem::sync_file(const std::string& path) {
  std::lock_guard lock(mutex_);
  KALAM_CHECK(count("sync", path));
  KALAM_CHECK(target_.sync_file(path));
  unsynced_files_.erase(path);
  synced_files_.insert(path);
  return {};
}

Result<> FaultFileSystem::sync_directory(const std::string& path) {
  std::lock_guard lock(mutex_);
  KALAM_CHECK(count("sync", path));
  KALAM_CHECK(target_.sync_directory(path));
  forget_changes([&](const std::string& directory) { return directory == without_trailing_slash(path); });
  return {};
}

Result<> FaultFileSystem::rename(const std::string& from, const std::string& to) {
  std::lock_guard lock(mutex_);
  KALAM_CHECK(count("rename", from));
  auto replaced = remember(to);
  KALAM_CHECK(target_.rename(from, to));
  unsynced_files_.erase(to);
  if (synced_files_.erase(from) == 0) {
    unsynced_files_.insert(to);
  } else {
    synced_files_.insert(to);
  }
  unsynced_.push_back({{parent_of(from), parent_of(to)}, [this, from, to, replaced]() -> Result<> {
                         if (target_.exists(to)) KALAM_CHECK(target_.rename(to, from));
                         return replaced ? target_.write_file_durably(to, *replaced) : Result<>();
                       }});
  return {};
}

Result<> FaultFileSystem::remove_file(const std::string& path) {
  std::lock_guard lock(mutex_);
  KALAM_CHECK(count("remove", path));
  auto removed = remember(path);
  KALAM_CHECK(target_.remove_file(path));
  synced_files_.erase(path);
  unsynced_files_.erase(path);
  if (removed) {
    unsynced_.push_back(
        {{parent_of(path)}, [this, path, removed] { return target_.write_file_durably(path, *removed); }});
  }
  return {};
}

Result<> FaultFileSystem::remove_tree(const std::string& path) {
  std::lock_guard lock(mutex_);
  KALAM_CHECK(count("remove", path));
  KALAM_CHECK(target_.remove_tree(path));
  forget_changes([&](const std::string& directory) { return directory == path || directory.starts_with(path + "/"); });
  return {};
}

Result<> FaultFileSystem::create_directories(const std::string& path) {
  std::lock_guard lock(mutex_);
  KALAM_CHECK(count("create directory", path));
  return target_.create_directories(path);
}

Result<std::string> FaultFileSystem::read_file(const std::string& path) { return target_.read_file(path); }
FileType FaultFileSystem::type(const std::string& path) { return target_.type(path); }
Result<> FaultFileSystem::require_room(const std::string& path) {
  std::lock_guard lock(mutex_);
  if (is_full_) return fail(ErrorCode::kIo, "The disk of " + path + " has no room");
  return target_.require_room(path);
}

bool FaultFileSystem::exists(const std::string& path) { return target_.exists(path); }
Result<uint64_t> FaultFileSystem::file_size(const std::string& path) { return target_.file_size(path); }

Result<std::string> FaultFileSystem::read_range(const std::string& path, uint64_t offset, uint64_t length) {
  return target_.read_range(path, offset, length);
}

Result<std::vector<std::string>> FaultFileSystem::list_directory(const std::string& path) {
  return target_.list_directory(path);
}

Result<std::vector<std::string>> FaultFileSystem::list_recursive(const std::string& path) {
  return target_.list_recursive(path);
}

Result<std::unique_ptr<FileLock>> FaultFileSystem::lock_file(const std::string& path) {
  return target_.lock_file(path);
}

}  // namespace kalamdb::platform
