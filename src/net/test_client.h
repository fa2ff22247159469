// A client on plain sockets for tests: sends any bytes, well-formed or not, and reads what comes back.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace kalamdb::net {

inline constexpr int kTestTimeoutMs = 20'000;

struct TestResponse {
  int status = 0;
  std::string head;
  std::string body;
};

struct TestFrame {
  int opcode = -1;
  std::string payload;

  uint16_t close_code() const {
    if (payload.size() < 2) return 1005;
    return static_cast<uint16_t>(static_cast<uint8_t>(payload[0]) << 8 | static_cast<uint8_t>(payload[1]));
  }
};

class TestClient {
 public:
  // `receive_buffer` other than 0 makes the kernel buffer little, so that the server soon has to wait.
  explicit TestClient(uint16_t port, int receive_buffer = 0) {
    fd_ = socket(AF_INET, SOCK_STREAM, 0);
    if (receive_buffer > 0) setsockopt(fd_, SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof receive_buffer);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    connected_ = connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
  }
  TestClient(TestClient&& other) noexcept
      : fd_(std::exchange(other.fd_, -1)), connected_(other.connected_), input_(std::move(other.input_)) {}
  ~TestClient() { close(); }

  bool connected() const { return connected_; }
  void close() {
    if (fd_ >= 0) ::close(std::exchange(fd_, -1));
  }
  // Ends the connection without a word: what the server sends from now on fails.
  void reset() {
    const linger at_once{.l_onoff = 1, .l_linger = 0};
    setsockopt(fd_, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    close();
  }
  void shutdown_send() { ::shutdown(fd_, SHUT_WR); }

  bool send(std::string_view bytes) {
    while (!bytes.empty()) {
      ssize_t sent = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (sent <= 0) return false;
      bytes.remove_prefix(static_cast<size_t>(sent));
    }
    return true;
  }

  // Reads until `count` bytes are there; false on the end of the stream, an error or a timeout.
  bool fill(size_t count, int timeout_ms = kTestTimeoutMs) {
    while (input_.size() < count) {
      if (!receive(timeout_ms)) return false;
    }
    return true;
  }
  // Everything up to the end of the stream; nullopt when it does not end in time.
  std::optional<std::string> read_to_end(int timeout_ms = kTestTimeoutMs) {
    while (receive(timeout_ms)) {
    }
    if (!ended_) return std::nullopt;
    return std::exchange(input_, {});
  }
  // Whether anything arrives within that time.
  bool anything_within(int timeout_ms) { return !input_.empty() || receive(timeout_ms); }

  // The next response. `bodiless` for answers to HEAD.
  std::optional<TestResponse> read_response(bool bodiless = false) {
    auto head = take_through("\r\n\r\n");
    if (!head) return std::nullopt;
    TestResponse response;
    response.head = *head;
    response.status = std::atoi(head->c_str() + 9);
    size_t length = response.head.find("Content-Length: ");
    if (bodiless || response.status < 200) return response;
    if (length != std::string::npos) {
      size_t size = std::strtoull(response.head.c_str() + length + 16, nullptr, 10);
      if (!fill(size)) return std::nullopt;
      response.body = take(size);
    } else if (response.head.find("Transfer-Encoding: chunked") != std::string::npos) {
      while (true) {
        auto line = take_through("\r\n");
        if (!line) return std::nullopt;
        size_t size = std::strtoull(line->c_str(), nullptr, 16);
        if (!fill(size + 2)) return std::nullopt;
        response.body += take(size);
        take(2);
        if (size == 0) break;
      }
    }
    return response;
  }

  std::optional<TestResponse> upgrade(std::string_view path = "/ws", std::string_view headers = "") {
    send("GET " + std::string(path) +
         " HTTP/1.1\r\nHost: test\r\nUpgrade: websocket\r\nConnection: keep-alive, Upgrade\r\n"
         "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n" +
         std::string(headers) + "\r\n");
    return read_response();
  }

  static std::string frame(int opcode, std::string_view payload, bool fin = true) {
    std::string bytes(1, static_cast<char>((fin ? 0x80 : 0) | opcode));
    if (payload.size() < 126) {
      bytes += static_cast<char>(0x80 | payload.size());
    } else if (payload.size() <= 0xffff) {
      bytes += static_cast<char>(0x80 | 126);
      for (int shift = 8; shift >= 0; shift -= 8) bytes += static_cast<char>(payload.size() >> shift);
    } else {
      bytes += static_cast<char>(0x80 | 127);
      for (int shift = 56; shift >= 0; shift -= 8) bytes += static_cast<char>(payload.size() >> shift);
    }
    const char mask[4] = {0x12, 0x34, 0x56, 0x78};
    bytes.append(mask, 4);
    for (size_t i = 0; i < payload.size(); ++i) bytes += static_cast<char>(payload[i] ^ mask[i & 3]);
    return bytes;
  }
  bool send_frame(int opcode, std::string_view payload, bool fin = true) { return send(frame(opcode, payload, fin)); }

  // The next frame, which must be unmasked.
  std::optional<TestFrame> read_frame(int timeout_ms = kTestTimeoutMs) {
    if (!fill(2, timeout_ms)) return std::nullopt;
    auto byte = [&](size_t i) { return static_cast<uint8_t>(input_[i]); };
    size_t size = byte(1);
    size_t header = size == 126 ? 4 : size == 127 ? 10 : 2;
    if (size > 127 || !fill(header, timeout_ms)) return std::nullopt;
    if (header > 2) {
      size = 0;
      for (size_t i = 2; i < header; ++i) size = size << 8 | byte(i);
    }
    if (!fill(header + size, timeout_ms)) return std::nullopt;
    TestFrame frame;
    frame.opcode = byte(0) & 0x0f;
    take(header);
    frame.payload = take(size);
    return frame;
  }

 private:
  bool receive(int timeout_ms) {
    pollfd wait{fd_, POLLIN, 0};
    if (poll(&wait, 1, timeout_ms) <= 0) return false;
    char bytes[64 << 10];
    ssize_t size = recv(fd_, bytes, sizeof bytes, 0);
    if (size <= 0) {
      ended_ = true;
      return false;
    }
    input_.append(bytes, static_cast<size_t>(size));
    return true;
  }
  std::string take(size_t count) {
    std::string taken = input_.substr(0, count);
    input_.erase(0, count);
    return taken;
  }
  std::optional<std::string> take_through(std::string_view mark) {
    size_t found;
    while ((found = input_.find(mark)) == std::string::npos) {
      if (!receive(kTestTimeoutMs)) return std::nullopt;
    }
    return take(found + mark.size());
  }

  int fd_;
  bool connected_ = false;
  bool ended_ = false;
  std::string input_;
};

}  // namespace kalamdb::net
