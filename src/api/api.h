// What the HTTP endpoints work with, and the one table that lists them.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "auth/authenticator.h"
#include "auth/login.h"
#include "auth/rate_limiter.h"
#include "live/hub.h"
#include "net/http.h"
#include "platform/random.h"
#include "platform/worker_pool.h"
#include "query/query_service.h"

namespace kalamdb::api {

inline constexpr std::string_view kApiVersion = "v1";
// What clients of the 0.4 line take for the server's version.
inline constexpr std::string_view kServerVersion = "0.4.3-rc.4";

struct ApiOptions {
  uint64_t max_result_rows = 0;         // limits.max_result_rows; 0: no bound
  uint64_t max_result_bytes = 1 << 30;  // limits.max_result_bytes; 0: no bound
  size_t max_nesting = 200;             // limits.max_nesting, of JSON
  bool cookie_secure = true;            // auth.cookie_secure
  uint32_t max_subscriptions_per_connection = 100;
  uint32_t max_subscriptions_per_user = 10;  // of role user; others have no bound
  uint32_t max_messages_per_second = 50;     // of one socket
  int64_t auth_timeout_ms = 3'000;           // websocket.auth_timeout_secs
  size_t max_message_bytes = 1 << 20;        // security.max_ws_message_size
  size_t max_queued_bytes = 4 << 20;         // live.queue_bytes_per_connection
  size_t max_queued_bytes_total = 1 << 30;   // live.queue_bytes_total
  int64_t lag_timeout_ms = 60'000;           // live.lag_timeout_secs
  std::vector<std::string> allowed_origins;  // security.cors.allowed_origins; empty: any
  bool strict_origin_check = false;          // security.strict_ws_origin_check
  bool rate_limit_loopback = false;          // rate_limit.apply_to_loopback
};

// References outlive the server.
struct Services {
  query::QueryService& queries;
  auth::Authenticator& authenticator;
  auth::Login& login;
  auth::RateLimiter& user_limiter;  // queries per second of each user
  live::Hub& hub;
  platform::WorkerPool& workers;
  platform::Clock& clock;
  platform::Random& random;
  ApiOptions options;
};

using ExchangePtr = std::shared_ptr<net::HttpExchange>;

struct Endpoint {
  std::string_view method;
  std::string_view path;  // one that ends with '/' is that of all below it
  void (*handle)(const Services& services, ExchangePtr exchange);
};

// Answers any request by the table of endpoints: 404 for an unknown path, 405 for a known one with another method.
void handle_request(const Services& services, ExchangePtr exchange);

// The endpoints, each in a file of its own.
void handle_sql(const Services& services, ExchangePtr exchange);
void handle_login(const Services& services, ExchangePtr exchange);
void handle_refresh(const Services& services, ExchangePtr exchange);
void handle_logout(const Services& services, ExchangePtr exchange);
void handle_me(const Services& services, ExchangePtr exchange);
void handle_setup_status(const Services& services, ExchangePtr exchange);
void handle_setup(const Services& services, ExchangePtr exchange);
void handle_health(const Services& services, ExchangePtr exchange);
inline constexpr std::string_view kExportsPath = "/v1/exports/";
void handle_export(const Services& services, ExchangePtr exchange);

// Who is on the other end.
auth::Peer peer_of(const net::HttpRequest& request);
// The JSON body {"error":…,"message":…} of the endpoints that are not /sql.
void respond_error(net::HttpExchange& exchange, int status, std::string_view error, std::string_view message);

}  // namespace kalamdb::api
