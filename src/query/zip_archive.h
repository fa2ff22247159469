// Zip archives of files that are compressed already.
#pragma once

#include <span>
#include <stop_token>
#include <string>

#include "platform/file_system.h"

namespace kalamdb::query {

struct ZipEntry {
  std::string name;  // in the archive, ASCII
  std::string path;  // of the file
};

// Writes the files, as they are, into a new archive at `path`, which is on the disk when it returns. Larger than 4 GiB
// if need be (zip64). Errors: kIo, and that of storage::check_stop().
Result<> write_zip(platform::FileSystem& files, const std::string& path, std::span<const ZipEntry> entries,
                   const std::stop_token& stop);

}  // namespace kalamdb::query
