// WebSockets through real sockets.
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <string>
#include <thread>
#include <vector>

#include "base/eventually.h"
#include "net/server.h"
#include "net/test_client.h"

namespace kalamdb::net {
namespace {

using namespace std::chrono_literals;

FramePtr text(std::string payload) { return std::make_shared<const Frame>(Frame{std::move(payload)}); }

// What the sessions of one server have in common. Outlives the server.
struct Hub {
  std::mutex mutex;
  std::vector<std::shared_ptr<WebSocketConnection>> connections;
  std::atomic<int> closed{0};
  std::atomic<int> drained{0};
  std::atomic<int> timed{0};
  std::function<void()> before_secret;
};

// Sends back what comes; some texts are commands.
class EchoSession final : public WebSocketSession {
 public:
  EchoSession(Hub& hub, std::shared_ptr<WebSocketConnection> connection)
      : hub_(hub), connection_(std::move(connection)) {}

  void on_message(std::string payload, bool binary) override {
    if (payload == "close") return connection_->close(1008, "Authentication failed");
    if (payload == "secret") {
      hub_.before_secret();
      return connection_->send(text("secret"));
    }
    if (payload == "throw") throw std::runtime_error("expected by the test");
    if (payload == "later") {
      connection_->post_after(40, [this] { connection_->send(text("second")); });
      connection_->post_after(10, [this] { connection_->send(text("first")); });
      return;
    }
    if (payload == "much later") return connection_->post_after(60, [this] { ++hub_.timed; });
    connection_->send(std::make_shared<const Frame>(Frame{std::move(payload), binary}));
  }
  void on_oversized(size_t bytes) override { connection_->send(text("oversized " + std::to_string(bytes))); }
  void on_drained() override { ++hub_.drained; }
  void on_closed() override { ++hub_.closed; }

 private:
  Hub& hub_;
  std::shared_ptr<WebSocketConnection> connection_;
};

class WebSocketServer : public testing::Test {
 protected:
  void start(WebSocketOptions websocket = {}) {
    ServerOptions options;
    options.port = 0;
    options.io_threads = io_threads_;
    options.websocket = websocket;
    auto handler = [](const std::shared_ptr<HttpExchange>& exchange) { exchange->respond({404}); };
    auto check = [](const HttpRequest& request) -> std::optional<HttpResponse> {
      if (request.query != "refuse") return std::nullopt;
      HttpResponse response;
      response.status = 403;
      response.body = "Origin not allowed";
      return response;
    };
    auto factory = [this](std::shared_ptr<WebSocketConnection> connection, const HttpRequest& upgrade) {
      EXPECT_EQ(connection->peer_address(), "127.0.0.1");
      if (upgrade.query == "greet") connection->send(text("hello"));
      std::lock_guard lock(hub_.mutex);
      hub_.connections.push_back(connection);
      return std::make_shared<EchoSession>(hub_, std::move(connection));
    };
    auto server = Server::listen(options, handler, "/ws", check, factory);
    ASSERT_TRUE(server.has_value()) << server.error().message;
    server_ = std::move(*server);
  }
  TestClient connect(std::string_view path = "/ws", int receive_buffer = 0) {
    TestClient client(server_->port(), receive_buffer);
    auto response = client.upgrade(path);
    EXPECT_TRUE(response && response->status == 101);
    return client;
  }
  std::shared_ptr<WebSocketConnection> connection(size_t i) {
    EXPECT_TRUE(eventually([&] {
      std::lock_guard lock(hub_.mutex);
      return hub_.connections.size() > i;
    }));
    std::lock_guard lock(hub_.mutex);
    return hub_.connections[i];
  }
  void TearDown() override {
    if (server_) server_->stop(0);
  }

