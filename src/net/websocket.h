// WebSocket connections (RFC 6455) as the layers above see them: frames in, frames out, bounded queues, timers.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "net/http.h"

namespace kalamdb::net {

// A message that is encoded once and shared by every socket that it goes to.
struct Frame {
  std::string payload;
  bool binary = false;
};
using FramePtr = std::shared_ptr<const Frame>;

// The sending side of one open socket. Thread-safe; outlives the socket (calls after its end do nothing).
class WebSocketConnection {
 public:
  virtual ~WebSocketConnection() = default;
  // Queues a frame behind those queued before. Never blocks: the caller watches queued_bytes() and holds back.
  virtual void send(FramePtr frame) = 0;
  // Payload bytes queued and not yet handed to the socket.
  virtual size_t queued_bytes() const = 0;
  // The same of all sockets of the server.
  virtual size_t total_queued_bytes() const = 0;
  // Sends what is queued, then a close frame; `reason` is cut to 123 bytes. Frames sent later are dropped. A client
  // that does not answer within 5 s is cut.
  virtual void close(uint16_t code, std::string reason) = 0;
  // Runs `task` on the connection's own executor, where the session's callbacks also run, one at a time.
  virtual void post(std::function<void()> task) = 0;
  // The same, after a delay. Not run once the socket has ended.
  virtual void post_after(int64_t delay_ms, std::function<void()> task) = 0;
  virtual const std::string& peer_address() const = 0;
};

// What a layer above does with one socket. Every call comes on the connection's executor, one at a time.
class WebSocketSession {
 public:
  virtual ~WebSocketSession() = default;
  // A whole message (at most WebSocketOptions::max_message_bytes; a larger one comes as on_oversized()).
  virtual void on_message(std::string payload, bool binary) = 0;
  // A message over the bound, of `bytes` bytes, arrived and was dropped; the socket stays open. Nothing of it was kept.
  virtual void on_oversized(size_t bytes) = 0;
  // The queue emptied to the socket after having held something.
  virtual void on_drained() = 0;
  // The socket has ended, for whatever reason; last call.
  virtual void on_closed() = 0;
};

struct WebSocketOptions {
  size_t max_message_bytes = 1 << 20;
  // No inbound frame (data, ping or pong) for this long: close 1000 "Heartbeat timeout". Checked every
  // heartbeat_interval_ms. The server never pings; it answers pings with pongs.
  int64_t client_timeout_ms = 10'000;
  int64_t heartbeat_interval_ms = 5'000;
};

// Decides on an upgrade request: a response refuses it, nullopt accepts it.
using UpgradeCheck = std::function<std::optional<HttpResponse>(const HttpRequest&)>;
// Makes the session of an accepted socket, on its executor, once the handshake is done.
using WebSocketFactory =
    std::function<std::shared_ptr<WebSocketSession>(std::shared_ptr<WebSocketConnection>, const HttpRequest& upgrade)>;

}  // namespace kalamdb::net
