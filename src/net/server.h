// The HTTP and WebSocket server on Boost.Beast: sockets, timeouts and limits.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "base/result.h"
#include "net/http.h"
#include "net/websocket.h"

namespace kalamdb::net {

struct ServerOptions {
  std::string host = "127.0.0.1";
  uint16_t port = 8080;              // 0 lets the system choose: see Server::port()
  unsigned io_threads = 0;           // 0: one a core
  size_t max_connections = 100'000;  // further ones: 503 with the TOO_MANY_CONNECTIONS JSON
  size_t max_header_bytes = 64 << 10;
  size_t max_body_bytes = 10 << 20;  // larger: 413 with the BODY_TOO_LARGE JSON of the protocol, connection closed
  int64_t header_timeout_ms = 10'000;
  int64_t body_timeout_ms = 30'000;   // for the whole body; then, as with the header's timeout, 408
  int64_t idle_timeout_ms = 75'000;   // between requests of a kept-alive connection
  int64_t write_timeout_ms = 30'000;  // without any progress
  WebSocketOptions websocket;
};

// Runs until stop() or destruction. Thread-safe.
class Server {
 public:
  // Binds and listens. WebSocket upgrades of `websocket_path` go to `check` and `factory`, everything else to
  // `handler`. Errors: kIo, one line with address and reason ("cannot listen on 127.0.0.1:8080: Address already in
  // use").
  static Result<std::unique_ptr<Server>> listen(ServerOptions options, HttpHandler handler, std::string websocket_path,
                                                UpgradeCheck check, WebSocketFactory factory);
  virtual ~Server() = default;
  virtual uint16_t port() const = 0;
  // Stops accepting; closes WebSockets with 1001 "Server shutting down"; lets running requests finish for up to
  // `grace_ms`, then cuts them; joins the IO threads. The second call does nothing.
  // Not on an IO thread.
  virtual void stop(int64_t grace_ms) = 0;
};

}  // namespace kalamdb::net
