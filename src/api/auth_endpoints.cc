// POST login, refresh, logout, setup; GET me, status: /v1/api/auth/….
#include "api/api.h"
#include "protocol/auth_messages.h"

namespace kalamdb::api {

namespace {

constexpr std::string_view kAccessCookie = "kalamdb_auth";
constexpr std::string_view kRefreshCookie = "kalamdb_refresh";

protocol::UserInfo user_info(const catalog::User& user) {
  protocol::UserInfo info;
  info.id = user.id;
  info.role = lower_name(user.role);
  if (user.email) info.email = *user.email;
  info.created_at_us = user.created_at_us;
  info.updated_at_us = user.updated_at_us;
  info.admin_ui_access = is_admin(user.role);
  return info;
}

void add_cookie(const Services& services, net::HttpResponse& response, std::string_view name, std::string_view value,
                int64_t lifetime_s) {
  std::string cookie = std::string(name) + "=" + std::string(value) +
                       "; HttpOnly; SameSite=Strict; Path=/; Max-Age=" + std::to_string(lifetime_s);
  if (services.options.cookie_secure) cookie += "; Secure";
  response.headers.push_back({"Set-Cookie", std::move(cookie)});
}

void respond_failure(net::HttpExchange& exchange, const auth::AuthFailure& failure) {
  respond_error(exchange, failure.http_status, failure.code, failure.message);
}

void respond_session(const Services& services, net::HttpExchange& exchange,
                     const auth::AuthResult<auth::Session>& session) {
  if (!session) return respond_failure(exchange, session.error());
  const int64_t now_us = services.clock.now_us();
  net::HttpResponse response;
  response.body = protocol::login_body(
      user_info(*session->user),
      {session->access_token, session->expires_at_us, session->refresh_token, session->refresh_expires_at_us});
  response.headers.push_back({"Cache-Control", "no-store"});
  add_cookie(services, response, kAccessCookie, session->access_token, (session->expires_at_us - now_us) / 1'000'000);
  add_cookie(services, response, kRefreshCookie, session->refresh_token,
             (session->refresh_expires_at_us - now_us) / 1'000'000);
  exchange.respond(std::move(response));
}

// The bearer token of a request, or the cookie that stands for it.
std::string_view token_of(const net::HttpRequest& request, std::string_view cookie) {
  constexpr std::string_view kBearer = "Bearer ";
  const std::string_view header = request.header("Authorization");
  return header.starts_with(kBearer) ? header.substr(kBearer.size()) : request.cookie(cookie);
}

}  // namespace

void handle_login(const Services& services, ExchangePtr exchange) {
  auto request = protocol::parse_login(exchange->request().body);
  if (!request) return respond_error(*exchange, 400, "bad_request", request.error().message);
  const auth::Peer peer = peer_of(exchange->request());
  services.login.login(std::move(request->user), std::move(request->password), peer,
                       [&services, exchange](const auth::AuthResult<auth::Session>& session) {
                         respond_session(services, *exchange, session);
                       });
}

void handle_refresh(const Services& services, ExchangePtr exchange) {
  const net::HttpRequest& request = exchange->request();
  std::string_view token = request.cookie(kRefreshCookie);
  if (token.empty()) token = token_of(request, kRefreshCookie);
  respond_session(services, *exchange, services.login.refresh(token, peer_of(request)));
}

void handle_logout(const Services& services, ExchangePtr exchange) {
  net::HttpResponse response;
  response.body = protocol::logout_body();
  add_cookie(services, response, kAccessCookie, "", 0);
  add_cookie(services, response, kRefreshCookie, "", 0);
  exchange->respond(std::move(response));
}

void handle_me(const Services& services, ExchangePtr exchange) {
  const std::string_view token = token_of(exchange->request(), kAccessCookie);
  if (token.empty()) return respond_error(*exchange, 401, "unauthorized", "No auth token found");
  const auto identity = services.authenticator.authenticate_token(token);
  if (!identity) return respond_error(*exchange, 401, "unauthorized", identity.error().message);
  net::HttpResponse response;
  response.body = protocol::me_body(user_info(*identity->account));
  exchange->respond(std::move(response));
}

void handle_setup_status(const Services& services, ExchangePtr exchange) {
  if (const auto allowed = services.login.check_setup_peer(peer_of(exchange->request())); !allowed) {
    return respond_failure(*exchange, allowed.error());
  }
  net::HttpResponse response;
  response.body = protocol::status_body(services.login.needs_setup());
  exchange->respond(std::move(response));
}

void handle_setup(const Services& services, ExchangePtr exchange) {
  auto request = protocol::parse_setup(exchange->request().body);
  if (!request) return respond_error(*exchange, 400, "bad_request", request.error().message);
  auth::SetupDetails details{std::move(request->user), std::move(request->password), std::move(request->root_password),
                             std::move(request->email)};
  services.login.setup(std::move(details), peer_of(exchange->request()),
                       [exchange](const auth::AuthResult<catalog::UserPtr>& user) {
                         if (!user) return respond_failure(*exchange, user.error());
                         net::HttpResponse response;
                         response.body = protocol::setup_body(user_info(**user));
                         exchange->respond(std::move(response));
                       });
}

}  // namespace kalamdb::api
