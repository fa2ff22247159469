#include "live/subscription.h"

#include <gtest/gtest.h>

namespace kalamdb::live {
namespace {

class FakeConnection : public net::WebSocketConnection {
 public:
  void send(net::FramePtr frame) override { sent.push_back(frame->payload); }
  size_t queued_bytes() const override { return queued; }
  void close(uint16_t code, std::string) override { closed_with = code; }
  void post(std::function<void()>) override {}
  void post_after(int64_t, std::function<void()>) override {}
  const std::string& peer_address() const override { return address; }

  std::vector<std::string> sent;
  size_t queued = 0;
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

  std::shared_ptr<FakeConnection> connection_ = std::make_shared<FakeConnection>();
  Subscription subscription_{"s", connection_, false};
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

// The socket may take more again before the hub has ended the subscription: a change that was left out must stay the
// first that the client has not seen.
TEST_F(SubscriptionTest, NothingFollowsAGap) {
  subscription_.go_live(0, {});
  ASSERT_TRUE(deliver({1, frame("1")}));
  connection_->queued = Subscription::kMaxWaitingBytes + 1;
  EXPECT_FALSE(deliver({2, frame("2")}));
  connection_->queued = 0;
  EXPECT_TRUE(deliver({3, frame("3")}));
  EXPECT_EQ(connection_->sent, (std::vector<std::string>{"1"}));
  EXPECT_EQ(subscription_.last_delivered(), 1);
}

TEST_F(SubscriptionTest, AGapBehindTheSnapshotIsNotForgotten) {
  EXPECT_FALSE(deliver({1, frame(std::string(Subscription::kMaxWaitingBytes + 1, 'x'))}));
  EXPECT_TRUE(deliver({2, frame("2")}));
  subscription_.go_live(0, {frame("rows")});
  EXPECT_TRUE(connection_->sent.empty());
}

}  // namespace
}  // namespace kalamdb::live
