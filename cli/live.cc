#include "cli/live.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <boost/asio.hpp>
#include <boost/asio/ssl.hpp>
#include <boost/beast.hpp>
#include <boost/beast/ssl.hpp>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <random>

#include "cli/gzip.h"
#include "cli/live_printer.h"

namespace kalamdb::cli {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace websocket = beast::websocket;
using boost::system::error_code;
using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;
using std::chrono::seconds;

namespace {

constexpr size_t kMaxMessageBytes = 256 << 20;
constexpr seconds kPongTimeout{5};
constexpr seconds kCloseTimeout{2};

auto with_error(error_code& error) { return asio::redirect_error(asio::use_awaitable, error); }

// Everything runs on the thread that calls run().
class LiveView {
 public:
  LiveView(Session& session, const Subscription& subscription, const LiveOptions& options)
      : session_(session),
        options_(options),
        printer_(subscription, options,
                 fmt::format("sub_{}", std::chrono::system_clock::now().time_since_epoch().count())) {
    tls_context_.set_default_verify_paths();
    tls_context_.set_verify_mode(asio::ssl::verify_peer);
  }

  Result<bool> run() {
    signals_.async_wait([this](error_code error, int) {
      if (error) return;
      if (isatty(STDOUT_FILENO) == 1) fmt::print("\n");  // after the terminal's ^C
      stop();
    });
    if (options_.duration_s > 0) {
      duration_.expires_after(seconds(options_.duration_s));
      duration_.async_wait([this](error_code error) {
        if (!error) stop();
      });
    }
    asio::co_spawn(io_, keep_connected(), asio::detached);
    io_.run();
    if (failure_) return fail(*failure_);
    return !refused_;
  }

 private:
  template <typename Stream>
  using Socket = std::shared_ptr<websocket::stream<Stream>>;

  // Ends the view: says good-bye, and hangs up if the server does not answer that.
  void stop() {
    stopped_ = true;
    pause_.cancel();
    if (close_) close_();
    deadline_.expires_after(kCloseTimeout);
    deadline_.async_wait([this](error_code error) {
      if (!error && hang_up_) hang_up_();
    });
  }

  asio::awaitable<void> keep_connected() {
    int64_t delay_ms = options_.reconnect_delay_ms;
    for (int64_t attempt = 0;;) {
      ready_ = false;
      if (session_.client().url().tls) {
        co_await connect_tls();
      } else {
        co_await connect_plain();
      }
      close_ = hang_up_ = nullptr;
      deadline_.cancel();
      if (stopped_ || refused_) break;
      if (ready_) {
        attempt = 0;
        delay_ms = options_.reconnect_delay_ms;
      }
      const bool may_retry = options_.reconnect && was_ready_ &&
                             (options_.max_reconnect_attempts == 0 || attempt < options_.max_reconnect_attempts);
      if (!may_retry) {
        failure_ = Error(ErrorCode::kUnavailable, fmt::format("the live view lost its connection: {}", why_));
        break;
      }
      ++attempt;
      fmt::print(stderr, "Connection lost ({}); connecting again in {} ms\n", why_, delay_ms);
      error_code error;
      pause_.expires_after(milliseconds(delay_ms));
      co_await pause_.async_wait(with_error(error));
      if (stopped_) break;
      delay_ms = std::min(delay_ms * 2, options_.max_reconnect_delay_ms);
      // A request renews a token that has expired meanwhile; if the server is still away, connecting will say so.
      (void)session_.sql("SELECT name FROM system.namespaces LIMIT 1");
      printer_.resume();
    }
    duration_.cancel();
    signals_.cancel();
    deadline_.cancel();
  }

  asio::awaitable<void> connect_plain() {
    auto socket = std::make_shared<websocket::stream<beast::tcp_stream>>(io_);
    co_await converse(socket);
  }

