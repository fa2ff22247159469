// Fan-out of the net layer alone: one frame to every one of N WebSockets, K frames in flight, server and clients in
// this process. Prints deliveries a second and the server's memory for each idle socket (the clients' share is
// negligible: they are bare descriptors). Usage: net_fanout [SOCKETS=1000] [IN_FLIGHT=16] [SECONDS=5]
// [PAYLOAD_BYTES=200]
#include <arpa/inet.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "net/server.h"

namespace {

namespace net = kalamdb::net;
using Connections = std::vector<std::shared_ptr<net::WebSocketConnection>>;

class SilentSession final : public net::WebSocketSession {
 public:
  void on_message(std::string, bool) override {}
  void on_oversized(size_t) override {}
  void on_drained() override {}
  void on_closed() override {}
};

[[noreturn]] void die(const std::string& message) {
  std::fprintf(stderr, "net_fanout: %s\n", message.c_str());
  std::exit(1);
}

double resident_kib() {
  std::ifstream file("/proc/self/statm");
  double total = 0;
  double resident = 0;
  file >> total >> resident;
  return resident * static_cast<double>(sysconf(_SC_PAGESIZE)) / 1024;
}

int open_socket(uint16_t port) {
  static const std::string request =
      "GET /ws HTTP/1.1\r\nHost: bench\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
      "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";
  int fd = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  char answer[512];
  if (connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0 ||
      send(fd, request.data(), request.size(), 0) != static_cast<ssize_t>(request.size()) ||
      recv(fd, answer, sizeof answer, 0) <= 0) {
    die("cannot open a WebSocket; is the descriptor limit high enough?");
  }
  return fd;
}

// Keeps `in_flight` frames for each socket under way and returns the deliveries a second.
double run(const Connections& connections, int epoll, size_t in_flight, double seconds, size_t payload_bytes) {
  auto frame = std::make_shared<const net::Frame>(net::Frame{std::string(payload_bytes, 'x')});
  const size_t frame_bytes = payload_bytes + (payload_bytes < 126 ? 2 : 4);
  const size_t round_bytes = frame_bytes * connections.size();
  size_t sent_bytes = 0;
  size_t received_bytes = 0;
  std::vector<epoll_event> events(connections.size());
  std::vector<char> input(256 << 10);
  auto start = std::chrono::steady_clock::now();
  auto elapsed = [&] { return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count(); };
  while (elapsed() < seconds) {
    while (sent_bytes - received_bytes + round_bytes <= in_flight * round_bytes) {
      for (const auto& connection : connections) connection->send(frame);
      sent_bytes += round_bytes;
    }
    int ready = epoll_wait(epoll, events.data(), static_cast<int>(events.size()), 100);
    for (int i = 0; i < ready; ++i) {
      ssize_t size = recv(events[static_cast<size_t>(i)].data.fd, input.data(), input.size(), MSG_DONTWAIT);
      if (size > 0) received_bytes += static_cast<size_t>(size);
    }
  }
  return static_cast<double>(received_bytes) / static_cast<double>(frame_bytes) / elapsed();
}

}  // namespace

int main(int argc, char** argv) {
  auto argument = [&](int i, double otherwise) { return argc > i ? std::atof(argv[i]) : otherwise; };
  auto sockets = static_cast<size_t>(argument(1, 1000));
  auto payload_bytes = static_cast<size_t>(argument(4, 200));
  if (payload_bytes > 0xffff) die("at most 65535 payload bytes");
  std::mutex mutex;
  Connections connections;
  net::ServerOptions options;
  options.port = 0;
  options.io_threads = 2;
  options.websocket.client_timeout_ms = 3'600'000;
  auto factory = [&](std::shared_ptr<net::WebSocketConnection> connection, const net::HttpRequest&) {
    std::lock_guard lock(mutex);
    connections.push_back(std::move(connection));
    return std::make_shared<SilentSession>();
  };
  auto handler = [](const std::shared_ptr<net::HttpExchange>& exchange) { exchange->respond({404}); };
  auto server = net::Server::listen(options, handler, "/ws", nullptr, factory);
  if (!server) die(server.error().message);

  int epoll = epoll_create1(0);
  double before_kib = resident_kib();
  for (size_t i = 0; i < sockets; ++i) {
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.fd = open_socket((*server)->port());
    epoll_ctl(epoll, EPOLL_CTL_ADD, event.data.fd, &event);
  }
  double idle_kib = (resident_kib() - before_kib) / static_cast<double>(sockets);
  double rate = run(connections, epoll, static_cast<size_t>(argument(2, 16)), argument(3, 5), payload_bytes);
  double busy_kib = (resident_kib() - before_kib) / static_cast<double>(sockets);
  std::printf(
      "{\"sockets\":%zu,\"deliveries_per_s\":%.0f,\"kib_per_idle_socket\":%.2f,\"kib_per_socket_after_load\":%.2f}\n",
      sockets, rate, idle_kib, busy_kib);
  (*server)->stop(0);
}
