#include "platform/process_info.h"

#include <sys/resource.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>

namespace kalamdb::platform {

namespace {

// Lines like "VmRSS:   1234 kB" by their name.
std::map<std::string, uint64_t> read_numbers(const char* path) {
  std::map<std::string, uint64_t> numbers;
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    const size_t colon = line.find(':');
    if (colon != std::string::npos)
      numbers[line.substr(0, colon)] = std::strtoull(line.c_str() + colon + 1, nullptr, 10);
  }
  return numbers;
}

double seconds(const timeval& time) {
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
}

}  // namespace

ProcessInfo process_info() {
  ProcessInfo info;
  info.pid = getpid();
  auto status = read_numbers("/proc/self/status");
  info.resident_bytes = status["VmRSS"] * 1024;
  info.virtual_bytes = status["VmSize"] * 1024;
  info.threads = status["Threads"];
  std::error_code error;
  const std::filesystem::directory_iterator files("/proc/self/fd", error);
  if (!error) info.open_files = static_cast<uint64_t>(std::distance(begin(files), end(files)));
  rusage usage{};
  if (getrusage(RUSAGE_SELF, &usage) == 0) info.cpu_seconds = seconds(usage.ru_utime) + seconds(usage.ru_stime);
  auto memory = read_numbers("/proc/meminfo");
  info.machine_memory_bytes = memory["MemTotal"] * 1024;
  info.machine_memory_used_bytes = info.machine_memory_bytes - memory["MemAvailable"] * 1024;
  return info;
}

uint64_t free_disk_bytes(const std::string& path) {
  std::error_code error;
  const auto space = std::filesystem::space(path, error);
  return error ? 0 : space.available;
}

}  // namespace kalamdb::platform
