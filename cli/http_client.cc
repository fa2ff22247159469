#include "cli/http_client.h"

#include <fmt/format.h>
#include <poll.h>

#include <boost/asio.hpp>
#include <boost/asio/ssl.hpp>
#include <boost/beast.hpp>
#include <boost/beast/ssl.hpp>
#include <csignal>
#include <optional>

namespace kalamdb::cli {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
using boost::system::error_code;

struct HttpClient::Connection {
  asio::io_context io{1};
  asio::ssl::context tls_context{asio::ssl::context::tls_client};
  std::optional<beast::tcp_stream> plain;
  std::optional<beast::ssl_stream<beast::tcp_stream>> tls;
  beast::flat_buffer buffer;
  bool interrupted = false;

  beast::tcp_stream& socket() { return plain ? *plain : tls->next_layer(); }

  // Starts one asynchronous operation and runs it to its end, so that timeouts and ctrl-c can cut it short.
  template <typename Start>
  error_code wait(Start start) {
    std::optional<error_code> result;
    start([&result](error_code error, auto&&...) { result = error; });
    io.restart();
    while (!result) io.run_one();
    return *result;
  }

  // Calls `use` with whichever stream is open.
  template <typename Use>
  error_code with_stream(Use use) {
    return plain ? use(*plain) : use(*tls);
  }
};

HttpClient::HttpClient(ServerUrl url, Timeouts timeouts) : url_(std::move(url)), timeouts_(timeouts) {}

HttpClient::~HttpClient() = default;

Result<> HttpClient::connect() {
  connection_ = std::make_unique<Connection>();
  Connection& c = *connection_;
  auto fail_connect = [&](const error_code& error) {
    connection_.reset();
    return fail(ErrorCode::kUnavailable, fmt::format("cannot connect to {}: {}", url_.text(), error.message()));
  };
  asio::ip::tcp::resolver resolver(c.io);
  asio::ip::tcp::resolver::results_type addresses;
  error_code error;
  addresses = resolver.resolve(url_.host, std::to_string(url_.port), error);
  if (error) return fail_connect(error);
  if (url_.tls) {
    c.tls_context.set_default_verify_paths(error);
    c.tls_context.set_verify_mode(asio::ssl::verify_peer);
    c.tls.emplace(c.io, c.tls_context);
    c.tls->set_verify_callback(asio::ssl::host_name_verification(url_.host));
    SSL_set_tlsext_host_name(c.tls->native_handle(), url_.host.c_str());
  } else {
    c.plain.emplace(c.io);
  }
  c.socket().expires_after(timeouts_.connect);
  error = c.wait([&](auto done) { c.socket().async_connect(addresses, done); });
  if (error) return fail_connect(error);
  c.socket().socket().set_option(asio::ip::tcp::no_delay(true), error);
  if (url_.tls) {
    error = c.wait([&](auto done) { c.tls->async_handshake(asio::ssl::stream_base::client, done); });
    if (error) return fail_connect(error);
  }
  return {};
}

// An idle connection that has something to read was closed by the server (or speaks out of turn): not to be used.
bool HttpClient::is_alive() const {
  if (!connection_) return false;
  pollfd waiting{connection_->socket().socket().native_handle(), POLLIN, 0};
  return poll(&waiting, 1, 0) == 0;
}

Result<HttpResponse> HttpClient::request(const HttpRequest& request) {
  if (!is_alive()) KALAM_CHECK(connect());
  Connection& c = *connection_;
  http::request<http::span_body<const char>> message(http::string_to_verb(request.method), request.target, 11);
  message.set(http::field::host, url_.authority());
  message.set(http::field::user_agent, "kalam/" KALAM_VERSION);
  if (!request.bearer.empty()) message.set(http::field::authorization, fmt::format("Bearer {}", request.bearer));
  if (request.method != "GET") {
    message.set(http::field::content_type, request.content_type);
    message.body() = boost::beast::span<const char>(request.body.data(), request.body.size());
    message.prepare_payload();
  }

  c.interrupted = false;
  std::optional<asio::signal_set> signals;
  if (catch_interrupts_) {
    signals.emplace(c.io, SIGINT);
    signals->async_wait([&c](error_code error, int) {
      if (error) return;
      c.interrupted = true;
      c.socket().cancel();
    });
  }
  c.socket().expires_after(timeouts_.receive);
  error_code error =
      c.with_stream([&](auto& stream) { return c.wait([&](auto done) { http::async_write(stream, message, done); }); });
  http::response_parser<http::string_body> parser;
  parser.body_limit(boost::none);
  while (!error && !parser.is_done()) {
    c.socket().expires_after(timeouts_.receive);
    error = c.with_stream([&](auto& stream) {
      return c.wait([&](auto done) { http::async_read_some(stream, c.buffer, parser, done); });
    });
  }
  c.socket().expires_never();
  const bool interrupted = c.interrupted;
  if (error) {
    connection_.reset();
    if (interrupted) return fail(ErrorCode::kConflict, "cancelled");
    if (error == beast::error::timeout) {
      return fail(ErrorCode::kTimeout, fmt::format("{} did not answer within {} seconds (--timeout raises the bound)",
                                                   url_.text(), timeouts_.receive.count()));
    }
    return fail(ErrorCode::kIo, fmt::format("the connection to {} broke: {}", url_.text(), error.message()));
  }
  HttpResponse response{static_cast<int>(parser.get().result_int()), std::move(parser.get().body())};
  if (!parser.keep_alive()) connection_.reset();
  return response;
}

}  // namespace kalamdb::cli
