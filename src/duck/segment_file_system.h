// How DuckDB reaches segments: under names of our own, "kalam:/<secret>/<table id>/<Segment::path>", and by no others.
// The secret, one for each process, is what SQL would have to guess to name a file. Table ids are never used again, so
// that what DuckDB has cached of a file is not mistaken for another that gets its path later. For the other files of
// this folder only.
#pragma once

#include <atomic>
#include <duckdb.hpp>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_set>

#include "duck/engine.h"
#include "duckdb/common/file_system.hpp"

namespace kalamdb::duck {

// The XXH3 of a whole file, which is open; never 0. Throws duckdb::IOException.
uint64_t checksum_of(duckdb::FileHandle& file);

// The directory of all names of segments, "kalam:/<secret>/".
const std::string& segment_prefix();

// DuckDB's name of a segment's file. `path` as in Segment.
std::string segment_file_name(TableId table, const std::string& path);

// What all DuckDB instances know of segments. Thread-safe but for `remote`, which is set before the first query.
class SegmentAccess {
 public:
  RemoteFiles* remote = nullptr;

  // Whether a file's checksum was found to be right.
  bool is_verified(const std::string& name) const;
  void set_verified(const std::string& name);

 private:
  mutable std::mutex mutex_;
  std::unordered_set<std::string> verified_;  // names of files
};

// Files on the disk are DuckDB's local file system's from when they are open; before one is read for the first time,
// its checksum is compared with the manifest's, since DuckDB's pages have none. Others are read from RemoteFiles, whose
// errors reach the query as ConnectionException, which duck_error.cc turns back.
class SegmentFileSystem : public duckdb::FileSystem {
 public:
  explicit SegmentFileSystem(std::shared_ptr<SegmentAccess> access)
      : access_(std::move(access)), local_(duckdb::FileSystem::CreateLocal()) {}

  // About how much memory DuckDB holds, until its instance ends, for all files that have been read: their footers.
  uint64_t metadata_bytes() const { return metadata_bytes_; }

  duckdb::unique_ptr<duckdb::FileHandle> OpenFile(const std::string& path, duckdb::FileOpenFlags flags,
                                                  duckdb::optional_ptr<duckdb::FileOpener> opener) override;
  // Names are those of files, whatever characters they have.
  duckdb::vector<duckdb::OpenFileInfo> Glob(const std::string& path, duckdb::FileOpener*) override { return {path}; }
  bool FileExists(const std::string& path, duckdb::optional_ptr<duckdb::FileOpener> opener) override;
  bool IsPipe(const std::string& path, duckdb::optional_ptr<duckdb::FileOpener> opener) override;
  void RemoveFile(const std::string& path, duckdb::optional_ptr<duckdb::FileOpener> opener) override;
  bool DirectoryExists(const std::string& path, duckdb::optional_ptr<duckdb::FileOpener> opener) override;
  bool CanHandleFile(const std::string& path) override { return path.starts_with(segment_prefix()); }
  std::string GetName() const override { return "kalamdb_segments"; }

  // Of remote files' handles.
  void Read(duckdb::FileHandle& handle, void* buffer, int64_t bytes, duckdb::idx_t location) override;
  int64_t Read(duckdb::FileHandle& handle, void* buffer, int64_t bytes) override;
  int64_t GetFileSize(duckdb::FileHandle& handle) override;
  duckdb::timestamp_t GetLastModifiedTime(duckdb::FileHandle& handle) override;
  duckdb::FileType GetFileType(duckdb::FileHandle& handle) override;
  void Seek(duckdb::FileHandle& handle, duckdb::idx_t location) override;
  void Reset(duckdb::FileHandle& handle) override { Seek(handle, 0); }
  duckdb::idx_t SeekPosition(duckdb::FileHandle& handle) override;
  bool CanSeek() override { return true; }
  bool OnDiskFile(duckdb::FileHandle&) override { return false; }

 protected:
  bool SupportsOpenFileExtended() const override { return true; }
  duckdb::unique_ptr<duckdb::FileHandle> OpenFileExtended(const duckdb::OpenFileInfo& file, duckdb::FileOpenFlags flags,
                                                          duckdb::optional_ptr<duckdb::FileOpener> opener) override;

 private:
  // Throws duckdb::IOException if the file is not as it was written.
  void verify(duckdb::FileHandle& handle, const duckdb::OpenFileInfo& file);

  void note_opened(const duckdb::OpenFileInfo& file);

  const std::shared_ptr<SegmentAccess> access_;
  std::mutex mutex_;
  std::unordered_set<uint64_t> opened_;  // hashes of names
  std::atomic<uint64_t> metadata_bytes_ = 0;
  duckdb::unique_ptr<duckdb::FileSystem> local_;
};

}  // namespace kalamdb::duck
