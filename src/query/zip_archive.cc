#include "query/zip_archive.h"

#include <archive.h>
#include <archive_entry.h>

#include <memory>
#include <vector>

#include "platform/file_system.h"
#include "storage/storage.h"

namespace kalamdb::query {

namespace {

constexpr size_t kPartBytes = 1 << 20;

using Archive = std::unique_ptr<archive, decltype(&archive_write_free)>;

// Where the archive goes.
struct Output {
  platform::FileSystem& files;
  const std::string& path;
  Result<> written;
};

la_ssize_t write_part(archive*, void* to, const void* bytes, size_t length) {
  auto& output = *static_cast<Output*>(to);
  output.written = output.files.append_file(output.path, {static_cast<const char*>(bytes), length});
  return output.written ? static_cast<la_ssize_t>(length) : -1;
}

std::unexpected<Error> archive_error(archive* zip, const Output& output) {
  KALAM_CHECK(output.written);
  const char* reason = archive_error_string(zip);
  return fail(ErrorCode::kIo, "Cannot write " + output.path + ": " + (reason != nullptr ? reason : "unknown error"));
}

Result<> add_file(archive* zip, const Output& output, const ZipEntry& source, const std::stop_token& stop) {
  KALAM_TRY(const uint64_t size, output.files.file_size(source.path));
  const std::unique_ptr<archive_entry, decltype(&archive_entry_free)> entry(archive_entry_new(), archive_entry_free);
  archive_entry_set_pathname(entry.get(), source.name.c_str());
  archive_entry_set_filetype(entry.get(), AE_IFREG);
  archive_entry_set_perm(entry.get(), 0644);
  archive_entry_set_size(entry.get(), static_cast<la_int64_t>(size));
  if (archive_write_header(zip, entry.get()) != ARCHIVE_OK) return archive_error(zip, output);
  for (uint64_t at = 0; at < size; at += kPartBytes) {
    KALAM_CHECK(storage::check_stop(stop));
    KALAM_TRY(const std::string part,
              output.files.read_range(source.path, at, std::min<uint64_t>(kPartBytes, size - at)));
    if (archive_write_data(zip, part.data(), part.size()) != static_cast<la_ssize_t>(part.size())) {
      return archive_error(zip, output);
    }
  }
  return {};
}

}  // namespace

Result<> write_zip(platform::FileSystem& files, const std::string& path, std::span<const ZipEntry> entries,
                   const std::stop_token& stop) {
  Output output{.files = files, .path = path, .written = files.write_file(path, "")};
  KALAM_CHECK(output.written);
  const Archive zip(archive_write_new(), archive_write_free);
  if (zip == nullptr) return fail(ErrorCode::kIo, "Cannot write " + path + ": out of memory");
  if (archive_write_set_format_zip(zip.get()) != ARCHIVE_OK ||
      archive_write_zip_set_compression_store(zip.get()) != ARCHIVE_OK ||
      archive_write_set_bytes_per_block(zip.get(), kPartBytes) != ARCHIVE_OK ||
      archive_write_set_bytes_in_last_block(zip.get(), 1) != ARCHIVE_OK ||
      archive_write_open2(zip.get(), &output, nullptr, write_part, nullptr, nullptr) != ARCHIVE_OK) {
    return archive_error(zip.get(), output);
  }
  for (const ZipEntry& entry : entries) KALAM_CHECK(add_file(zip.get(), output, entry, stop));
  if (archive_write_close(zip.get()) != ARCHIVE_OK) return archive_error(zip.get(), output);
  return files.sync_file(path);
}

}  // namespace kalamdb::query