  asio::awaitable<void> connect_tls() {
    auto socket = std::make_shared<websocket::stream<beast::ssl_stream<beast::tcp_stream>>>(io_, tls_context_);
    const std::string& host = session_.client().url().host;
    socket->next_layer().set_verify_callback(asio::ssl::host_name_verification(host));
    SSL_set_tlsext_host_name(socket->next_layer().native_handle(), host.c_str());
    co_await converse(socket);
  }

  // Opens the connection up to the WebSocket's own handshake.
  template <typename Stream>
  asio::awaitable<void> open(Socket<Stream> socket, error_code& error) {
    const ServerUrl& url = session_.client().url();
    asio::ip::tcp::resolver resolver(io_);
    const auto addresses = co_await resolver.async_resolve(url.host, std::to_string(url.port), with_error(error));
    if (error) co_return;
    auto& tcp = beast::get_lowest_layer(*socket);
    tcp.expires_after(seconds(options_.connect_timeout_s));
    co_await tcp.async_connect(addresses, with_error(error));
    if (error) co_return;
    if constexpr (!std::is_same_v<Stream, beast::tcp_stream>) {
      co_await socket->next_layer().async_handshake(asio::ssl::stream_base::client, with_error(error));
      if (error) co_return;
    }
    tcp.expires_never();
    // The stream's own timeouts bound the handshakes; idleness is found out by the pings.
    socket->set_option(
        websocket::stream_base::timeout{seconds(options_.connect_timeout_s), websocket::stream_base::none(), false});
    const std::string token = session_.access_token();
    socket->set_option(websocket::stream_base::decorator([token](websocket::request_type& request) {
      request.set(beast::http::field::authorization, "Bearer " + token);
      request.set(beast::http::field::user_agent, "kalam/" KALAM_VERSION);
    }));
    socket->read_message_max(kMaxMessageBytes);
    co_await socket->async_handshake(url.authority(), "/v1/ws", with_error(error));
  }

  // One connection from its opening to its end; why_ then says why it ended. (The coroutines hand on no strings: GCC 12
  // destroys some temporaries of co_return twice.)
  template <typename Stream>
  asio::awaitable<void> converse(Socket<Stream> socket) {
    hang_up_ = [socket] { beast::get_lowest_layer(*socket).cancel(); };
    close_ = hang_up_;
    error_code error;
    co_await open(socket, error);
    if (error) why_ = error.message();
    if (error || stopped_) co_return;
    close_ = [socket] { socket->async_close(websocket::close_code::normal, [](error_code) {}); };
    outbox_.clear();
    last_received_ = Clock::now();
    socket->control_callback([this](websocket::frame_type, beast::string_view) { last_received_ = Clock::now(); });
    expect_within(options_.auth_timeout_s, "no answer to the login");
    auto pings = std::make_shared<asio::steady_timer>(io_);
    asio::co_spawn(io_, keep_alive(socket, pings), asio::detached);
    co_await read_messages(socket, error);
    pings->cancel();
    note_end(error, socket->reason());
  }

  template <typename Stream>
  asio::awaitable<void> read_messages(Socket<Stream> socket, error_code& error) {
    beast::flat_buffer buffer;
    while (true) {
      co_await socket->async_read(buffer, with_error(error));
      if (error) co_return;
      last_received_ = Clock::now();
      const std::string_view message(static_cast<const char*>(buffer.data().data()), buffer.size());
      if (!stopped_) act(socket, read(message, socket->got_binary()));
      buffer.consume(buffer.size());
    }
  }

  // Binary frames are packed JSON.
  LiveAction read(std::string_view message, bool packed) {
    if (!packed) return printer_.handle(message);
    const auto unpacked = gunzip(message, kMaxMessageBytes);
    if (unpacked) return printer_.handle(*unpacked);
    failure_ = unpacked.error();
    return LiveAction::kFailed;
  }

  void note_end(const error_code& error, const websocket::close_reason& reason) {
    if (!late_.empty()) {
      why_ = std::exchange(late_, {});
    } else if (error == websocket::error::closed && !reason.reason.empty()) {
      why_ = reason.reason.c_str();
    } else {
      why_ = error.message();
    }
  }

