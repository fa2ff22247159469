// The HTTP half of the server, through real sockets.
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <future>
#include <string>
#include <thread>
#include <vector>

#include "base/eventually.h"
#include "net/server.h"
#include "net/test_client.h"

namespace kalamdb::net {
namespace {

using namespace std::chrono_literals;
using Exchange = std::shared_ptr<HttpExchange>;

ServerOptions test_options() {
  ServerOptions options;
  options.port = 0;
  options.io_threads = 2;
  return options;
}

std::unique_ptr<Server> serve(HttpHandler handler, ServerOptions options = test_options()) {
  auto server = Server::listen(std::move(options), std::move(handler), "/ws", nullptr, nullptr);
  EXPECT_TRUE(server.has_value()) << server.error().message;
  return std::move(*server);
}

// Answers with what it was asked.
void echo(const Exchange& exchange) {
  const HttpRequest& request = exchange->request();
  HttpResponse response;
  response.content_type = "text/plain";
  response.body = request.method + " " + request.path + " [" + request.query + "] " + request.body;
  exchange->respond(std::move(response));
}

// Requests that a handler leaves to other threads, which end with the test.
class Workers {
 public:
  ~Workers() {
    for (auto& thread : threads_) thread.join();
  }
  template <typename Work>
  void start(Work work) {
    std::lock_guard lock(mutex_);
    threads_.emplace_back(std::move(work));
  }

