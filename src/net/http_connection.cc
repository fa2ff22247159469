#include "net/http_connection.h"

#include <boost/asio/buffer.hpp>
#include <boost/asio/error.hpp>
#include <boost/beast/http/error.hpp>
#include <cstring>
#include <exception>

#include "base/log.h"
#include "net/http_exchange.h"
#include "net/websocket_peer.h"

namespace kalamdb::net {

namespace asio = boost::asio;
namespace http = boost::beast::http;

namespace {
constexpr size_t kInitialInput = 2 << 10;
constexpr size_t kBodyInput = 64 << 10;
// A client that sends requests but reads no answers is not read any further past this.
constexpr size_t kMaxPendingOutput = 1 << 20;
constexpr int64_t kLingerMs = 2'000;
}  // namespace

HttpConnection::HttpConnection(std::shared_ptr<ServerContext> context, std::shared_ptr<IoLoop> loop,
                               IoLoop::Socket socket, std::string peer_address, ConnectionCount count)
    : context_(std::move(context)),
      loop_(std::move(loop)),
      socket_(std::move(socket)),
      peer_address_(std::move(peer_address)),
      count_(std::move(count)) {}

void HttpConnection::start() {
  loop_->add(shared_from_this());
  enter(Phase::kHeader);
  arm_read();
}

void HttpConnection::refuse() {
  loop_->add(shared_from_this());
  reject(error_response(503, "TOO_MANY_CONNECTIONS", "Too many connections"));
  flush_small();
  settle();
}

bool HttpConnection::make_room() {
  if (input_begin_ == input_end_) {
    input_begin_ = input_end_ = 0;
    size_t wanted = parser_ && header_checked_ ? kBodyInput : kInitialInput;
    // Between requests a large buffer goes, and a body gets one that needs few reads.
    if (input_capacity_ < wanted || (!parser_ && input_capacity_ > wanted)) {
      input_ = std::make_unique_for_overwrite<char[]>(wanted);
      input_capacity_ = wanted;
    }
    return true;
  }
  if (input_end_ < input_capacity_) return true;
  if (input_begin_ > 0) {
    std::memmove(input_.get(), input_.get() + input_begin_, input_end_ - input_begin_);
    input_end_ -= input_begin_;
    input_begin_ = 0;
    return true;
  }
  size_t limit = std::max(kBodyInput, context_->options.max_header_bytes + kInitialInput);
  if (input_capacity_ >= limit) return false;
  size_t capacity = std::min(limit, input_capacity_ * 2);
  auto larger = std::make_unique_for_overwrite<char[]>(capacity);
  std::memcpy(larger.get(), input_.get(), input_end_);
  input_ = std::move(larger);
  input_capacity_ = capacity;
  return true;
}

void HttpConnection::arm_read() {
  if (reading_ || eof_ || ended_) return;
  // Full: what is there must be handled first. The parser's limits see to it that it can be.
  if (!make_room()) return;
  reading_ = true;
  socket_.async_read_some(
      asio::buffer(input_.get() + input_end_, input_capacity_ - input_end_),
      [self = shared_from_this()](boost::system::error_code error, size_t bytes) { self->on_read(error, bytes); });
}

void HttpConnection::on_read(boost::system::error_code error, size_t bytes) {
  reading_ = false;
  if (ended_) return;
  if (error) {
    client_gone_.store(true, std::memory_order_relaxed);
    eof_ = true;
    // A client may close its sending side and still wait for the answer.
    if (error != asio::error::eof || phase_ == Phase::kLinger) return cut();
    return process();
  }
  input_end_ += bytes;
  if (phase_ == Phase::kLinger) {
    input_begin_ = input_end_ = 0;
    return arm_read();
  }
  process();
}

void HttpConnection::process() {
  loop_->set_active(this);
  auto may_parse = [this] { return !busy_ && !closing_ && !ended_ && out_bytes_ < kMaxPendingOutput; };
  bool request_complete = true;
  do {
    while (may_parse() && request_complete) request_complete = parse_one();
    flush_small();  // may make room for the answers to further requests that are already here
  } while (may_parse() && request_complete);
  loop_->set_active(nullptr);
  settle();
}

// True when a request was handled, so that the next one may be looked at.
bool HttpConnection::parse_one() {
  while (input_begin_ < input_end_) {
    if (!parser_) {
      parser_.emplace(context_->options.max_header_bytes, context_->options.max_body_bytes);
      header_checked_ = false;
    }
    boost::system::error_code error;
    input_begin_ += parser_->put(asio::buffer(input_.get() + input_begin_, input_end_ - input_begin_), error);
    if (error == http::error::need_more) {
      bool stuck = input_begin_ == 0 && !make_room();  // a chunk header of no reasonable length
      if (stuck) reject(error_response(400, "BAD_REQUEST", "Malformed HTTP request"));
      return false;
    }
    if (error == http::error::body_limit) {
      reject_body(parser_->request().body.size() + (input_end_ - input_begin_));
      return false;
    }
    if (error == http::error::header_limit) {
      reject(error_response(431, "HEADERS_TOO_LARGE", "Request header fields exceed the allowed size"));
      return false;
    }
    if (error) {
      reject(error_response(400, "BAD_REQUEST", "Malformed HTTP request"));
      return false;
    }
    if (!header_checked_ && parser_->is_header_done()) {
      header_checked_ = true;
      if (!check_header()) return false;
    }
    if (parser_->is_done()) {
      dispatch();
      return true;
    }
  }
  return false;
}

bool HttpConnection::check_header() {
  if (!parser_->has_host() && !parser_->http_1_0()) {
    reject(error_response(400, "BAD_REQUEST", "The Host header is missing"));
    return false;
  }
  auto length = parser_->content_length();
  if (length && *length > context_->options.max_body_bytes) {
    reject_body(*length);
    return false;
  }
  bool body_follows = !parser_->is_done() && input_begin_ == input_end_;
  if (parser_->expects_continue() && body_follows) emit("HTTP/1.1 100 Continue\r\n\r\n", 0);
  return true;
}

void HttpConnection::dispatch() {
  busy_ = true;
  keep_alive_ = parser_->keep_alive();
  http_1_0_ = parser_->http_1_0();
  HttpRequest request = std::move(parser_->request());
  parser_.reset();
  head_request_ = request.method == "HEAD";
  request.peer_address = peer_address_;
  if (request.path == context_->websocket_path && request.method == "GET" &&
      has_token(request.header("Upgrade"), "websocket") && has_token(request.header("Connection"), "upgrade")) {
    return upgrade(request);
  }
  try {
    context_->handler(std::make_shared<ConnectionExchange>(shared_from_this(), std::move(request),
                                                           context_->options.write_timeout_ms));
  } catch (const std::exception& error) {
    log::error("a request handler failed: {}", error.what());  // dropping the exchange has answered 500
  }
}

void HttpConnection::reject(HttpResponse response) {
  parser_.reset();
  keep_alive_ = head_request_ = http_1_0_ = false;
  linger_ = true;
  send_response(std::move(response));
}

void HttpConnection::reject_body(uint64_t size_bytes) {
  HttpResponse response;
  response.status = 413;
  response.body = R"({"error":"BODY_TOO_LARGE","message":"Request body exceeds maximum allowed size","size_bytes":)" +
                  std::to_string(size_bytes) + ",\"max_bytes\":" + std::to_string(context_->options.max_body_bytes) +
                  "}";
  reject(std::move(response));
}

void HttpConnection::upgrade(const HttpRequest& request) {
  if (request.header("Sec-WebSocket-Version") != "13") {
    HttpResponse response = error_response(426, "UPGRADE_REQUIRED", "WebSocket version 13 is required");
    response.headers.push_back({"Sec-WebSocket-Version", "13"});
    return send_response(std::move(response));
  }
  // An upgrade behind unfinished work of the same socket can't take the socket over.
  if (request.header("Sec-WebSocket-Key").size() != 24 || reading_ || has_output()) {
    return reject(error_response(400, "BAD_REQUEST", "Malformed WebSocket handshake"));
  }
  std::optional<HttpResponse> refusal;
  try {
    if (context_->check) refusal = context_->check(request);
  } catch (const std::exception& error) {
    log::error("a WebSocket upgrade could not be checked: {}", error.what());
    refusal = error_response(500, "INTERNAL_ERROR", "The request was not answered");
  }
  if (refusal) return send_response(*std::move(refusal));
  open_websocket(request);
}

void HttpConnection::open_websocket(const HttpRequest& request) {
  std::string unsent = std::move(loop_->out);
  loop_->out.clear();
  unsent += "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ";
  unsent += websocket_accept(request.header("Sec-WebSocket-Key"));
  unsent += "\r\n\r\n";
  std::string received(input_.get() + input_begin_, input_end_ - input_begin_);
  ended_ = true;
  auto self = shared_from_this();
  loop_->remove(*this);
  auto peer = std::make_shared<WebSocketPeer>(context_, loop_, std::move(socket_), peer_address_, std::move(count_));
  peer->start(std::move(unsent), request, std::move(received));
}

// What follows whatever has happened: close, wait, or read on.
void HttpConnection::settle() {
  if (ended_) return;
  if (!has_output() && !busy_ && phase_ != Phase::kLinger && (closing_ || eof_)) {
    if (!linger_ || eof_) return cut();
    boost::system::error_code ignored;
    socket_.shutdown(IoLoop::Socket::shutdown_send, ignored);
    input_begin_ = input_end_ = 0;
    enter(Phase::kLinger);
  }
  arm_read();
  enter(waiting_for());
}

HttpConnection::Phase HttpConnection::waiting_for() const {
  if (phase_ == Phase::kLinger) return Phase::kLinger;
  if (has_output()) return Phase::kWrite;
  if (busy_) return Phase::kHandler;
  if (parser_) return header_checked_ ? Phase::kBody : Phase::kHeader;
  return Phase::kIdle;
}

void HttpConnection::enter(Phase phase) {
  if (phase == phase_) return;
  phase_ = phase;
  const ServerOptions& options = context_->options;
  int64_t timeout = 0;
  switch (phase) {
    case Phase::kNone:
    case Phase::kHandler:
      deadline_ms_ = kNever;
      return;
    case Phase::kIdle:
      timeout = options.idle_timeout_ms;
      break;
    case Phase::kHeader:
      timeout = options.header_timeout_ms;
      break;
    case Phase::kBody:
      timeout = options.body_timeout_ms;
      break;
    case Phase::kWrite:
      timeout = options.write_timeout_ms;
      break;
    case Phase::kLinger:
      timeout = kLingerMs;
      break;
  }
  deadline_ms_ = IoLoop::now_ms() + timeout;
}

void HttpConnection::on_deadline(int64_t, bool) {
  bool in_request = parser_ && (phase_ == Phase::kHeader || phase_ == Phase::kBody);
  if (!in_request) return cut();
  reject(error_response(408, "REQUEST_TIMEOUT", "The request did not arrive in time"));
  flush_small();
  settle();
}

void HttpConnection::wind_down() {
  if (!busy_ && !parser_ && !has_output()) return cut();
  if (!busy_ && !parser_) closing_ = true;
}

void HttpConnection::cut() {
  if (ended_) return;
  ended_ = true;
  client_gone_.store(true, std::memory_order_relaxed);
  auto self = shared_from_this();
  boost::system::error_code ignored;
  socket_.close(ignored);
  if (auto window = std::move(window_)) {
    std::lock_guard lock(window->mutex);
    window->gone = true;
    window->changed.notify_all();
  }
  loop_->remove(*this);
  count_.release();
}

}  // namespace kalamdb::net
