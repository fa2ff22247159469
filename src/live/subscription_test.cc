#include "live/subscription.h"

#include <gtest/gtest.h>

namespace kalamdb::live {
namespace {

class FakeConnection : public net::WebSocketConnection {
 public:
  void send(net::FramePtr frame) override { sent.push_back(frame->payload); }
  size_t queued_bytes() const override { return queued; }
  size_t total_queued_bytes() const override { return total_queued; }
  void close(uint16_t code, std::string) override { closed_with = code; }
  void post(std::function<void()>) override {}
  void post_after(int64_t, std::function<void()>) override {}
  const std::string& peer_address() const override { return address; }

  std::vector<std::string> sent;
  size_t queued = 0;
  size_t total_queued = 0;
  uint16_t closed_with = 0;
  std::string address = "127.0.0.1";
};

net::FramePtr frame(std::string text) { return std::make_shared<const net::Frame>(net::Frame{std::move(text)}); }

class SubscriptionTest : public testing::Test {
 protected:
  bool deliver(Delivery delivery) {
    std::vector<Delivery> one{std::move(delivery)};
    return subscription_.deliver(one);
  }

  static constexpr size_t kMaxQueued = 1000;
  static constexpr size_t kMaxQueuedTotal = 10'000;
  std::shared_ptr<FakeConnection> connection_ = std::make_shared<FakeConnection>();
  std::shared_ptr<ClientSocket> socket_ = [this] {
    auto socket = std::make_shared<ClientSocket>("c", UserId("u"), connection_);
    socket->max_queued_bytes = kMaxQueued;
    socket->max_queued_bytes_total = kMaxQueuedTotal;
    return socket;
  }();
  Subscription subscription_{"s", socket_, protocol::kPlainText, {}};
};

TEST_F(SubscriptionTest, WhatWaitsBehindTheSnapshotGoesOnceAndInOrder) {
  for (Seq seq = 1; seq <= 3; ++seq) ASSERT_TRUE(deliver({seq, frame(std::to_string(seq))}));
  EXPECT_TRUE(connection_->sent.empty());
  subscription_.go_live(1, {frame("rows")});
  ASSERT_TRUE(deliver({1, frame("late")}));
  ASSERT_TRUE(deliver({4, frame("4")}));
  EXPECT_EQ(connection_->sent, (std::vector<std::string>{"rows", "2", "3", "4"}));
  EXPECT_EQ(subscription_.last_delivered(), 4);
}

TEST_F(SubscriptionTest, WithTooMuchOnAllSocketsWhoeverHasNotTakenAllFallsBehind) {
  EXPECT_TRUE(subscription_.go_live(0, {}));
  connection_->total_queued = kMaxQueuedTotal + 1;
  EXPECT_TRUE(deliver({1, frame("1")})) << "nothing waits on this one";
  connection_->queued = 1;
  connection_->total_queued = kMaxQueuedTotal;
  EXPECT_TRUE(deliver({2, frame("2")}));
  connection_->total_queued = kMaxQueuedTotal + 1;
  EXPECT_FALSE(deliver({3, frame("3")}));
  EXPECT_TRUE(subscription_.is_behind());
}

TEST_F(SubscriptionTest, ChangesOfOneSeqAreSentTogetherOrNotAtAll) {
  EXPECT_TRUE(subscription_.go_live(0, {}));
  connection_->queued = kMaxQueued - 3;
  std::vector<Delivery> changes;
  for (const char* text : {"a", "b"}) changes.push_back({1, frame(text)});
  for (const char* text : {"c", "d"}) changes.push_back({2, frame(text)});
  changes.push_back({3, frame(std::string(4, 'x'))});
  EXPECT_FALSE(subscription_.deliver(changes));
  EXPECT_EQ(connection_->sent, (std::vector<std::string>{"a", "b", "c", "d"}));
  changes.clear();
  EXPECT_EQ(subscription_.last_delivered(), 2);
}

TEST_F(SubscriptionTest, WhoFallsBehindMissesChangesUntilTheyCatchUp) {
  EXPECT_TRUE(subscription_.go_live(0, {}));
  ASSERT_TRUE(deliver({1, frame("1")}));
  connection_->queued = kMaxQueued;
  EXPECT_FALSE(deliver({2, frame("2")}));
  EXPECT_TRUE(subscription_.is_behind());
  // The socket takes more again, but what follows would hide the gap.
  connection_->queued = 0;
  EXPECT_TRUE(deliver({3, frame("3")}));
  EXPECT_EQ(subscription_.last_delivered(), 1);
  EXPECT_EQ(subscription_.catch_up(), 1);
  EXPECT_FALSE(subscription_.is_behind());
  ASSERT_TRUE(deliver({4, frame("4")}));
  ASSERT_TRUE(deliver({5, frame("5")}));
  EXPECT_TRUE(subscription_.go_live(4, {frame("2 to 4, as read")}));
  ASSERT_TRUE(deliver({6, frame("6")}));
  EXPECT_EQ(connection_->sent, (std::vector<std::string>{"1", "2 to 4, as read", "5", "6"}));
  EXPECT_EQ(subscription_.delivered(), 3U);
}

TEST_F(SubscriptionTest, WhatDoesNotFitBehindTheSnapshotIsReadLater) {
  EXPECT_TRUE(deliver({1, frame("1")}));
  EXPECT_TRUE(deliver({2, frame(std::string(kMaxQueued, 'x'))}));
  EXPECT_TRUE(deliver({3, frame("3")}));
  EXPECT_FALSE(subscription_.is_behind());
  EXPECT_FALSE(subscription_.go_live(1, {frame("rows")}));
  EXPECT_TRUE(subscription_.is_behind());
  EXPECT_EQ(connection_->sent, (std::vector<std::string>{"rows"}));
  EXPECT_EQ(subscription_.catch_up(), 1);
  // Once more, while it catches up.
  EXPECT_TRUE(deliver({4, frame(std::string(kMaxQueued + 1, 'x'))}));
  EXPECT_FALSE(subscription_.go_live(3, {frame("2 and 3, as read")}));
  EXPECT_EQ(subscription_.catch_up(), 3);
  EXPECT_TRUE(subscription_.go_live(4, {frame("4, as read")}));
  EXPECT_TRUE(deliver({5, frame("5")}));
  EXPECT_EQ(connection_->sent, (std::vector<std::string>{"rows", "2 and 3, as read", "4, as read", "5"}));
}

TEST_F(SubscriptionTest, OneChangeMayBeLargerThanTheBound) {
  EXPECT_TRUE(subscription_.go_live(0, {}));
  EXPECT_TRUE(deliver({1, frame(std::string(2 * kMaxQueued, 'x'))}));
  EXPECT_FALSE(subscription_.is_behind());
}

TEST_F(SubscriptionTest, NothingFollowsTheEnd) {
  EXPECT_TRUE(subscription_.go_live(0, {}));
  subscription_.close();
  EXPECT_TRUE(deliver({1, frame("1")}));
  EXPECT_TRUE(subscription_.go_live(1, {frame("rows")}));
  EXPECT_TRUE(connection_->sent.empty());
}

}  // namespace
}  // namespace kalamdb::live