 private:
  std::mutex mutex_;
  std::vector<std::thread> threads_;
};

TEST(HttpServer, AnswersOneRequestAfterTheOther) {
  auto server = serve(echo);
  TestClient client(server->port());
  for (int i = 0; i < 3; ++i) {
    ASSERT_TRUE(client.send("POST /a%20b?x=1 HTTP/1.1\r\nHost: t\r\nContent-Length: 5\r\n\r\nhello"));
    auto response = client.read_response();
    ASSERT_TRUE(response);
    EXPECT_EQ(response->status, 200);
    EXPECT_EQ(response->body, "POST /a%20b [x=1] hello");
    EXPECT_NE(response->head.find("Content-Type: text/plain\r\n"), std::string::npos);
    EXPECT_NE(response->head.find("Date: "), std::string::npos);
    EXPECT_EQ(response->head.find("Connection:"), std::string::npos);
  }
}

TEST(HttpServer, AcceptsARequestInAnyPieces) {
  auto server = serve(echo);
  TestClient client(server->port());
  std::string request =
      "POST /p HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n4;x=y\r\ndefg\r\n0\r\nSecret: "
      "1\r\n\r\n";
  for (char c : request) {
    ASSERT_TRUE(client.send({&c, 1}));
    std::this_thread::sleep_for(200us);
  }
  auto response = client.read_response();
  ASSERT_TRUE(response);
  EXPECT_EQ(response->body, "POST /p [] abcdefg");
}

TEST(HttpServer, LeavesTrailersOut) {
  auto server = serve([](const Exchange& exchange) {
    HttpResponse response;
    response.body = std::string(exchange->request().header("secret"));
    exchange->respond(std::move(response));
  });
  TestClient client(server->port());
  client.send("POST / HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nSecret: 1\r\n\r\n");
  auto response = client.read_response();
  ASSERT_TRUE(response);
  EXPECT_EQ(response->status, 200);
  EXPECT_EQ(response->body, "");
}

TEST(HttpServer, AnswersPipelinedRequestsInOrder) {
  Workers workers;
  auto server = serve([&](const Exchange& exchange) {
    // Every other one is answered by a thread, and late.
    if (exchange->request().path.back() % 2 == 0) return echo(exchange);
    workers.start([exchange] {
      std::this_thread::sleep_for(5ms);
      echo(exchange);
    });
  });
  TestClient client(server->port());
  std::string requests;
  for (int i = 0; i < 20; ++i) requests += "GET /" + std::to_string(i) + " HTTP/1.1\r\nHost: t\r\n\r\n";
  ASSERT_TRUE(client.send(requests));
  for (int i = 0; i < 20; ++i) {
    auto response = client.read_response();
    ASSERT_TRUE(response);
    EXPECT_EQ(response->body, "GET /" + std::to_string(i) + " [] ");
  }
  server->stop(1000);
}

TEST(HttpServer, DoesNotReadOnForAClientThatReadsNoAnswers) {
  std::atomic<int> handled{0};
  auto server = serve([&](const Exchange& exchange) {
    ++handled;
    HttpResponse response;
    response.body.assign(64 << 10, 'x');
    exchange->respond(std::move(response));
  });
  TestClient client(server->port(), 4 << 10);
  std::string requests;
  constexpr int kRequests = 1000;
  for (int i = 0; i < kRequests; ++i) requests += "GET / HTTP/1.1\r\nHost: t\r\n\r\n";
  ASSERT_TRUE(client.send(requests));
  std::this_thread::sleep_for(200ms);
  EXPECT_LT(handled, kRequests / 2);
  for (int i = 0; i < kRequests; ++i) {
    auto response = client.read_response();
    ASSERT_TRUE(response);
    ASSERT_EQ(response->body.size(), 64u << 10);
  }
}

TEST(HttpServer, HeadHasLengthButNoBody) {
  auto server = serve(echo);
  TestClient client(server->port());
  client.send("HEAD /x HTTP/1.1\r\nHost: t\r\n\r\nGET /y HTTP/1.1\r\nHost: t\r\n\r\n");
  auto head = client.read_response(true);
  ASSERT_TRUE(head);
  EXPECT_NE(head->head.find("Content-Length: 11\r\n"), std::string::npos);
  auto get = client.read_response();
  ASSERT_TRUE(get);
  EXPECT_EQ(get->body, "GET /y [] ");
}

TEST(HttpServer, ClosesWhenAskedTo) {
  auto server = serve(echo);
  for (const char* request : {"GET / HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n", "GET / HTTP/1.0\r\n\r\n"}) {
    TestClient client(server->port());
    client.send(request);
    auto all = client.read_to_end();
    ASSERT_TRUE(all);
    EXPECT_TRUE(all->starts_with("HTTP/1.1 200 OK\r\n")) << *all;
    EXPECT_NE(all->find("Connection: close\r\n"), std::string::npos);
  }
}

TEST(HttpServer, AnswersAClientThatClosedItsSendingSide) {
  Workers workers;
  auto server = serve([&](const Exchange& exchange) {
    workers.start([exchange] {
      std::this_thread::sleep_for(20ms);
      echo(exchange);
    });
  });
  TestClient client(server->port());
  client.send("GET /half HTTP/1.1\r\nHost: t\r\n\r\n");
  client.shutdown_send();
  auto all = client.read_to_end();
  ASSERT_TRUE(all);
  EXPECT_TRUE(all->ends_with("GET /half [] ")) << *all;
}

TEST(HttpServer, ContinuesAnExpectation) {
  auto server = serve(echo);
  TestClient client(server->port());
  client.send("POST /e HTTP/1.1\r\nHost: t\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n");
  auto interim = client.read_response();
  ASSERT_TRUE(interim);
  EXPECT_EQ(interim->status, 100);
  client.send("abc");
  auto response = client.read_response();
  ASSERT_TRUE(response);
  EXPECT_EQ(response->body, "POST /e [] abc");
}

TEST(HttpServer, RefusesTooLargeBodies) {
  ServerOptions options = test_options();
  options.max_body_bytes = 1000;
  auto server = serve(echo, options);
  const std::string expected =
      R"({"error":"BODY_TOO_LARGE","message":"Request body exceeds maximum allowed size","size_bytes":200000,"max_bytes":1000})";
  {  // The body comes along: the answer must arrive nevertheless, not a reset.
    TestClient client(server->port());
    client.send("POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 200000\r\n\r\n");
    client.send(std::string(200'000, 'x'));
    auto response = client.read_response();
    ASSERT_TRUE(response);
    EXPECT_EQ(response->status, 413);
    EXPECT_EQ(response->body, expected);
    EXPECT_EQ(client.read_to_end(), "");
  }
  {  // With an expectation the body is never asked for.
    TestClient client(server->port());
    client.send("POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 200000\r\nExpect: 100-continue\r\n\r\n");
    auto response = client.read_response();
    ASSERT_TRUE(response);
    EXPECT_EQ(response->status, 413);
  }
  {
    TestClient client(server->port());
    client.send("POST / HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n");
    for (int i = 0; i < 3; ++i) client.send("190\r\n" + std::string(400, 'x') + "\r\n");
    auto response = client.read_response();
    ASSERT_TRUE(response);
    EXPECT_EQ(response->status, 413);
  }
  {
    TestClient client(server->port());
    client.send("POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 1000\r\n\r\n" + std::string(1000, 'x'));
    auto response = client.read_response();
    ASSERT_TRUE(response);
    EXPECT_EQ(response->status, 200);
  }
}

TEST(HttpServer, TakesLargeBodiesWithinTheLimit) {
  auto server = serve(echo);
  TestClient client(server->port());
  std::string body(8 << 20, 'b');
  client.send("POST /big HTTP/1.1\r\nHost: t\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body);
  auto response = client.read_response();
  ASSERT_TRUE(response);
  EXPECT_EQ(response->body, "POST /big [] " + body);
}

TEST(HttpServer, RefusesTooLargeHeaders) {
  ServerOptions options = test_options();
  options.max_header_bytes = 4 << 10;
  auto server = serve(echo, options);
  std::string one = "GET / HTTP/1.1\r\nHost: t\r\nX: " + std::string(8 << 10, 'x') + "\r\n\r\n";
  std::string many = "GET / HTTP/1.1\r\nHost: t\r\n";
  for (int i = 0; i < 1000; ++i) many += "X: yyyyyyyy\r\n";
  for (const std::string& request : {one, many + "\r\n", "GET /" + std::string(8 << 10, 'p') + " HTTP/1.1\r\n\r\n"}) {
    TestClient client(server->port());
    client.send(request);
    auto response = client.read_response();
    ASSERT_TRUE(response);
    EXPECT_EQ(response->status, 431);
  }
}

TEST(HttpServer, RefusesMalformedRequests) {
  auto server = serve(echo);
  for (const char* request : {
           "NONSENSE\r\n\r\n",
           "GET / HTTP/1.1\r\n\r\n",  // no Host
           "GET / HTTP/3.0\r\nHost: t\r\n\r\n",
           "GET / HTTP/1.1\r\nHost: t\r\nBad Header: x\r\n\r\n",
           "GET foo HTTP/1.1\r\nHost: t\r\n\r\n",
           "POST / HTTP/1.1\r\nHost: t\r\nContent-Length: x\r\n\r\n",
           // Two ways to say where the body ends are how requests are smuggled past proxies.
           "POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabc",
           "POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\nabc",
           "POST / HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
       }) {
    TestClient client(server->port());
    client.send(request);
    auto response = client.read_response();
    ASSERT_TRUE(response) << request;
    EXPECT_EQ(response->status, 400) << request;
    EXPECT_NE(response->body.find("\"error\":\"BAD_REQUEST\""), std::string::npos);
    EXPECT_EQ(client.read_to_end(), "") << request;
  }
}

TEST(HttpServer, TakesTheAbsoluteForm) {
  auto server = serve(echo);
  TestClient client(server->port());
  client.send("GET http://host:1/a/b?c HTTP/1.1\r\nHost: t\r\n\r\nGET http://host HTTP/1.1\r\nHost: t\r\n\r\n");
  EXPECT_EQ(client.read_response()->body, "GET /a/b [c] ");
  EXPECT_EQ(client.read_response()->body, "GET / [] ");
}

TEST(HttpServer, KeepsLineBreaksOutOfHeaders) {
  auto server = serve([](const Exchange& exchange) {
    HttpResponse response;
    response.headers.push_back({"X-Name", "a\r\nSet-Cookie: evil=1"});
    exchange->respond(std::move(response));
  });
  TestClient client(server->port());
  client.send("GET / HTTP/1.1\r\nHost: t\r\n\r\n");
  EXPECT_EQ(client.read_response()->head.find("\r\nSet-Cookie"), std::string::npos);
}

TEST(HttpServer, TimesOut) {
  ServerOptions options = test_options();
  options.header_timeout_ms = options.body_timeout_ms = options.idle_timeout_ms = 100;
  auto server = serve(echo, options);
  TestClient silent(server->port()), header(server->port()), body(server->port()), idle(server->port());
  header.send("GET / HT");
  body.send("POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 5\r\n\r\nab");
  idle.send("GET / HTTP/1.1\r\nHost: t\r\n\r\n");
  EXPECT_EQ(idle.read_response()->status, 200);
  EXPECT_EQ(header.read_response()->status, 408);
  EXPECT_EQ(body.read_response()->status, 408);
  EXPECT_EQ(silent.read_to_end(), "");
  EXPECT_EQ(idle.read_to_end(), "");
}

TEST(HttpServer, HandlersAreNotTimedOut) {
  ServerOptions options = test_options();
  options.header_timeout_ms = options.body_timeout_ms = options.idle_timeout_ms = options.write_timeout_ms = 30;
  Workers workers;
  auto server = serve(
      [&](const Exchange& exchange) {
        workers.start([exchange] {
          std::this_thread::sleep_for(200ms);
          echo(exchange);
        });
      },
      options);
  TestClient client(server->port());
  client.send("GET /slow HTTP/1.1\r\nHost: t\r\n\r\n");
  auto response = client.read_response();
  ASSERT_TRUE(response);
  EXPECT_EQ(response->body, "GET /slow [] ");
}

TEST(HttpServer, RefusesConnectionsOverTheLimit) {
  ServerOptions options = test_options();
  options.max_connections = 2;
  auto server = serve(echo, options);
  auto works = [&](TestClient& client) {
    client.send("GET / HTTP/1.1\r\nHost: t\r\n\r\n");
    auto response = client.read_response();
    return response ? response->status : 0;
  };
  TestClient second(server->port());
  EXPECT_EQ(works(second), 200);
  {
    TestClient first(server->port());
    EXPECT_EQ(works(first), 200);
    TestClient third(server->port());
    EXPECT_EQ(works(third), 503);
    EXPECT_EQ(third.read_to_end(), "");
  }
  EXPECT_TRUE(eventually([&] {
    TestClient again(server->port());
    return works(again) == 200;
  }));
}

TEST(HttpServer, AnswersForHandlersThatDoNot) {
  auto server = serve([](const Exchange& exchange) {
    if (exchange->request().path == "/throw") throw std::runtime_error("expected by the test");
  });
  TestClient client(server->port());
  client.send("GET /drop HTTP/1.1\r\nHost: t\r\n\r\nGET /throw HTTP/1.1\r\nHost: t\r\n\r\n");
  EXPECT_EQ(client.read_response()->status, 500);
  EXPECT_EQ(client.read_response()->status, 500);
}

// Streams `parts` parts of `size` bytes and reports how many were taken.
struct Streamer {
  std::atomic<int> written{0};
  std::atomic<bool> failed{false};
  std::atomic<bool> gone{false};
  Workers workers;

  HttpHandler handler(int parts, size_t size, bool complete = true) {
    return [=, this](const Exchange& exchange) {
      workers.start([=, this] {
        HttpResponse response;
        response.body = "first,";
        exchange->begin(std::move(response));
        for (int i = 0; i < parts; ++i) {
          if (!exchange->write(std::string(size, static_cast<char>('a' + i % 26)), [] { return false; })) {
            failed = true;
            gone = exchange->client_gone();
            return;
          }
          ++written;
        }
        exchange->finish(complete);
      });
    };
  }
};

TEST(HttpServer, StreamsInChunks) {
  Streamer streamer;
  auto server = serve(streamer.handler(50, 100'000));
  TestClient client(server->port());
  for (int round = 0; round < 2; ++round) {  // the connection stays usable
    client.send("GET / HTTP/1.1\r\nHost: t\r\n\r\n");
    auto response = client.read_response();
    ASSERT_TRUE(response);
    std::string expected = "first,";
    for (int i = 0; i < 50; ++i) expected += std::string(100'000, static_cast<char>('a' + i % 26));
    EXPECT_TRUE(response->body == expected);
  }
  client.send("HEAD / HTTP/1.1\r\nHost: t\r\n\r\n");
  ASSERT_TRUE(client.read_response(true));
  EXPECT_FALSE(client.anything_within(50));
  TestClient old(server->port());
  old.send("GET / HTTP/1.0\r\n\r\n");
  auto all = old.read_to_end();
  ASSERT_TRUE(all);
  EXPECT_EQ(all->find("chunked"), std::string::npos);
  EXPECT_EQ(all->size() - all->find("\r\n\r\n") - 4, 5'000'006u);
  server->stop(1000);
}

TEST(HttpServer, StreamsNoFasterThanTheClientReads) {
  Streamer streamer;
  auto server = serve(streamer.handler(1000, 100'000));
  TestClient client(server->port(), 4 << 10);
  client.send("GET / HTTP/1.1\r\nHost: t\r\n\r\n");
  ASSERT_TRUE(client.fill(10));
  std::this_thread::sleep_for(200ms);
  // 1 MiB of window, and what the kernel buffers.
  EXPECT_LT(streamer.written, 200);
  auto response = client.read_response();
  ASSERT_TRUE(response);
  EXPECT_EQ(response->body.size(), 100'000'006u);
}

TEST(HttpServer, StopsStreamingToAClientThatLeaves) {
  Streamer streamer;
  auto server = serve(streamer.handler(100'000, 10'000));
  {
    TestClient client(server->port(), 4 << 10);
    client.send("GET / HTTP/1.1\r\nHost: t\r\n\r\n");
    ASSERT_TRUE(client.fill(10));
  }
  EXPECT_TRUE(eventually([&] { return streamer.failed.load(); }));
  EXPECT_TRUE(streamer.gone);
}

TEST(HttpServer, StopsStreamingToAClientThatDoesNotRead) {
  ServerOptions options = test_options();
  options.write_timeout_ms = 100;
  Streamer streamer;
  auto server = serve(streamer.handler(100'000, 10'000), options);
  TestClient client(server->port(), 4 << 10);
  client.send("GET / HTTP/1.1\r\nHost: t\r\n\r\n");
  EXPECT_TRUE(eventually([&] { return streamer.failed.load(); }));
}

TEST(HttpServer, BreaksAnIncompleteStream) {
  Streamer streamer;
  auto server = serve(streamer.handler(1, 10, false));
  TestClient client(server->port());
  client.send("GET / HTTP/1.1\r\nHost: t\r\n\r\n");
  auto all = client.read_to_end();
  ASSERT_TRUE(all);
  EXPECT_FALSE(all->ends_with("0\r\n\r\n"));
}

TEST(HttpServer, AnswersFromOtherThreadsInBulk) {
  // Like a group commit: many connections are answered at once by one thread.
  std::mutex mutex;
  std::vector<Exchange> waiting;
  auto server = serve([&](Exchange exchange) {
    std::lock_guard lock(mutex);
    waiting.push_back(std::move(exchange));
  });
  std::vector<TestClient> clients;
  for (int i = 0; i < 100; ++i) clients.emplace_back(server->port());
  for (int round = 0; round < 20; ++round) {
    for (size_t i = 0; i < clients.size(); ++i) {
      clients[i].send("GET /" + std::to_string(i) + " HTTP/1.1\r\nHost: t\r\n\r\n");
    }
    ASSERT_TRUE(eventually([&] {
      std::lock_guard lock(mutex);
      return waiting.size() == clients.size();
    }));
    for (auto& exchange : waiting) echo(exchange);
    waiting.clear();
    for (size_t i = 0; i < clients.size(); ++i) {
      auto response = clients[i].read_response();
      ASSERT_TRUE(response);
      EXPECT_EQ(response->body, "GET /" + std::to_string(i) + " [] ");
    }
  }
}

TEST(HttpServer, ReportsAPortInUse) {
  auto server = serve(echo);
  ServerOptions options = test_options();
  options.port = server->port();
  auto second = Server::listen(options, echo, "/ws", nullptr, nullptr);
  ASSERT_FALSE(second.has_value());
  EXPECT_EQ(second.error().code, ErrorCode::kIo);
  EXPECT_EQ(second.error().message,
            "cannot listen on 127.0.0.1:" + std::to_string(options.port) + ": Address already in use");
}

TEST(HttpServer, ListensOnNames) {
  ServerOptions options = test_options();
  options.host = "localhost";
  auto server = serve(
      [](const Exchange& exchange) {
        HttpResponse response;
        response.body = exchange->request().peer_address;
        exchange->respond(std::move(response));
      },
      options);
  TestClient client(server->port());
  client.send("GET / HTTP/1.1\r\nHost: t\r\n\r\n");
  EXPECT_EQ(client.read_response()->body, "127.0.0.1");
  options.host = "no-such-host.invalid";
  EXPECT_FALSE(Server::listen(options, echo, "/ws", nullptr, nullptr).has_value());
}

TEST(HttpServer, ReportsIpv4PeersOfAnIpv6SocketAsIpv4) {
  ServerOptions options = test_options();
  options.host = "::";
  auto server = Server::listen(
      options,
      [](const Exchange& exchange) {
        HttpResponse response;
        response.body = exchange->request().peer_address;
        exchange->respond(std::move(response));
      },
      "/ws", nullptr, nullptr);
  if (!server) GTEST_SKIP() << "no IPv6 on this machine: " << server.error().message;
  TestClient client((*server)->port());
  client.send("GET / HTTP/1.1\r\nHost: t\r\n\r\n");
  EXPECT_EQ(client.read_response()->body, "127.0.0.1");
}

TEST(HttpServer, StopLetsRunningRequestsFinish) {
  std::promise<void> arrived;
  Workers workers;
  auto server = serve([&](const Exchange& exchange) {
    workers.start([&, exchange] {
      arrived.set_value();
      std::this_thread::sleep_for(100ms);
      echo(exchange);
    });
  });
  TestClient idle(server->port());
  idle.send("GET");  // a request that will never be complete does not hold stop() past its grace
  TestClient client(server->port());
  client.send("GET /last HTTP/1.1\r\nHost: t\r\n\r\n");
  arrived.get_future().wait();
  uint16_t port = server->port();
  server->stop(1000);
  auto all = client.read_to_end();
  ASSERT_TRUE(all);
  EXPECT_TRUE(all->ends_with("GET /last [] ")) << *all;
  EXPECT_NE(all->find("Connection: close"), std::string::npos);
  EXPECT_FALSE(TestClient(port).connected());
  server->stop(1000);
}

TEST(HttpServer, StopCutsWhatTakesLonger) {
  std::promise<Exchange> arrived;
  auto server = serve([&](Exchange exchange) { arrived.set_value(std::move(exchange)); });
  TestClient client(server->port());
  client.send("GET / HTTP/1.1\r\nHost: t\r\n\r\n");
  Exchange kept = arrived.get_future().get();
  auto before = std::chrono::steady_clock::now();
  server->stop(50);
  EXPECT_LT(std::chrono::steady_clock::now() - before, 10s);
  EXPECT_EQ(client.read_to_end(), "");
  EXPECT_TRUE(kept->client_gone());
  server.reset();
  kept->respond({});  // after the server's end this does nothing
}

TEST(HttpServer, StopWhileBusy) {
  std::atomic<bool> done{false};
  Streamer streamer;
  auto stream = streamer.handler(100'000, 10'000);
  auto server = serve([&](const Exchange& exchange) {
    if (exchange->request().path == "/stream") return stream(exchange);
    echo(exchange);
  });
  std::vector<std::thread> clients;
  for (int i = 0; i < 8; ++i) {
    clients.emplace_back([&, i] {
      while (!done) {
        TestClient client(server->port());
        std::string path = i == 0 ? "/stream" : "/";
        while (!done && client.send("GET " + path + " HTTP/1.1\r\nHost: t\r\n\r\n") && client.fill(50, 100)) {
          client.read_response();
        }
      }
    });
  }
  std::this_thread::sleep_for(200ms);
  server->stop(20);
  done = true;
  for (auto& client : clients) client.join();
  EXPECT_TRUE(streamer.failed);
}

TEST(HttpRequest, FindsHeadersAndCookies) {
  HttpRequest request;
  request.headers = {{"Content-TYPE", "a"}, {"content-type", "b"}, {"Cookie", "x=1; name=\"v\";other = z ; empty="}};
  EXPECT_EQ(request.header("content-type"), "a");
  EXPECT_EQ(request.header("missing"), "");
  EXPECT_EQ(request.cookie("x"), "1");
  EXPECT_EQ(request.cookie("name"), "v");
  EXPECT_EQ(request.cookie("other"), "z");
  EXPECT_EQ(request.cookie("empty"), "");
  EXPECT_EQ(request.cookie("nam"), "");
}

}  // namespace
}  // namespace kalamdb::net
