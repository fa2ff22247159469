// One subscription of one socket, from its snapshot to its last change.
#pragma once

#include <atomic>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "base/ids.h"
#include "net/websocket.h"
#include "protocol/live_messages.h"

namespace kalamdb::live {

// A change as it goes to one subscriber, or what has a place among them, which no snapshot can hold.
inline constexpr Seq kNotAChange = 0;
struct Delivery {
  Seq seq = kNotAChange;
  net::FramePtr frame;
};

// What its changes say nothing of.
struct SubscriptionFacts {
  std::string sql;
  std::string options;  // JSON; empty: none
  int64_t created_at_us = 0;
};

// A socket as its subscriptions know it.
struct ClientSocket {
  ClientSocket(std::string id, UserId user, std::shared_ptr<net::WebSocketConnection> connection)
      : id(std::move(id)), user(std::move(user)), connection(std::move(connection)) {}

  const std::string id;
  const UserId user;
  const std::shared_ptr<net::WebSocketConnection> connection;
  size_t max_queued_bytes = 4 << 20;        // of changes that the client has not taken
  size_t max_queued_bytes_total = 1 << 30;  // of those of all sockets
  std::atomic<int64_t> last_message_us{0};  // from the client
};

// Delivers changes to its socket in the order in which they are given. Until go_live() they wait behind the snapshot.
//
// Memory is bounded: when more waits than ClientSocket::max_queued_bytes, on the socket or behind the snapshot, or more
// than max_queued_bytes_total on all sockets while something waits on this one, the subscription falls behind. Changes
// then pass it by, until it catches up from the tables themselves: catch_up() tells where to begin, and go_live() goes
// on behind what was read. Thread-safe.
class Subscription {
 public:
  Subscription(std::string id, std::shared_ptr<ClientSocket> socket, protocol::FrameFormat format,
               SubscriptionFacts facts)
      : id_(std::move(id)), socket_(std::move(socket)), format_(format), facts_(std::move(facts)) {}

  const std::string& id() const { return id_; }
  protocol::FrameFormat format() const { return format_; }
  const ClientSocket& socket() const { return *socket_; }
  const SubscriptionFacts& facts() const { return facts_; }
  // "{user}-{connection}-{subscription}"
  std::string live_id() const { return socket_->user.value + "-" + socket_->id + "-" + id_; }

  // Changes in order; from the hub's thread. Those of one `_seq` are sent together or not at all. False when a live
  // subscription has just fallen behind: the caller tells the client, and calls fell_behind().
  bool deliver(std::vector<Delivery>& deliveries);
  // Sends a frame of the subscription ahead of every change that still waits (acknowledgements, batches, errors).
  void send(net::FramePtr frame);
  // The snapshot holds everything up to `boundary`: earlier changes that wait are dropped, later ones sent, in order.
  // `frames` go first. False when too much waited: it has fallen behind.
  bool go_live(Seq boundary, std::vector<net::FramePtr> frames);
  bool is_behind();
  // From here on changes wait again; the client has everything up to what is returned.
  Seq catch_up();
  // Nothing is sent any more but, if it was not closed before, `last`.
  void close(net::FramePtr last = nullptr);
  bool is_closed();
  // What ended() calls, once and from any thread: the server has ended the subscription, not its client. Set before the
  // first change can come.
  void on_ended(std::function<void()> callback) { on_ended_ = std::move(callback); }
  void ended() const {
    if (on_ended_) on_ended_();
  }
  // What fell_behind() calls, from any thread. Set before the first change can come.
  void on_behind(std::function<void()> callback) { on_behind_ = std::move(callback); }
  void fell_behind() const {
    if (on_behind_) on_behind_();
  }

  // What ready() calls, from any thread, when the result is there that a subscription of one waits for. Set before the
  // first change can come.
  void on_ready(std::function<void()> callback) { on_ready_ = std::move(callback); }
  void ready() const {
    if (on_ready_) on_ready_();
  }

  Seq last_delivered() const { return last_delivered_.load(std::memory_order_relaxed); }
  uint64_t delivered() const { return delivered_.load(std::memory_order_relaxed); }  // changes

 private:
  enum class State : uint8_t { kWaiting, kLive, kBehind, kClosed };

  void send_locked(Delivery delivery);

  const std::string id_;
  const std::shared_ptr<ClientSocket> socket_;
  const protocol::FrameFormat format_;
  const SubscriptionFacts facts_;
  std::function<void()> on_ended_;
  std::function<void()> on_behind_;
  std::function<void()> on_ready_;
  std::mutex mutex_;
  State state_ = State::kWaiting;
  bool overflowed_ = false;  // some that should wait do not
  Seq boundary_ = 0;
  std::deque<Delivery> waiting_;
  size_t waiting_bytes_ = 0;
  std::atomic<Seq> last_delivered_{0};
  std::atomic<uint64_t> delivered_{0};
};
using SubscriptionPtr = std::shared_ptr<Subscription>;

}  // namespace kalamdb::live
