#include "platform/thread_priority.h"

#include <gtest/gtest.h>
#include <sched.h>
#include <sys/resource.h>
#include <unistd.h>

#include <thread>

namespace kalamdb::platform {
namespace {

int nice_of_this_thread() { return getpriority(PRIO_PROCESS, static_cast<id_t>(gettid())); }

TEST(ThreadPriorityTest, HoldsForTheThreadAndThoseThatItStarts) {
  const int before = nice_of_this_thread();
  int lowered = 0;
  int of_child = 0;
  int policy = SCHED_OTHER;
  std::thread([&] {
    lower_thread_priority();
    lowered = nice_of_this_thread();
    policy = sched_getscheduler(gettid());
    std::thread([&] { of_child = nice_of_this_thread(); }).join();
  }).join();
  EXPECT_GT(lowered, before);
  EXPECT_EQ(of_child, lowered);
  EXPECT_EQ(policy, SCHED_BATCH);
  EXPECT_EQ(nice_of_this_thread(), before);
  EXPECT_EQ(sched_getscheduler(gettid()), SCHED_OTHER);
}

}  // namespace
}  // namespace kalamdb::platform
