#include "duck/segment_file_system.h"

#include <xxhash.h>

#include <algorithm>
#include <random>

#include "duckdb/common/file_opener.hpp"
#include "duckdb/main/client_context.hpp"

namespace kalamdb::duck {

using duckdb::idx_t;
using Opener = duckdb::optional_ptr<duckdb::FileOpener>;

namespace {

constexpr size_t kMaxVerified = 100'000;

// What DuckDB keeps of a file besides its footer, and of the footer: about a 64th of the file, but files of large
// values have few columns and row groups.
constexpr uint64_t kFileBytes = 8 << 10;
constexpr uint64_t kFooterPart = 64;
constexpr uint64_t kMaxFooterBytes = 512 << 10;

struct RemoteHandle : public duckdb::FileHandle {
  RemoteHandle(duckdb::FileSystem& files, const std::string& name, duckdb::FileOpenFlags flags, std::string path,
               uint64_t size, Opener opener)
      : FileHandle(files, name, flags), remote_path(std::move(path)), size(size) {
    if (auto context = duckdb::FileOpener::TryGetClientContext(opener)) query = context->shared_from_this();
  }
  void Close() override {}

  const std::string remote_path;
  const uint64_t size;
  duckdb::weak_ptr<duckdb::ClientContext> query;  // that opened it
  idx_t position = 0;
};

// What segment_file_name() was made of.
std::string target_of(const std::string& name) {
  const size_t slash = name.find('/', segment_prefix().size());
  if (slash == std::string::npos) throw duckdb::IOException("\"%s\" is not the name of a segment", name);
  return name.substr(slash + 1);
}

bool is_local(const std::string& target) { return target.starts_with('/'); }

std::string local_target(const std::string& name) {
  std::string target = target_of(name);
  if (!is_local(target)) throw duckdb::IOException("\"%s\" cannot be written", name);
  return target;
}

RemoteHandle& remote(duckdb::FileHandle& handle) { return handle.Cast<RemoteHandle>(); }

}  // namespace

uint64_t checksum_of(duckdb::FileHandle& file) {
  constexpr uint64_t kPartBytes = 1 << 20;
  const auto size = static_cast<uint64_t>(file.GetFileSize());
  const std::unique_ptr<XXH3_state_t, decltype(&XXH3_freeState)> state(XXH3_createState(), XXH3_freeState);
  if (state == nullptr) throw std::bad_alloc();
  XXH3_64bits_reset(state.get());
  std::string part(std::min(size, kPartBytes), '\0');
  for (uint64_t at = 0; at < size; at += kPartBytes) {
    const uint64_t length = std::min(size - at, kPartBytes);
    file.Read(part.data(), length, at);
    XXH3_64bits_update(state.get(), part.data(), length);
  }
  return std::max<uint64_t>(XXH3_64bits_digest(state.get()), 1);
}

const std::string& segment_prefix() {
  static const std::string prefix = [] {
    std::random_device random;
    std::string secret;
    for (int i = 0; i < 4; ++i) secret += std::to_string(random()) + "-";
    return "kalam:/" + secret + "/";
  }();
  return prefix;
}

std::string segment_file_name(TableId table, const std::string& path) {
  return segment_prefix() + std::to_string(table.value) + "/" + path;
}

bool SegmentAccess::is_verified(const std::string& name) const {
  const std::lock_guard lock(mutex_);
  return verified_.contains(name);
}

void SegmentAccess::set_verified(const std::string& name) {
  const std::lock_guard lock(mutex_);
  if (verified_.size() >= kMaxVerified) verified_.clear();
  verified_.insert(name);
}

duckdb::unique_ptr<duckdb::FileHandle> SegmentFileSystem::OpenFileExtended(const duckdb::OpenFileInfo& file,
                                                                           duckdb::FileOpenFlags flags, Opener opener) {
  std::string target = target_of(file.path);
  if (!flags.OpenForWriting()) note_opened(file);
  if (is_local(target)) {
    auto handle = local_->OpenFile(target, flags, opener);
    if (handle != nullptr && !flags.OpenForWriting()) verify(*handle, file);
    return handle;
  }
  if (access_->remote == nullptr || flags.OpenForWriting())
    throw duckdb::IOException("\"%s\" cannot be opened", file.path);
  // Known from the manifest, which saves a request.
  const auto& options = file.extended_info->options;
  return duckdb::make_uniq<RemoteHandle>(*this, file.path, flags, std::move(target),
                                         options.at("file_size").GetValue<uint64_t>(), opener);
}

void SegmentFileSystem::verify(duckdb::FileHandle& handle, const duckdb::OpenFileInfo& file) {
  if (file.extended_info == nullptr) return;
  const auto& options = file.extended_info->options;
  const auto checksum = options.at("checksum").GetValue<uint64_t>();
  if (checksum == 0) return;
  if (access_->is_verified(file.path)) return;
  const auto size = options.at("file_size").GetValue<uint64_t>();
  if (static_cast<uint64_t>(handle.GetFileSize()) != size || checksum_of(handle) != checksum) {
    throw duckdb::IOException("the file %s is damaged: it is not as it was written; restore it from a backup",
                              handle.path);
  }
  access_->set_verified(file.path);
}

void SegmentFileSystem::note_opened(const duckdb::OpenFileInfo& file) {
  if (file.extended_info == nullptr) return;
  const auto size = file.extended_info->options.at("file_size").GetValue<uint64_t>();
  const std::lock_guard lock(mutex_);
  if (!opened_.insert(XXH3_64bits(file.path.data(), file.path.size())).second) return;
  metadata_bytes_ += kFileBytes + std::min(size / kFooterPart, kMaxFooterBytes);
}

duckdb::unique_ptr<duckdb::FileHandle> SegmentFileSystem::OpenFile(const std::string& path, duckdb::FileOpenFlags flags,
                                                                   Opener opener) {
  return local_->OpenFile(local_target(path), flags, opener);
}

bool SegmentFileSystem::FileExists(const std::string& path, Opener opener) {
  return local_->FileExists(local_target(path), opener);
}

bool SegmentFileSystem::IsPipe(const std::string& path, Opener opener) {
  const std::string target = target_of(path);
  return is_local(target) && local_->IsPipe(target, opener);
}

void SegmentFileSystem::RemoveFile(const std::string& path, Opener opener) {
  local_->RemoveFile(local_target(path), opener);
}

bool SegmentFileSystem::DirectoryExists(const std::string& path, Opener opener) {
  return local_->DirectoryExists(local_target(path), opener);
}

void SegmentFileSystem::Read(duckdb::FileHandle& handle, void* buffer, int64_t bytes, idx_t location) {
  const std::span out(static_cast<char*>(buffer), static_cast<size_t>(bytes));
  const auto& file = remote(handle);
  const auto query = file.query.lock();
  const auto read = access_->remote->read(file.remote_path, file.size, location, out,
                                          [&] { return query != nullptr && query->interrupted.load(); });
  if (read) return;
  if (read.error().code == ErrorCode::kTimeout) throw duckdb::InterruptException();
  throw duckdb::ConnectionException(read.error().message);
}

int64_t SegmentFileSystem::Read(duckdb::FileHandle& handle, void* buffer, int64_t bytes) {
  auto& file = remote(handle);
  const auto length = std::min(bytes, static_cast<int64_t>(file.size - std::min<idx_t>(file.position, file.size)));
  Read(handle, buffer, length, file.position);
  file.position += static_cast<idx_t>(length);
  return length;
}

int64_t SegmentFileSystem::GetFileSize(duckdb::FileHandle& handle) { return static_cast<int64_t>(remote(handle).size); }

// Segments never change.
duckdb::timestamp_t SegmentFileSystem::GetLastModifiedTime(duckdb::FileHandle&) { return duckdb::timestamp_t(0); }
duckdb::FileType SegmentFileSystem::GetFileType(duckdb::FileHandle&) { return duckdb::FileType::FILE_TYPE_REGULAR; }
void SegmentFileSystem::Seek(duckdb::FileHandle& handle, idx_t location) { remote(handle).position = location; }
idx_t SegmentFileSystem::SeekPosition(duckdb::FileHandle& handle) { return remote(handle).position; }

}  // namespace kalamdb::duck
