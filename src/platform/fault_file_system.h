// A file system for tests: passes everything on to another one, fails where it is told to, and can lose power.
#pragma once

#include <functional>
#include <mutex>
#include <optional>
#include <set>

#include "platform/file_system.h"

namespace kalamdb::platform {

// Calls that change something, syncs among them, are counted from 1. Thread-safe, but the state after
// lose_power() is that of the disk only if nobody else works on it meanwhile.
class FaultFileSystem final : public FileSystem {
 public:
  // `target` must outlive it.
  explicit FaultFileSystem(FileSystem& target) : target_(target) {}

  // The changing call number `call`, counted from now, fails with `error_number` (ENOSPC, EIO) and changes nothing;
  // with `and_after`, so do all that follow.
  void fail_call(uint64_t call, int error_number, bool and_after = false);
  void stop_failing();
  // There is no room on the disk, as require_room() tells it.
  void set_full(bool is_full);
  // Changing calls since construction or the last fail_call().
  uint64_t changing_calls() const;

  // Leaves on the disk what a power failure may leave: renames and removals in directories that were not synced since
  // are undone, and files that were renamed without a sync are empty. Directories are made and removed at once.
  Result<> lose_power();

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
  // A change of directories that the disk does not have yet.
  struct UnsyncedChange {
    std::set<std::string> directories;  // those still to be synced
    std::function<Result<>()> undo;
  };

  // Counts the call; the error that it must fail with, if any.
  Result<> count(std::string_view action, const std::string& path);
  // The file's bytes, if it is there, to bring it back.
  std::optional<std::string> remember(const std::string& path);
  // Those directories are on the disk as they are now, or are gone.
  void forget_changes(const std::function<bool(const std::string& directory)>& is_meant);

  FileSystem& target_;
  mutable std::mutex mutex_;
  uint64_t calls_ = 0;
  uint64_t failing_call_ = 0;  // 0: none
  int error_number_ = 0;
  bool and_after_ = false;
  bool is_full_ = false;
  std::vector<UnsyncedChange> unsynced_;
  std::set<std::string> synced_files_;    // sync_file() was called
  std::set<std::string> unsynced_files_;  // renamed without
};

}  // namespace kalamdb::platform
