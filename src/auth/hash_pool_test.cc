#include "auth/hash_pool.h"

#include <gtest/gtest.h>

#include <atomic>
#include <latch>
#include <vector>

namespace kalamdb::auth {
namespace {

TEST(HashPool, WorkOfOneKeyRunsInOrder) {
  HashPool pool(3, 1000);
  std::vector<int> order;
  std::latch done(200);
  for (int i = 0; i < 200; ++i) {
    ASSERT_TRUE(pool.submit("alice", [&, i] {
      order.push_back(i);
      done.count_down();
    }));
  }
  done.wait();
  for (int i = 0; i < 200; ++i) EXPECT_EQ(order[static_cast<size_t>(i)], i);
}

TEST(HashPool, AFullQueueRefuses) {
  HashPool pool(1, 2);
  std::latch started(1);
  std::latch go(1);
  ASSERT_TRUE(pool.submit("a", [&] {
    started.count_down();
    go.wait();
  }));
  started.wait();
  EXPECT_TRUE(pool.submit("a", [] {}));
  EXPECT_TRUE(pool.submit("a", [] {}));
  EXPECT_EQ(pool.submit("a", [] {}).error().code, ErrorCode::kRateLimited);
  go.count_down();
}

TEST(HashPool, StopDropsWhatWaitsAndRefusesMore) {
  HashPool pool(1, 10);
  std::latch started(1);
  std::latch go(1);
  std::atomic<int> ran = 0;
  ASSERT_TRUE(pool.submit("a", [&] {
    started.count_down();
    go.wait();
    ++ran;
  }));
  started.wait();
  ASSERT_TRUE(pool.submit("a", [&] { ++ran; }));
  std::thread releaser([&] { go.count_down(); });
  pool.stop();
  releaser.join();
  EXPECT_GE(ran, 1);
  EXPECT_EQ(pool.submit("a", [] {}).error().code, ErrorCode::kUnavailable);
}

}  // namespace
}  // namespace kalamdb::auth