  unsigned io_threads_ = 2;
  Hub hub_;
  std::unique_ptr<Server> server_;
};

TEST_F(WebSocketServer, WhatOneClientDoesNotTakeNobodyElseGets) {
  io_threads_ = 1;  // all connections share what is sent from
  start();
  TestClient client = connect();
  hub_.before_secret = [&] { client.reset(); };
  client.send_frame(1, "secret");
  ASSERT_TRUE(eventually([&] { return hub_.closed == 1; }));
  for (const std::string_view path : {"/other", "/ws"}) {
    TestClient other(server_->port());
    if (path == "/ws") {
      const auto response = other.upgrade(path);
      ASSERT_TRUE(response);
      EXPECT_TRUE(response->head.starts_with("HTTP/1.1 101")) << response->head;
      continue;
    }
    other.send("GET /other HTTP/1.1\r\nHost: t\r\n\r\n");
    const auto response = other.read_response();
    ASSERT_TRUE(response);
    EXPECT_EQ(response->status, 404);
    EXPECT_TRUE(response->head.starts_with("HTTP/1.1 404")) << response->head;
  }
}

TEST_F(WebSocketServer, ShakesHandsAndEchoes) {
  start();
  TestClient client(server_->port());
  auto response = client.upgrade("/ws?greet");
  ASSERT_TRUE(response);
  EXPECT_EQ(response->status, 101);
  EXPECT_NE(response->head.find("Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"), std::string::npos);
  EXPECT_EQ(client.read_frame()->payload, "hello");
  for (size_t size : {0, 5, 125, 126, 300, 65'535, 65'536, 1'000'000}) {
    for (int opcode : {1, 2}) {
      std::string payload(size, 'p');
      client.send_frame(opcode, payload);
      auto frame = client.read_frame();
      ASSERT_TRUE(frame);
      EXPECT_EQ(frame->opcode, opcode);
      EXPECT_TRUE(frame->payload == payload) << size;
    }
  }
  EXPECT_TRUE(eventually([&] { return hub_.drained > 0 && connection(0)->queued_bytes() == 0; }));
}

TEST_F(WebSocketServer, RefusesBadHandshakes) {
  start();
  TestClient refused(server_->port());
  auto response = refused.upgrade("/ws?refuse");
  ASSERT_TRUE(response);
  EXPECT_EQ(response->status, 403);
  EXPECT_EQ(response->body, "Origin not allowed");
  TestClient old(server_->port());
  old.send(
      "GET /ws HTTP/1.1\r\nHost: t\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
      "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 8\r\n\r\n");
  EXPECT_EQ(old.read_response()->status, 426);
  TestClient keyless(server_->port());
  keyless.send(
      "GET /ws HTTP/1.1\r\nHost: t\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\r\n");
  EXPECT_EQ(keyless.read_response()->status, 400);
  TestClient plain(server_->port());
  plain.send("GET /ws HTTP/1.1\r\nHost: t\r\n\r\n");
  EXPECT_EQ(plain.read_response()->status, 404);
  TestClient elsewhere(server_->port());
  EXPECT_EQ(elsewhere.upgrade("/other")->status, 404);
}

TEST_F(WebSocketServer, HandlesFramesThatCameWithTheHandshake) {
  start();
  TestClient client(server_->port());
  client.send(
      "GET /ws HTTP/1.1\r\nHost: t\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
      "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n" +
      TestClient::frame(1, "early"));
  EXPECT_EQ(client.read_response()->status, 101);
  EXPECT_EQ(client.read_frame()->payload, "early");
}

TEST_F(WebSocketServer, JoinsFragmentsAndAnswersPings) {
  start();
  TestClient client = connect();
  client.send_frame(1, "one ", false);
  client.send_frame(9, "are you there");
  client.send_frame(0, "two");
  auto pong = client.read_frame();
  ASSERT_TRUE(pong);
  EXPECT_EQ(pong->opcode, 10);
  EXPECT_EQ(pong->payload, "are you there");
  EXPECT_EQ(client.read_frame()->payload, "one two");
}

TEST_F(WebSocketServer, ClosesInBothDirections) {
  start();
  TestClient client = connect();
  client.send_frame(8, std::string("\x03\xe8", 2) + "bye");
  auto close = client.read_frame();
  ASSERT_TRUE(close);
  EXPECT_EQ(close->opcode, 8);
  EXPECT_EQ(close->close_code(), 1000);
  EXPECT_EQ(client.read_to_end(), "");

  TestClient other = connect();
  other.send_frame(1, "before");
  other.send_frame(1, "close");
  other.send_frame(1, "after");
  EXPECT_EQ(other.read_frame()->payload, "before");
  close = other.read_frame();
  ASSERT_TRUE(close);
  EXPECT_EQ(close->close_code(), 1008);
  EXPECT_EQ(close->payload.substr(2), "Authentication failed");
  other.send_frame(8, close->payload);
  EXPECT_EQ(other.read_to_end(), "");
  EXPECT_TRUE(eventually([&] { return hub_.closed == 2; }));
  connection(0)->send(text("to nobody"));  // does nothing, and counts nothing as queued
  EXPECT_TRUE(eventually([&] { return connection(0)->queued_bytes() == 0; }));
}

TEST_F(WebSocketServer, ClosesOnViolations) {
  start();
  std::string unmasked("\x81\x01x", 3);
  for (auto& [bytes, code] : std::vector<std::pair<std::string, int>>{{unmasked, 1002},
                                                                      {TestClient::frame(1, "\xff"), 1007},
                                                                      {TestClient::frame(8, "\x03"), 1002},
                                                                      {TestClient::frame(1, "throw"), 1011}}) {
    TestClient client = connect();
    client.send(bytes);
    auto close = client.read_frame();
    ASSERT_TRUE(close);
    EXPECT_EQ(close->opcode, 8);
    EXPECT_EQ(close->close_code(), code);
    client.shutdown_send();
    EXPECT_EQ(client.read_to_end(), "");
  }
  EXPECT_TRUE(eventually([&] { return hub_.closed == 4; }));
}

TEST_F(WebSocketServer, DropsOversizedMessagesAndGoesOn) {
  WebSocketOptions options;
  options.max_message_bytes = 1000;
  start(options);
  TestClient client = connect();
  client.send_frame(1, std::string(5'000'000, 'x'));
  EXPECT_EQ(client.read_frame()->payload, "oversized 5000000");
  client.send_frame(1, "small");
  EXPECT_EQ(client.read_frame()->payload, "small");
}

TEST_F(WebSocketServer, ClosesSilentSockets) {
  WebSocketOptions options;
  options.client_timeout_ms = 200;
  options.heartbeat_interval_ms = 50;
  start(options);
  TestClient silent = connect();
  TestClient lively = connect();
  auto start = std::chrono::steady_clock::now();
  std::jthread pinger([&](const std::stop_token& stop) {
    while (!stop.stop_requested()) {
      lively.send_frame(10, "");
      std::this_thread::sleep_for(20ms);
    }
  });
  auto close = silent.read_frame();
  EXPECT_GE(std::chrono::steady_clock::now() - start, 150ms);
  ASSERT_TRUE(close);
  EXPECT_EQ(close->close_code(), 1000);
  EXPECT_EQ(close->payload.substr(2), "Heartbeat timeout");
  EXPECT_FALSE(lively.anything_within(300));
}

TEST_F(WebSocketServer, RunsTasksOnItsExecutor) {
  start();
  TestClient client = connect();
  client.send_frame(1, "later");
  EXPECT_EQ(client.read_frame()->payload, "first");
  EXPECT_EQ(client.read_frame()->payload, "second");
  connection(0)->post([&] { connection(0)->send(text("posted")); });
  EXPECT_EQ(client.read_frame()->payload, "posted");
  client.send_frame(1, "much later");
  client.send_frame(1, "echo");
  EXPECT_EQ(client.read_frame()->payload, "echo");
  client.close();
  EXPECT_TRUE(eventually([&] { return hub_.closed == 1; }));
  std::this_thread::sleep_for(100ms);
  EXPECT_EQ(hub_.timed, 0);
}

TEST_F(WebSocketServer, QueuesForASlowReaderAndReportsIt) {
  start();
  TestClient client = connect("/ws", 16 << 10);
  auto peer = connection(0);
  constexpr int kFrames = 2000;
  for (int i = 0; i < kFrames; ++i) peer->send(text(std::to_string(i) + std::string(10'000, '.')));
  std::this_thread::sleep_for(100ms);
  EXPECT_GT(peer->queued_bytes(), 1'000'000u);
  int drained = hub_.drained;
  for (int i = 0; i < kFrames; ++i) {
    auto frame = client.read_frame();
    ASSERT_TRUE(frame);
    ASSERT_EQ(std::atoi(frame->payload.c_str()), i);
    ASSERT_EQ(frame->payload.size(), std::to_string(i).size() + 10'000);
  }
  EXPECT_TRUE(eventually([&] { return hub_.drained > drained && peer->queued_bytes() == 0; }));
}

TEST_F(WebSocketServer, SurvivesPingsOfAClientThatNeverReads) {
  start();
  TestClient client = connect("/ws", 4 << 10);
  connection(0)->send(text(std::string(8 << 20, 'x')));  // keeps the pongs waiting
  std::string pings;
  for (int i = 0; i < 1000; ++i) pings += TestClient::frame(9, std::string(100, 'p'));
  ASSERT_TRUE(client.send(pings));
  ASSERT_TRUE(client.send_frame(9, "last"));
  EXPECT_EQ(client.read_frame()->payload.size(), 8u << 20);
  int pongs = 0;
  std::string latest;
  while (latest != "last") {
    auto pong = client.read_frame();
    ASSERT_TRUE(pong);
    latest = pong->payload;
    ++pongs;
  }
  EXPECT_LT(pongs, 1000);
}

TEST_F(WebSocketServer, FansOutToAThousandSockets) {
  start();
  constexpr size_t kSockets = 1000;
  constexpr int kFrames = 50;
  std::vector<TestClient> clients;
  for (size_t i = 0; i < kSockets; ++i) clients.push_back(connect());
  connection(kSockets - 1);
  for (int i = 0; i < kFrames; ++i) {
    FramePtr frame = text(std::to_string(i) + std::string(200, ' '));
    for (auto& peer : hub_.connections) peer->send(frame);
  }
  for (TestClient& client : clients) {
    for (int i = 0; i < kFrames; ++i) {
      auto frame = client.read_frame();
      ASSERT_TRUE(frame);
      ASSERT_EQ(std::atoi(frame->payload.c_str()), i);
    }
  }
}

TEST_F(WebSocketServer, StopSaysGoodbye) {
  start();
  TestClient polite = connect();
  TestClient silent = connect();
  connection(1);
  std::thread stopper([&] { server_->stop(300); });
  auto close = polite.read_frame();
  ASSERT_TRUE(close);
  EXPECT_EQ(close->close_code(), 1001);
  EXPECT_EQ(close->payload.substr(2), "Server shutting down");
  polite.send_frame(8, close->payload);
  EXPECT_EQ(polite.read_to_end(), "");
  stopper.join();
  EXPECT_EQ(hub_.closed, 2);
  EXPECT_EQ(silent.read_frame()->close_code(), 1001);
  EXPECT_EQ(silent.read_to_end(), "");
}

TEST_F(WebSocketServer, StopWhileBusy) {
  start();
  std::vector<TestClient> clients;
  for (int i = 0; i < 50; ++i) clients.push_back(connect());
  connection(49);
  std::jthread sender([&](const std::stop_token& stop) {
    FramePtr frame = text(std::string(200, 'x'));
    while (!stop.stop_requested()) {
      for (auto& peer : hub_.connections) {
        if (peer->queued_bytes() < 100'000) peer->send(frame);
        peer->post_after(1, [this] { ++hub_.timed; });
      }
    }
  });
  std::this_thread::sleep_for(100ms);
  server_->stop(20);
  EXPECT_EQ(hub_.closed, 50);
  std::this_thread::sleep_for(20ms);  // the sender goes on against sockets that are gone
}

}  // namespace
}  // namespace kalamdb::net
