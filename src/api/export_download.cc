// GET /v1/exports/{user}/{export id}: the archive of an EXPORT USER DATA.
#include <fstream>

#include "api/api.h"
#include "cold/sigv4.h"
#include "protocol/auth_messages.h"
#include "query/user_export.h"

namespace kalamdb::api {

namespace {

constexpr size_t kPartBytes = 256 << 10;

void respond_json(net::HttpExchange& exchange, int status, std::string body) {
  net::HttpResponse response;
  response.status = status;
  response.body = std::move(body);
  exchange.respond(std::move(response));
}

void respond_not_found(net::HttpExchange& exchange) {
  respond_json(exchange, 404, R"({"error":"Export not found","code":"EXPORT_NOT_FOUND"})");
}

// On a worker.
void send_archive(const Services& services, net::HttpExchange& exchange, const std::string& path,
                  const std::string& encoded_id) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return respond_not_found(exchange);
  net::HttpResponse response;
  response.content_type = "application/zip";
  response.headers.push_back(
      {"Content-Disposition", "attachment; filename=\"export.zip\"; filename*=UTF-8''" + encoded_id + ".zip"});
  response.headers.push_back({"Cache-Control", "no-store"});
  exchange.begin(std::move(response));
  std::string part(kPartBytes, '\0');
  while (file.read(part.data(), kPartBytes), file.gcount() > 0) {
    const auto written = exchange.write(part.substr(0, static_cast<size_t>(file.gcount())),
                                        [&] { return services.workers.is_saturated(); });
    if (!written) return exchange.finish(/*complete=*/false);
  }
  exchange.finish(/*complete=*/!file.bad());
}

void authenticated(const Services& services, const ExchangePtr& exchange,
                   const auth::AuthResult<auth::Identity>& identity) {
  if (!identity) {
    const auth::AuthFailure& failure = identity.error();
    return respond_json(*exchange, failure.http_status, protocol::auth_failure_body(failure.code, failure.message, 0));
  }
  const std::string_view rest = std::string_view(exchange->request().path).substr(kExportsPath.size());
  const size_t slash = rest.find('/');
  if (slash == rest.npos) return respond_not_found(*exchange);
  const UserId user(cold::decoded(rest.substr(0, slash)));
  if (user != identity->user && !catalog::is_admin(identity->role)) {
    return respond_json(*exchange, 403, R"({"error":"You can only download your own exports","code":"FORBIDDEN"})");
  }
  const bool accepted = services.workers.post([&services, exchange, user, id = cold::decoded(rest.substr(slash + 1))] {
    const auto path = query::export_archive(services.queries.services(), user, id);
    if (!path) return respond_not_found(*exchange);
    send_archive(services, *exchange, *path, cold::encoded_path(id));
  });
  if (!accepted) respond_json(*exchange, 503, R"({"error":"The server is busy or stopping","code":"UNAVAILABLE"})");
}

}  // namespace

void handle_export(const Services& services, ExchangePtr exchange) {
  const std::string_view authorization = exchange->request().header("Authorization");
  if (const auto identity = services.authenticator.authenticate(authorization)) {
    return authenticated(services, exchange, *identity);
  }
  services.authenticator.authenticate_basic(authorization, peer_of(exchange->request()),
                                            [&services, exchange](const auth::AuthResult<auth::Identity>& result) {
                                              authenticated(services, exchange, result);
                                            });
}

}  // namespace kalamdb::api
