// The net layer alone: answers every request with a constant JSON body, within the handler's call. Compared with
// bare_beast, it shows what the transport itself costs. Usage: bare_net PORT [THREADS]
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <string>

#include "net/server.h"

int main(int argc, char** argv) {
  namespace net = kalamdb::net;
  net::ServerOptions options;
  options.port = static_cast<uint16_t>(argc > 1 ? std::atoi(argv[1]) : 8081);
  options.io_threads = static_cast<unsigned>(argc > 2 ? std::atoi(argv[2]) : 2);
  const std::string body = "{\"data\":\"" + std::string(189, 'x') + "\"}";
  auto handler = [&](std::shared_ptr<net::HttpExchange> exchange) {
    net::HttpResponse response;
    response.body = body;
    exchange->respond(std::move(response));
  };
  auto server = net::Server::listen(options, handler, "/ws", nullptr, nullptr);
  if (!server) {
    std::fprintf(stderr, "%s\n", server.error().message.c_str());
    return 1;
  }
  std::printf("listening on %u\n", (*server)->port());
  std::fflush(stdout);
  pause();
}
