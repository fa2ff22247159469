// What every connection of one server reads.
#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <utility>

#include "net/server.h"

namespace kalamdb::net {

// Constant while the server runs, but for the counters.
struct ServerContext {
  ServerOptions options;
  HttpHandler handler;
  std::string websocket_path;
  UpgradeCheck check;
  WebSocketFactory factory;

  std::atomic<size_t> connections{0};
  std::atomic<size_t> queued_bytes{0};  // of all WebSockets
  std::atomic<bool> stopping{false};
};

// Counts an open connection for as long as it lives.
class ConnectionCount {
 public:
  explicit ConnectionCount(std::shared_ptr<ServerContext> context) : context_(std::move(context)) {
    ++context_->connections;
  }
  ConnectionCount(ConnectionCount&&) = default;
  ~ConnectionCount() { release(); }
  void release() {
    if (context_) --context_->connections;
    context_.reset();
  }

 private:
  std::shared_ptr<ServerContext> context_;
};

}  // namespace kalamdb::net
