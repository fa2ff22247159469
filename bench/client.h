// The client side that the benchmarks share: plain sockets to 127.0.0.1, just enough HTTP/1.1 and WebSocket, the clock
// and percentiles. Errors end the program with a sentence: a benchmark that goes on after one measures nothing.
// Not thread-safe; each benchmark drives all of its sockets from one thread.
#pragma once

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace bench {

[[noreturn]] inline void die(const std::string& message) {
  std::fprintf(stderr, "%s: %s\n", program_invocation_short_name, message.c_str());
  std::exit(1);
}

// Nanoseconds of the monotonic clock, which is one for all processes of a machine.
inline int64_t now_ns() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

// "--name=value" arguments. Dies on a name that is not in `defaults`.
class Options {
 public:
  Options(int argc, char** argv, std::map<std::string, std::string> defaults) : values_(std::move(defaults)) {
    for (int i = 1; i < argc; ++i) {
      const std::string argument = argv[i];
      const size_t equals = argument.find('=');
      if (!argument.starts_with("--") || equals == std::string::npos) die("unknown argument " + argument);
      auto found = values_.find(argument.substr(2, equals - 2));
      if (found == values_.end()) die("unknown argument " + argument);
      found->second = argument.substr(equals + 1);
    }
  }
  const std::string& text(const std::string& name) const { return values_.at(name); }
  int64_t number(const std::string& name) const { return std::atoll(text(name).c_str()); }

 private:
  std::map<std::string, std::string> values_;
};

// The smallest value that is not below the share `p` (0..1) of them; sorts `values`. Dies when there are none.
template <typename T>
T percentile(std::vector<T>& values, double p) {
  if (values.empty()) die("nothing was measured");
  const size_t rank = static_cast<size_t>(static_cast<double>(values.size() - 1) * p);
  std::nth_element(values.begin(), values.begin() + static_cast<ptrdiff_t>(rank), values.end());
  return values[rank];
}

// As many open files as the system allows this process.
inline void raise_file_limit() {
  rlimit limit{};
  getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
}

// 127.0.0.<host>
inline sockaddr_in loopback(int64_t port, size_t host = 1) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(port));
  address.sin_addr.s_addr = htonl(static_cast<uint32_t>(INADDR_LOOPBACK - 1 + host));
  return address;
}

struct Connecting {
  size_t host = 1;             // connects from this loopback address
  bool small_buffers = false;  // the network holds little of what is not read
};

// A connected socket to 127.0.0.1, blocking and without Nagle's delay. The caller owns the descriptor.
inline int connect_to(int64_t port, const Connecting& how = {}) {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) die("cannot open a socket: too many open files?");
  if (how.small_buffers) {
    const int buffer = 4096, segment = 536;  // the other side's buffer goes by it
    ::setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &buffer, sizeof buffer);
    ::setsockopt(fd, IPPROTO_TCP, TCP_MAXSEG, &segment, sizeof segment);
  }
  const sockaddr_in from = loopback(0, how.host);
  if (how.host != 1 && ::bind(fd, reinterpret_cast<const sockaddr*>(&from), sizeof from) != 0) die("cannot bind");
  const sockaddr_in address = loopback(port);
  if (::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    die("cannot connect to port " + std::to_string(port));
  }
  const int on = 1;
  ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  return fd;
}

inline void send_all(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t sent = ::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent <= 0) die("the server closed a connection");
    bytes.remove_prefix(static_cast<size_t>(sent));
  }
}

// Appends what is there (waiting for at least a byte) to `into`.
inline void receive_some(int fd, std::string& into) {
  char bytes[16 << 10];
  const ssize_t size = ::recv(fd, bytes, sizeof bytes, 0);
  if (size <= 0) die("the server closed a connection; it last said: " + into.substr(0, 500));
  into.append(bytes, static_cast<size_t>(size));
}

// Reads until `marker` has arrived; returns all that was read.
inline std::string receive_until(int fd, std::string_view marker) {
  std::string input;
  while (input.find(marker) == std::string::npos) receive_some(fd, input);
  return input;
}

inline std::string http_request(std::string_view path, std::string_view authorization, std::string_view body) {
  std::string request = "POST " + std::string(path) + " HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json";
  if (!authorization.empty()) request += "\r\nAuthorization: " + std::string(authorization);
  return request + "\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + std::string(body);
}

// Inserts a row of the columns id BIGINT, body TEXT; `body` needs no escaping in JSON. `more` ends the statement.
inline std::string insert_request(std::string_view authorization, const std::string& table, uint64_t id,
                                  const std::string& body, const std::string& more = "") {
  return http_request("/v1/api/sql", authorization,
                      R"({"sql":"INSERT INTO )" + table + " (id, body) VALUES ($1, $2)" + more + "\",\"params\":[" +
                          std::to_string(id) + ",\"" + body + "\"]}");
}

// Whether `input` holds a whole HTTP response. Dies when it is not a success.
inline bool is_whole_response(std::string_view input) {
  const size_t head_end = input.find("\r\n\r\n");
  if (head_end == std::string_view::npos) return false;
  std::string head(input.substr(0, head_end + 2));
  std::transform(head.begin(), head.end(), head.begin(), [](char c) { return static_cast<char>(::tolower(c)); });
  const size_t length = head.find("\r\ncontent-length:");
  if (length == std::string::npos) die("a response has no Content-Length");
  if (input.size() < head_end + 4 + std::strtoull(head.c_str() + length + 17, nullptr, 10)) return false;
  if (input.substr(9, 1) != "2") die("the server refused: " + std::string(input));
  return true;
}

// A client's WebSocket text frame. The mask is zero, which is valid and leaves the payload as it is.
inline std::string text_frame(std::string_view payload) {
  if (payload.size() > 65535) die("a frame of this size is not supported");
  std::string frame = "\x81";
  if (payload.size() < 126) {
    frame += static_cast<char>(0x80 | payload.size());
  } else {
    frame += static_cast<char>(0x80 | 126);
    frame += static_cast<char>(payload.size() >> 8);
    frame += static_cast<char>(payload.size() & 0xff);
  }
  return frame.append(4, '\0').append(payload);
}

inline std::string upgrade_request(std::string_view authorization, const std::string& query = "") {
  return "GET /v1/ws" + query +
         " HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
         "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\nAuthorization: " +
         std::string(authorization) + "\r\n\r\n";
}

// Under the id "s".
inline std::string subscribe_frame(std::string_view sql) {
  return text_frame(R"({"type":"subscribe","subscription":{"id":"s","sql":")" + std::string(sql) +
                    "\",\"options\":{}}}");
}

// Subscribes a socket to `sql` and waits for its first batch of rows, which must be small.
inline void subscribe(int fd, std::string_view authorization, std::string_view sql) {
  send_all(fd, upgrade_request(authorization));
  receive_until(fd, "auth_success");
  send_all(fd, subscribe_frame(sql));
  receive_until(fd, "initial_data_batch");
}

}  // namespace bench