  template <typename Stream>
  void act(const Socket<Stream>& socket, LiveAction action) {
    switch (action) {
      case LiveAction::kNone:
        break;
      case LiveAction::kRestart:
        printer_.forget_cursor();
        [[fallthrough]];
      case LiveAction::kSubscribe:
        expect_within(options_.initial_data_timeout_s, "no answer to the subscription");
        send(socket, printer_.subscribe_message());
        break;
      case LiveAction::kNextBatch:
        expect_within(options_.initial_data_timeout_s, "no further batch");
        send(socket, printer_.next_batch_message());
        break;
      case LiveAction::kReady:
        ready_ = was_ready_ = true;
        deadline_.cancel();
        break;
      case LiveAction::kFailed:
        refused_ = true;
        [[fallthrough]];
      case LiveAction::kDone:
        stop();
        break;
    }
  }

  void expect_within(int64_t timeout_s, const char* what) {
    if (stopped_) return;
    deadline_.expires_after(seconds(timeout_s));
    deadline_.async_wait([this, timeout_s, what](error_code error) {
      if (error || !hang_up_) return;
      late_ = fmt::format("{} within {} s", what, timeout_s);
      hang_up_();
    });
  }

  // Messages go out one after the other: a second write may not start before the first has ended.
  template <typename Stream>
  void send(const Socket<Stream>& socket, std::string message) {
    outbox_.push_back(std::move(message));
    if (outbox_.size() == 1) asio::co_spawn(io_, drain(socket), asio::detached);
  }

  template <typename Stream>
  asio::awaitable<void> drain(Socket<Stream> socket) {
    error_code error;
    while (!outbox_.empty() && !error) {
      socket->text(true);
      co_await socket->async_write(asio::buffer(outbox_.front()), with_error(error));
      // A failed write also ends the read, which is where the end is dealt with.
      if (!error) outbox_.pop_front();
    }
  }

  // Every 8 to 10 seconds a ping and a ping message; hangs up when nothing comes back.
  template <typename Stream>
  asio::awaitable<void> keep_alive(Socket<Stream> socket, std::shared_ptr<asio::steady_timer> timer) {
    std::minstd_rand random(std::random_device{}());
    error_code error;
    while (true) {
      timer->expires_after(milliseconds(8000 + random() % 2000) - kPongTimeout);
      co_await timer->async_wait(with_error(error));
      if (error) co_return;
      const auto sent = Clock::now();
      co_await socket->async_ping({}, with_error(error));
      if (error || !socket->is_open()) co_return;
      send(socket, R"({"type":"ping"})");
      timer->expires_after(kPongTimeout);
      co_await timer->async_wait(with_error(error));
      if (error) co_return;
      if (last_received_ < sent) {
        late_ = fmt::format("no answer to a ping within {} s", kPongTimeout.count());
        beast::get_lowest_layer(*socket).cancel();
        co_return;
      }
    }
  }

  Session& session_;
  const LiveOptions& options_;
  LivePrinter printer_;
  asio::io_context io_{1};
  asio::ssl::context tls_context_{asio::ssl::context::tls_client};
  asio::signal_set signals_{io_, SIGINT, SIGTERM};
  asio::steady_timer duration_{io_};
  asio::steady_timer deadline_{io_};  // for the answer that is awaited, or for the good-bye
  asio::steady_timer pause_{io_};
  std::function<void()> close_;    // for the connection of now: asks the server to end it
  std::function<void()> hang_up_;  // for the connection of now: ends it at once
  std::deque<std::string> outbox_;
  Clock::time_point last_received_;
  std::string late_;  // which awaited answer did not come
  std::string why_;   // how the last connection ended
  bool ready_ = false;
  bool was_ready_ = false;
  bool stopped_ = false;
  bool refused_ = false;
  std::optional<Error> failure_;
};

}  // namespace

Result<bool> run_live_view(Session& session, const Subscription& subscription, const LiveOptions& options) {
  LiveView view(session, subscription, options);
  return view.run();
}

}  // namespace kalamdb::cli
