#include "platform/process_info.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <thread>

namespace kalamdb::platform {
namespace {

TEST(ProcessInfoTest, TellsOfThisProcess) {
  const ProcessInfo alone = process_info();
  EXPECT_EQ(alone.pid, getpid());
  EXPECT_GT(alone.resident_bytes, 1u << 20);
  EXPECT_GT(alone.virtual_bytes, alone.resident_bytes);
  EXPECT_GE(alone.open_files, 3u);
  EXPECT_GT(alone.machine_memory_bytes, alone.resident_bytes);
  EXPECT_LE(alone.machine_memory_used_bytes, alone.machine_memory_bytes);
  uint64_t threads = 0;
  std::thread([&] { threads = process_info().threads; }).join();
  EXPECT_EQ(threads, alone.threads + 1);
  EXPECT_GE(process_info().cpu_seconds, alone.cpu_seconds);
}

TEST(ProcessInfoTest, FreeDiskBytes) {
  EXPECT_GT(free_disk_bytes("/tmp"), 0u);
  EXPECT_EQ(free_disk_bytes("/no/such/directory"), 0u);
}

}  // namespace
}  // namespace kalamdb::platform
