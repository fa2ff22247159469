// A logged-in conversation with one server.
#pragma once

#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "base/result.h"
#include "cli/http_client.h"
#include "cli/settings.h"

namespace kalamdb::cli {

// What the command line says about who is asking.
struct LoginOptions {
  std::optional<std::string> token;
  std::optional<std::string> user;
  std::optional<std::string> password;
  std::string instance = "local";
  bool may_prompt = false;  // a person sits at the terminal
  bool save = false;        // keep the tokens in the credentials file
};

// The tokens in use. Shared by the connections of an import, hence the lock inside.
class Tokens {
 public:
  std::string access() const;
  void set(Credential credential);
  Credential get() const;

 private:
  mutable std::mutex mutex_;
  Credential credential_;
};

class Session {
 public:
  // Logs in: a token as it is; --user with --password; stored credentials (renewed when they have expired); a prompt;
  // without a person, root with an empty password on this machine. Then asks the server whether the login holds.
  // A server that is not set up yet is set up in conversation, else the error says how.
  static Result<std::unique_ptr<Session>> open(ServerUrl url, Timeouts timeouts, LoginOptions options,
                                               const CredentialStore& store);

  // Runs SQL. An expired token is renewed once, silently. Errors as HttpClient::request.
  Result<HttpResponse> sql(std::string_view text);
  // As sql(), on a connection of the caller's own. Thread-safe.
  Result<HttpResponse> sql_on(HttpClient& client, std::string_view body);
  // A GET without credentials.
  Result<HttpResponse> get(std::string_view target);

  // The request body for `text` in the current namespace.
  std::string sql_body(std::string_view text) const;

  // The namespace that unqualified names refer to; empty = the server's default.
  void use_namespace(std::string name) { namespace_ = std::move(name); }
  const std::string& current_namespace() const { return namespace_; }

  HttpClient& client() { return client_; }
  std::string access_token() const { return tokens_.access(); }
  const std::string& user() const { return user_; }
  const std::string& server_version() const { return server_version_; }

 private:
  Session(ServerUrl url, Timeouts timeouts, LoginOptions options, const CredentialStore& store)
      : client_(std::move(url), timeouts), options_(std::move(options)), store_(store) {}

  Result<> authenticate();
  Result<bool> use_stored();
  Result<> log_in(const std::string& user, const std::string& password);
  Result<> prompt_and_log_in();
  Result<> set_up();
  Result<> adopt(const HttpResponse& response);
  // Gets a new access token in place of `old`, unless another thread has done so already.
  Result<> renew(HttpClient& client, const std::string& old);
  Result<> probe();

  HttpClient client_;
  LoginOptions options_;
  const CredentialStore& store_;
  Tokens tokens_;
  std::mutex renew_mutex_;
  bool from_store_ = false;  // renewed tokens go back to the file they came from
  std::string user_;
  std::string password_;
  std::string namespace_;
  std::string server_version_;
};

// Asks on the terminal; without echo where it is a secret. kUnavailable when there is no terminal or it was closed.
Result<std::string> ask(const std::string& question, bool secret);

}  // namespace kalamdb::cli
