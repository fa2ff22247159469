// The flows of the /v1/api/auth endpoints: login, refresh and the first set-up.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "auth/authenticator.h"
#include "auth/password.h"

namespace kalamdb::auth {

struct LoginOptions {
  int64_t access_hours = 24;        // auth.jwt_expiry_hours; refresh tokens live 7 times as long
  unsigned bcrypt_cost = 12;        // auth.bcrypt_cost
  bool allow_remote_setup = false;  // auth.allow_remote_setup
  PasswordPolicy passwords;
};

// Times are microseconds since the Unix epoch.
struct Session {
  catalog::UserPtr user;
  std::string access_token;
  int64_t expires_at_us = 0;
  std::string refresh_token;
  int64_t refresh_expires_at_us = 0;
};

struct SetupDetails {
  std::string user;
  std::string password;
  std::string root_password;
  std::optional<std::string> email;
};

// Thread-safe. Failures carry the `error` member of the endpoints' bodies as their code ("unauthorized").
class Login {
 public:
  // All must outlive it.
  Login(Accounts& accounts, const TokenSigner& signer, PasswordCheck& passwords, Authenticator& authenticator,
        HashPool& pool, const platform::Clock& clock, platform::Random& random, LoginOptions options);

  // `done` is called once, at once or on a hashing thread.
  void login(std::string user, std::string password, const Peer& peer, std::function<void(AuthResult<Session>)> done);
  AuthResult<Session> refresh(std::string_view refresh_token, const Peer& peer);

  // True until root has a password.
  bool needs_setup() const;
  // Whether this peer may ask for the state of the set-up, and do it.
  AuthResult<void> check_setup_peer(const Peer& peer) const;
  // Gives root a password and creates the first dba. `done` as for login().
  void setup(SetupDetails details, const Peer& peer, std::function<void(AuthResult<catalog::UserPtr>)> done);

 private:
  AuthResult<Session> issue(catalog::UserPtr user) const;
  std::optional<AuthFailure> check_setup(const SetupDetails& details) const;
  AuthResult<catalog::UserPtr> run_setup(const SetupDetails& details);

  Accounts& accounts_;
  const TokenSigner& signer_;
  PasswordCheck& passwords_;
  Authenticator& authenticator_;
  HashPool& pool_;
  const platform::Clock& clock_;
  platform::Random& random_;
  const LoginOptions options_;
};

// Non-empty, without "..", "/", "\" and NUL.
bool is_valid_user_id(std::string_view id);

}  // namespace kalamdb::auth
