// GET /health, GET /v1/api/healthcheck: from this machine only.
#include "api/api.h"

namespace kalamdb::api {

void handle_health(const Services&, ExchangePtr exchange) {
  net::HttpResponse response;
  if (peer_of(exchange->request()).loopback) {
    response.body = R"({"status":"healthy","version":")" + std::string(kServerVersion) + R"(","api_version":")" +
                    std::string(kApiVersion) + R"(","build_date":")" __DATE__ R"("})";
  } else {
    response.status = 403;
    response.body = R"({"error":"Access denied. Health endpoint is localhost-only."})";
  }
  exchange->respond(std::move(response));
}

}  // namespace kalamdb::api
