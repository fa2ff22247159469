#include <algorithm>
#include <array>

#include "api/api.h"
#include "protocol/auth_messages.h"

namespace kalamdb::api {

namespace {

constexpr std::array<Endpoint, 11> kEndpoints{{{"POST", "/v1/api/sql", handle_sql},
                                               {"POST", "/v1/api/auth/login", handle_login},
                                               {"POST", "/v1/api/auth/refresh", handle_refresh},
                                               {"POST", "/v1/api/auth/logout", handle_logout},
                                               {"GET", "/v1/api/auth/me", handle_me},
                                               {"GET", "/v1/api/auth/status", handle_setup_status},
                                               {"POST", "/v1/api/auth/setup", handle_setup},
                                               {"GET", kExportsPath, handle_export},
                                               {"GET", "/v1/api/healthcheck", handle_health},
                                               {"GET", "/health", handle_health},
                                               {"HEAD", "/health", handle_health}}};

}  // namespace

void handle_request(const Services& services, ExchangePtr exchange) {
  const net::HttpRequest& request = exchange->request();
  bool known_path = false;
  for (const Endpoint& endpoint : kEndpoints) {
    if (endpoint.path.ends_with('/') ? !request.path.starts_with(endpoint.path) : endpoint.path != request.path) {
      continue;
    }
    known_path = true;
    if (endpoint.method != request.method) continue;
    endpoint.handle(services, std::move(exchange));
    return;
  }
  if (known_path) {
    respond_error(*exchange, 405, "method_not_allowed", "This path does not answer " + request.method);
  } else {
    respond_error(*exchange, 404, "not_found", "There is nothing at this path");
  }
}

auth::Peer peer_of(const net::HttpRequest& request) {
  return {request.peer_address, auth::is_loopback(request.peer_address)};
}

void respond_error(net::HttpExchange& exchange, int status, std::string_view error, std::string_view message) {
  net::HttpResponse response;
  response.status = status;
  response.body = protocol::auth_error_body(error, message);
  exchange.respond(std::move(response));
}

}  // namespace kalamdb::api
