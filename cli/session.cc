#include "cli/session.h"

#include <fmt/format.h>
#include <simdjson.h>
#include <termios.h>
#include <unistd.h>

#include <cstdio>
#include <ctime>

#include "cli/json.h"
#include "cli/output.h"
#include "cli/text.h"

namespace kalamdb::cli {

namespace dom = simdjson::dom;

namespace {

constexpr int kSetupRequired = 428;

// A member of a JSON object that is in `json` (nested names with '/'); empty when it is not there.
std::string json_text(const std::string& json, std::string_view pointer) {
  dom::parser parser;
  std::string_view text;
  if (parser.parse(json).at_pointer(pointer).get(text) != simdjson::SUCCESS) return {};
  return std::string(text);
}

// A claim of a JWT. The signature is the server's business.
std::string token_claims(const std::string& token) {
  const size_t start = token.find('.');
  const size_t end = token.find('.', start + 1);
  if (start == std::string::npos || end == std::string::npos) return "{}";
  std::string claims = decode_base64url(std::string_view(token).substr(start + 1, end - start - 1));
  return claims.empty() ? "{}" : claims;
}

int64_t token_expiry(const std::string& token) {
  dom::parser parser;
  dom::element claims;
  if (parser.parse(token_claims(token)).get(claims) != simdjson::SUCCESS) return 0;
  return int_member(claims, "exp");
}

std::string trimmed(std::string text) {
  while (!text.empty() && text.back() == '\n') text.pop_back();
  return text;
}

std::string json_object(std::initializer_list<std::pair<std::string_view, std::string_view>> members) {
  std::string json = "{";
  for (const auto& [name, value] : members) {
    if (json.size() > 1) json += ',';
    append_json_string(json, name);
    json += ':';
    append_json_string(json, value);
  }
  return json + '}';
}

Result<std::string> ask_twice(const std::string& what) {
  while (true) {
    KALAM_TRY(std::string first, ask(what + ": ", true));
    KALAM_TRY(const std::string second, ask(what + " again: ", true));
    if (first == second) return first;
    fmt::print(stderr, "They differ. Once more.\n");
  }
}

}  // namespace

Result<std::string> ask(const std::string& question, bool secret) {
  std::FILE* terminal = std::fopen("/dev/tty", "r+");
  if (terminal == nullptr) return fail(ErrorCode::kUnavailable, "there is no terminal to ask on");
  termios before{};
  const bool hide = secret && tcgetattr(fileno(terminal), &before) == 0;
  if (hide) {
    termios quiet = before;
    quiet.c_lflag &= ~static_cast<tcflag_t>(ECHO);
    tcsetattr(fileno(terminal), TCSAFLUSH, &quiet);
  }
  std::fputs(question.c_str(), terminal);
  std::fflush(terminal);
  std::string answer;
  int c = 0;
  while ((c = std::fgetc(terminal)) != EOF && c != '\n') answer.push_back(static_cast<char>(c));
  if (hide) {
    tcsetattr(fileno(terminal), TCSAFLUSH, &before);
    std::fputs("\n", terminal);
  }
  std::fclose(terminal);
  if (c == EOF) return fail(ErrorCode::kUnavailable, "no answer was given");
  return answer;
}

std::string Tokens::access() const {
  std::lock_guard lock(mutex_);
  return credential_.jwt_token;
}

void Tokens::set(Credential credential) {
  std::lock_guard lock(mutex_);
  credential_ = std::move(credential);
}

Credential Tokens::get() const {
  std::lock_guard lock(mutex_);
  return credential_;
}

Result<std::unique_ptr<Session>> Session::open(ServerUrl url, Timeouts timeouts, LoginOptions options,
                                               const CredentialStore& store) {
  std::unique_ptr<Session> session(new Session(std::move(url), timeouts, std::move(options), store));
  KALAM_CHECK(session->authenticate());
  KALAM_CHECK(session->probe());
  return session;
}

Result<> Session::authenticate() {
  if (options_.token) {
    tokens_.set(Credential{.jwt_token = *options_.token});
    user_ = json_text(token_claims(*options_.token), "/sub");
    return {};
  }
  if (options_.user) {
    if (options_.may_prompt && options_.password.value_or("").empty()) {
      KALAM_TRY(options_.password, ask(fmt::format("Password for {}: ", *options_.user), true));
    }
    return log_in(*options_.user, options_.password.value_or(""));
  }
  KALAM_TRY(const bool stored, use_stored());
  if (stored) return {};
  if (options_.may_prompt) return prompt_and_log_in();
  if (client_.url().is_local()) return log_in("root", options_.password.value_or(""));
  return fail(ErrorCode::kUnauthorized,
              fmt::format("{} wants a login: give --user and --password, or --token", client_.url().text()));
}

Result<bool> Session::use_stored() {
  KALAM_TRY(auto all, store_.load());
  const auto found = all.find(options_.instance);
  if (found == all.end() || found->second.jwt_token.empty()) return false;
  Credential& credential = found->second;
  // A token goes only to the server that gave it.
  if (!credential.server_url.empty()) {
    const auto origin = parse_url(credential.server_url);
    if (!origin || *origin != client_.url()) return false;
  }
  from_store_ = true;
  user_ = credential.user.empty() ? json_text(token_claims(credential.jwt_token), "/sub") : credential.user;
  if (credential.expires_at == 0) credential.expires_at = token_expiry(credential.jwt_token);
  tokens_.set(credential);
  if (credential.expires_at == 0 || credential.expires_at > std::time(nullptr)) return true;
  if (renew(client_, credential.jwt_token)) return true;
  from_store_ = false;
  return false;
}

Result<> Session::log_in(const std::string& user, const std::string& password) {
  const std::string body = json_object({{"user", user}, {"password", password}});
  KALAM_TRY(const HttpResponse response, client_.request({.target = "/v1/api/auth/login", .body = body}));
  if (response.status == kSetupRequired) return set_up();
  if (response.status != 200) {
    std::string hint;
    if (!options_.user) hint = "\nGive --user and --password, or --token.";
    return fail(ErrorCode::kUnauthorized, trimmed(describe_failure(response)) + hint);
  }
  user_ = user;
  password_ = password;
  return adopt(response);
}

Result<> Session::adopt(const HttpResponse& response) {
  Credential credential{.jwt_token = json_text(response.body, "/access_token"),
                        .user = user_,
                        .server_url = client_.url().text(),
                        .refresh_token = json_text(response.body, "/refresh_token")};
  if (credential.jwt_token.empty()) {
    return fail(ErrorCode::kUnauthorized, fmt::format("{} answered the login without a token", client_.url().text()));
  }
  credential.expires_at = token_expiry(credential.jwt_token);
  credential.refresh_expires_at = token_expiry(credential.refresh_token);
  tokens_.set(credential);
  if (options_.save || from_store_) return store_.save(options_.instance, credential);
  return {};
}

Result<> Session::prompt_and_log_in() {
  KALAM_TRY(std::string user, ask("User [root]: ", false));
  if (user.empty()) user = "root";
  KALAM_TRY(const std::string password, ask("Password: ", true));
  return log_in(user, password);
}

Result<> Session::set_up() {
  if (!options_.may_prompt) {
    return fail(ErrorCode::kUnauthorized,
                fmt::format("the server at {0} is not set up yet. Run `kalam -u {0}` on its machine in a terminal and "
                            "answer the questions, or POST {{\"user\",\"password\",\"root_password\"}} to "
                            "{0}/v1/api/auth/setup.",
                            client_.url().text()));
  }
  fmt::print(stderr,
             "This server is new. Choose an administrator's name and password, and a password for root\n"
             "(8 to 72 bytes each).\n");
  while (true) {
    KALAM_TRY(const std::string user, ask("Administrator's name: ", false));
    KALAM_TRY(const std::string password, ask_twice("Password for " + user));
    KALAM_TRY(const std::string root_password, ask_twice("Password for root"));
    const std::string body = json_object({{"user", user}, {"password", password}, {"root_password", root_password}});
    KALAM_TRY(const HttpResponse response, client_.request({.target = "/v1/api/auth/setup", .body = body}));
    if (response.status == 200) {
      fmt::print(stderr, "{}\n", json_text(response.body, "/message"));
      return log_in(user, password);
    }
    fmt::print(stderr, "{}", describe_failure(response));
    if (response.status != 400 && response.status != 409) return fail(ErrorCode::kUnauthorized, "set-up failed");
  }
}

Result<> Session::renew(HttpClient& client, const std::string& old) {
  std::lock_guard lock(renew_mutex_);
  const Credential credential = tokens_.get();
  if (credential.jwt_token != old) return {};
  if (!credential.refresh_token.empty()) {
    KALAM_TRY(const HttpResponse response,
              client.request({.target = "/v1/api/auth/refresh", .bearer = credential.refresh_token}));
    if (response.status == 200) return adopt(response);
  }
  if (user_.empty() || password_.empty()) {
    return fail(ErrorCode::kUnauthorized, "the login has expired; log in again with --user and --password");
  }
  const std::string body = json_object({{"user", user_}, {"password", password_}});
  KALAM_TRY(const HttpResponse response, client.request({.target = "/v1/api/auth/login", .body = body}));
  if (response.status != 200) return fail(ErrorCode::kUnauthorized, trimmed(describe_failure(response)));
  return adopt(response);
}

Result<> Session::probe() {
  KALAM_TRY(const HttpResponse response, sql("SELECT name FROM system.namespaces LIMIT 1"));
  if (response.status != 200) {
    std::string message = trimmed(describe_failure(response));
    if (from_store_ && response.status == 401) message += "\nThe stored login no longer holds: give --user.";
    return fail(ErrorCode::kUnauthorized, std::move(message));
  }
  // Health is for the server's own machine only: elsewhere the version stays unknown.
  KALAM_TRY(const HttpResponse health, get("/v1/api/healthcheck"));
  if (health.status == 200) server_version_ = json_text(health.body, "/version");
  return {};
}

std::string Session::sql_body(std::string_view text) const {
  std::string body;
  body.reserve(text.size() + text.size() / 16 + 64);
  body += "{\"sql\":";
  append_json_string(body, text);
  if (!namespace_.empty()) {
    body += ",\"namespace_id\":";
    append_json_string(body, namespace_);
  }
  body += '}';
  return body;
}

Result<HttpResponse> Session::sql(std::string_view text) { return sql_on(client_, sql_body(text)); }

Result<HttpResponse> Session::sql_on(HttpClient& client, std::string_view body) {
  const std::string token = access_token();
  KALAM_TRY(HttpResponse response, client.request({.target = "/v1/api/sql", .bearer = token, .body = body}));
  if (response.status != 401 || response.body.find("\"TOKEN_EXPIRED\"") == std::string::npos) return response;
  KALAM_CHECK(renew(client, token));
  const std::string renewed = access_token();
  return client.request({.target = "/v1/api/sql", .bearer = renewed, .body = body});
}

Result<HttpResponse> Session::get(std::string_view target) {
  return client_.request({.method = "GET", .target = target});
}

}  // namespace kalamdb::cli
