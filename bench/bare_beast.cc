// The yardstick: the plainest asynchronous Boost.Beast server, two threads, a constant 200-byte JSON body for every
// request. Usage: bare_beast PORT [THREADS]
#include <boost/asio.hpp>
#include <boost/beast.hpp>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <thread>
#include <vector>

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
using tcp = asio::ip::tcp;

class Session : public std::enable_shared_from_this<Session> {
 public:
  explicit Session(tcp::socket socket) : stream_(std::move(socket)) {}

  void read() {
    request_ = {};
    stream_.expires_after(std::chrono::seconds(30));
    http::async_read(stream_, buffer_, request_, [self = shared_from_this()](beast::error_code error, size_t) {
      if (!error) self->answer();
    });
  }

 private:
  void answer() {
    response_ = {http::status::ok, request_.version()};
    response_.set(http::field::content_type, "application/json");
    response_.body() = "{\"data\":\"" + std::string(189, 'x') + "\"}";
    response_.keep_alive(request_.keep_alive());
    response_.prepare_payload();
    http::async_write(stream_, response_, [self = shared_from_this()](beast::error_code error, size_t) {
      if (!error && self->response_.keep_alive()) self->read();
    });
  }

  beast::tcp_stream stream_;
  beast::flat_buffer buffer_;
  http::request<http::string_body> request_;
  http::response<http::string_body> response_;
};

void accept(tcp::acceptor& acceptor, std::vector<std::unique_ptr<asio::io_context>>& contexts, size_t next) {
  acceptor.async_accept(*contexts[next], [&acceptor, &contexts, next](beast::error_code error, tcp::socket socket) {
    if (!error) {
      socket.set_option(tcp::no_delay(true));
      auto session = std::make_shared<Session>(std::move(socket));
      asio::post(*contexts[next], [session] { session->read(); });
    }
    accept(acceptor, contexts, (next + 1) % contexts.size());
  });
}

int main(int argc, char** argv) {
  auto port = static_cast<uint16_t>(argc > 1 ? std::atoi(argv[1]) : 8082);
  size_t thread_count = argc > 2 ? static_cast<size_t>(std::atoi(argv[2])) : 2;
  std::vector<std::unique_ptr<asio::io_context>> contexts;
  for (size_t i = 0; i < thread_count; ++i) contexts.push_back(std::make_unique<asio::io_context>(1));
  tcp::acceptor acceptor(*contexts[0], {asio::ip::make_address("127.0.0.1"), port});
  std::printf("listening on %u\n", acceptor.local_endpoint().port());
  std::fflush(stdout);
  accept(acceptor, contexts, 0);
  std::vector<std::thread> threads;
  for (auto& context : contexts) {
    threads.emplace_back([&context] {
      auto work = asio::make_work_guard(*context);
      context->run();
    });
  }
  for (auto& thread : threads) thread.join();
}
