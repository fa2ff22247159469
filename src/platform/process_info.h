// What the operating system knows of this process and this machine.
#pragma once

#include <cstdint>
#include <string>

namespace kalamdb::platform {

// 0 where the system does not tell.
struct ProcessInfo {
  int64_t pid = 0;
  uint64_t resident_bytes = 0;
  uint64_t virtual_bytes = 0;
  uint64_t threads = 0;
  uint64_t open_files = 0;
  double cpu_seconds = 0;  // used since the start
  uint64_t machine_memory_bytes = 0;
  uint64_t machine_memory_used_bytes = 0;
};
ProcessInfo process_info();

// Free bytes on the disk that holds `path`; 0 where the system does not tell.
uint64_t free_disk_bytes(const std::string& path);

}  // namespace kalamdb::platform
