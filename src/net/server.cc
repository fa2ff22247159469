#include "net/server.h"

#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ip/v6_only.hpp>
#include <cerrno>
#include <chrono>
#include <mutex>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "base/log.h"
#include "net/http_connection.h"
#include "net/io_loop.h"
#include "net/server_context.h"

namespace kalamdb::net {

namespace {

namespace asio = boost::asio;
using asio::ip::tcp;

// Refused connections that may be open at once to be told so; further ones are just closed.
constexpr size_t kMaxRefusals = 256;
constexpr int kAcceptsPerTurn = 64;
constexpr int64_t kAcceptRetryMs = 100;

std::string address_text(const asio::ip::address& address) {
  if (address.is_v6() && address.to_v6().is_v4_mapped()) {
    return asio::ip::make_address_v4(asio::ip::v4_mapped, address.to_v6()).to_string();
  }
  return address.to_string();
}

int64_t tick_ms(const ServerOptions& options) {
  int64_t shortest =
      std::min({options.header_timeout_ms, options.body_timeout_ms, options.idle_timeout_ms, options.write_timeout_ms,
                options.websocket.client_timeout_ms, options.websocket.heartbeat_interval_ms});
  return std::clamp<int64_t>(shortest / 4, 5, 1'000);
}

struct Descriptor {
  int fd;
  explicit Descriptor(int accepted) : fd(accepted) {}
  Descriptor(Descriptor&& other) noexcept : fd(std::exchange(other.fd, -1)) {}
  ~Descriptor() {
    if (fd >= 0) ::close(fd);
  }
};

// Accepts on the first loop's thread and hands each socket to the next loop in turn.
class Listener : public std::enable_shared_from_this<Listener> {
 public:
  using Acceptor = asio::basic_socket_acceptor<tcp, IoLoop::Executor>;

  Listener(Acceptor acceptor, std::shared_ptr<ServerContext> context, std::vector<std::shared_ptr<IoLoop>> loops)
      : context_(std::move(context)), loops_(std::move(loops)), acceptor_(std::move(acceptor)) {}

  void accept() {
    acceptor_.async_wait(Acceptor::wait_read, [self = shared_from_this()](boost::system::error_code error) {
      if (!error && self->acceptor_.is_open()) self->accept_waiting();
    });
  }
  void close() {
    boost::system::error_code ignored;
    acceptor_.close(ignored);
    loops_.clear();
  }

 private:
  void accept_waiting() {
    for (int i = 0; i < kAcceptsPerTurn; ++i) {
      tcp::endpoint peer;
      auto size = static_cast<socklen_t>(peer.capacity());
      Descriptor socket{::accept4(acceptor_.native_handle(), peer.data(), &size, SOCK_NONBLOCK | SOCK_CLOEXEC)};
      if (socket.fd < 0) {
        if (errno == EAGAIN || errno == EWOULDBLOCK) break;
        if (errno == EINTR || errno == ECONNABORTED) continue;
        // Out of descriptors, most likely: trying again at once would only spin.
        log::warn("cannot accept a connection: {}", std::generic_category().message(errno));
        return loops_[0]->run_after(kAcceptRetryMs, [self = shared_from_this()] {
          if (self->acceptor_.is_open()) self->accept();
        });
      }
      hand_over(std::move(socket), peer);
    }
    accept();
  }

  void hand_over(Descriptor socket, const tcp::endpoint& peer) {
    size_t open = context_->connections.load();
    if (open >= context_->options.max_connections + kMaxRefusals) return;
    bool refused = open >= context_->options.max_connections;
    std::shared_ptr<IoLoop> loop = loops_[next_++ % loops_.size()];
    // Asio's socket is made on the loop's own thread, the only one that may use it.
    loop->post([loop = loop.get(), context = context_, count = ConnectionCount(context_), socket = std::move(socket),
                peer, refused]() mutable {
      if (loop->stopping()) return;
      IoLoop::Socket owned(loop->context().get_executor());
      boost::system::error_code error;
      owned.assign(peer.protocol(), socket.fd, error);
      if (error) return;
      socket.fd = -1;
      owned.set_option(tcp::no_delay(true), error);
      auto connection = std::make_shared<HttpConnection>(std::move(context), loop->shared_from_this(), std::move(owned),
                                                         address_text(peer.address()), std::move(count));
      refused ? connection->refuse() : connection->start();
    });
  }

  std::shared_ptr<ServerContext> context_;
  std::vector<std::shared_ptr<IoLoop>> loops_;
  Acceptor acceptor_;
  size_t next_ = 0;
};

class BeastServer final : public Server {
 public:
  explicit BeastServer(std::shared_ptr<ServerContext> context) : context_(std::move(context)) {
    const ServerOptions& options = context_->options;
    unsigned threads = options.io_threads > 0 ? options.io_threads : std::max(1u, std::thread::hardware_concurrency());
    for (unsigned i = 0; i < threads; ++i) {
      loops_.push_back(std::make_shared<IoLoop>(tick_ms(options), options.websocket.heartbeat_interval_ms));
    }
  }
  ~BeastServer() override { stop(0); }

  Result<> listen();
  void start() {
    for (auto& loop : loops_) loop->start();
    for (auto& listener : listeners_) {
      loops_[0]->post([listener] { listener->accept(); });
    }
  }

  uint16_t port() const override { return port_; }
  void stop(int64_t grace_ms) override;

 private:
  Result<> listen_on(tcp::endpoint endpoint);

  std::shared_ptr<ServerContext> context_;
  std::vector<std::shared_ptr<IoLoop>> loops_;
  std::vector<std::shared_ptr<Listener>> listeners_;
  uint16_t port_ = 0;
  std::mutex stop_mutex_;
  bool stopped_ = false;
};

Result<> BeastServer::listen_on(tcp::endpoint endpoint) {
  boost::system::error_code error;
  Listener::Acceptor acceptor(loops_[0]->context().get_executor());
  acceptor.open(endpoint.protocol(), error);
  if (!error) acceptor.set_option(asio::socket_base::reuse_address(true), error);
  // "::" means every address, IPv4 ones too.
  if (!error && endpoint.address().is_v6()) {
    acceptor.set_option(asio::ip::v6_only(!endpoint.address().is_unspecified()), error);
  }
  if (!error) acceptor.bind(endpoint, error);
  if (!error) acceptor.listen(4096, error);
  if (!error) acceptor.non_blocking(true, error);
  if (!error) port_ = acceptor.local_endpoint(error).port();
  if (error) {
    return fail(ErrorCode::kIo, "cannot listen on " + context_->options.host + ":" + std::to_string(endpoint.port()) +
                                    ": " + error.message());
  }
  listeners_.push_back(std::make_shared<Listener>(std::move(acceptor), context_, loops_));
  return {};
}

Result<> BeastServer::listen() {
  const ServerOptions& options = context_->options;
  asio::io_context context;
  boost::system::error_code error;
  auto found = tcp::resolver(context).resolve(options.host, std::to_string(options.port),
                                              tcp::resolver::passive | tcp::resolver::numeric_service, error);
  if (error) {
    return fail(ErrorCode::kIo,
                "cannot listen on " + options.host + ":" + std::to_string(options.port) + ": " + error.message());
  }
  std::vector<tcp::endpoint> endpoints;
  for (const auto& entry : found) endpoints.push_back(entry.endpoint());
  // IPv4 first: a machine without IPv6 may still resolve names to it, so that failing on the later ones is no error.
  std::sort(endpoints.begin(), endpoints.end());
  endpoints.erase(std::unique(endpoints.begin(), endpoints.end()), endpoints.end());
  for (tcp::endpoint endpoint : endpoints) {
    if (!listeners_.empty()) endpoint.port(port_);
    Result<> result = listen_on(endpoint);
    if (!result && listeners_.empty()) return result;
    if (!result) log::warn("{} has a further address that is not served: {}", options.host, result.error().message);
  }
  return {};
}

void BeastServer::stop(int64_t grace_ms) {
  std::lock_guard lock(stop_mutex_);
  if (stopped_) return;
  stopped_ = true;
  context_->stopping = true;
  // Not started when listen() failed: nothing runs then, and nothing is open but the listeners.
  for (auto& listener : listeners_) {
    loops_[0]->post([listener] { listener->close(); });
  }
  for (auto& loop : loops_) {
    loop->post([loop = loop.get()] { loop->wind_down(); });
  }
  auto deadline = std::chrono::steady_clock::now() + std::chrono::milliseconds(grace_ms);
  while (context_->connections > 0 && std::chrono::steady_clock::now() < deadline) {
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  for (auto& loop : loops_) loop->stop();
  listeners_.clear();
  loops_.clear();
}

}  // namespace

Result<std::unique_ptr<Server>> Server::listen(ServerOptions options, HttpHandler handler, std::string websocket_path,
                                               UpgradeCheck check, WebSocketFactory factory) {
  auto context = std::make_shared<ServerContext>();
  context->options = std::move(options);
  context->handler = std::move(handler);
  context->websocket_path = std::move(websocket_path);
  context->check = std::move(check);
  context->factory = std::move(factory);
  auto server = std::make_unique<BeastServer>(std::move(context));
  KALAM_CHECK(server->listen());
  server->start();
  return server;
}

}  // namespace kalamdb::net
