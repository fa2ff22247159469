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

namespace kalamdb::live {

// A change as it goes to one subscriber, or what has a place among them, which no snapshot can hold.
inline constexpr Seq kNotAChange = 0;
struct Delivery {
  Seq seq = kNotAChange;
  net::FramePtr frame;
};

// Delivers changes to its socket in the order in which they are given. Until go_live() they wait behind the snapshot.
// Thread-safe.
class Subscription {
 public:
  Subscription(std::string id, std::shared_ptr<net::WebSocketConnection> connection, bool gzip)
      : id_(std::move(id)), connection_(std::move(connection)), gzip_(gzip) {}

  const std::string& id() const { return id_; }
  bool gzip() const { return gzip_; }

  // Changes in order; from the hub's thread. False when the subscriber has fallen too far behind (more than
  // kMaxWaitingBytes) and not all were queued. From then on nothing is, so that no later change can hide the gap; the
  // caller ends the subscription.
  bool deliver(std::vector<Delivery>& deliveries);
  // Sends a frame of the subscription ahead of every change that still waits (acknowledgements, batches, errors).
  void send(net::FramePtr frame) { connection_->send(std::move(frame)); }
  // The snapshot holds everything up to `boundary`: earlier changes that wait are dropped, later ones sent, in order.
  // `frames` go first.
  void go_live(Seq boundary, std::vector<net::FramePtr> frames);
  // Nothing is sent any more.
  void close();
  // What ended() calls, once and from any thread: the server has ended the subscription, not its client. Set before the
  // first change can come.
  void on_ended(std::function<void()> callback) { on_ended_ = std::move(callback); }
  void ended() const {
    if (on_ended_) on_ended_();
  }
  // Closes the socket with 1013: its client has fallen behind and resumes from its cursor.
  void close_socket_lagging() { connection_->close(1013, "Too far behind; reconnect and resume"); }

  Seq last_delivered() const { return last_delivered_.load(std::memory_order_relaxed); }

  static constexpr size_t kMaxWaitingBytes = 16 << 20;

 private:
  void send_locked(Delivery delivery);

  const std::string id_;
  const std::shared_ptr<net::WebSocketConnection> connection_;
  const bool gzip_;
  std::function<void()> on_ended_;
  std::mutex mutex_;
  bool live_ = false;
  bool closed_ = false;
  Seq boundary_ = 0;
  std::deque<Delivery> waiting_;
  size_t waiting_bytes_ = 0;
  std::atomic<Seq> last_delivered_{0};
};
using SubscriptionPtr = std::shared_ptr<Subscription>;

}  // namespace kalamdb::live
