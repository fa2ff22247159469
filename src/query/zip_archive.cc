#include "query/zip_archive.h"

#include <archive.h>
#include <archive_entry.h>

#include <fstream>
#include <memory>
#include <vector>

#include "platform/file_system.h"
#include "storage/storage.h"

namespace kalamdb::query {

namespace {

constexpr size_t kPartBytes = 1 << 20;

using Archive = std::unique_ptr<archive, decltype(&archive_write_free)>;

std::unexpected<Error> archive_error(archive* zip, const std::string& path) {
  const char* reason = archive_error_string(zip);
  return fail(ErrorCode::kIo, "Cannot write " + path + ": " + (reason != nullptr ? reason : "unknown error"));
}

Result<> add_file(archive* zip, const std::string& path, const ZipEntry& source, const std::stop_token& stop) {
  platform::RealFileSystem files;
  KALAM_TRY(const uint64_t size, files.file_size(source.path));
  const std::unique_ptr<archive_entry, decltype(&archive_entry_free)> entry(archive_entry_new(), archive_entry_free);
  archive_entry_set_pathname(entry.get(), source.name.c_str());
  archive_entry_set_filetype(entry.get(), AE_IFREG);
  archive_entry_set_perm(entry.get(), 0644);
  archive_entry_set_size(entry.get(), static_cast<la_int64_t>(size));
  if (archive_write_header(zip, entry.get()) != ARCHIVE_OK) return archive_error(zip, path);
  for (uint64_t at = 0; at < size; at += kPartBytes) {
    KALAM_CHECK(storage::check_stop(stop));
    KALAM_TRY(const std::string part, files.read_range(source.path, at, std::min<uint64_t>(kPartBytes, size - at)));
    if (archive_write_data(zip, part.data(), part.size()) != static_cast<la_ssize_t>(part.size())) {
      return archive_error(zip, path);
    }
  }
  return {};
}

}  // namespace

Result<> write_zip(const std::string& path, std::span<const ZipEntry> entries, const std::stop_token& stop) {
  const Archive zip(archive_write_new(), archive_write_free);
  if (zip == nullptr) return fail(ErrorCode::kIo, "Cannot write " + path + ": out of memory");
  if (archive_write_set_format_zip(zip.get()) != ARCHIVE_OK ||
      archive_write_zip_set_compression_store(zip.get()) != ARCHIVE_OK ||
      archive_write_open_filename(zip.get(), path.c_str()) != ARCHIVE_OK) {
    return archive_error(zip.get(), path);
  }
  for (const ZipEntry& entry : entries) KALAM_CHECK(add_file(zip.get(), path, entry, stop));
  if (archive_write_close(zip.get()) != ARCHIVE_OK) return archive_error(zip.get(), path);
  return platform::RealFileSystem().sync_file(path);
}

}  // namespace kalamdb::query
