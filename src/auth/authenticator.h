// Who sends a request: from its Authorization header, or a bare token, to an identity.
#pragma once

#include <array>
#include <cstdint>
#include <expected>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "auth/accounts.h"
#include "auth/generational_cache.h"
#include "auth/password_check.h"
#include "auth/rate_limiter.h"
#include "auth/token.h"
#include "base/ids.h"
#include "platform/clock.h"
#include "platform/random.h"

namespace kalamdb::auth {

struct Identity {
  UserId user;
  catalog::Role role = catalog::Role::kUser;
  catalog::UserPtr account;             // the record that it was found by
  int64_t valid_until_us = kUnbounded;  // from then on its token is refused

  static constexpr int64_t kUnbounded = INT64_MAX;
};

// A refusal as the client sees it. `code` has static lifetime.
struct AuthFailure {
  int http_status = 401;
  std::string_view code;
  std::string message;
};
template <typename T>
using AuthResult = std::expected<T, AuthFailure>;

// Where a request comes from.
struct Peer {
  std::string address;
  bool loopback = false;  // the address is of this machine, and no trusted proxy says otherwise
};

// "127.0.0.1", anything else in 127.0.0.0/8, and "::1".
bool is_loopback(std::string_view address);

struct AuthOptions {
  bool allow_basic = true;                 // auth.allow_basic
  uint32_t auth_requests_per_second = 20;  // rate_limit.max_auth_requests_per_ip_per_sec
  bool rate_limit_loopback = false;        // rate_limit.apply_to_loopback
  size_t token_cache_entries = 65'536;
  size_t basic_cache_entries = 4'096;
};

// Thread-safe.
class Authenticator {
 public:
  // All but `random` must outlive it.
  Authenticator(Accounts& accounts, const TokenSigner& signer, PasswordCheck& passwords, const platform::Clock& clock,
                platform::Random& random, AuthOptions options);

  // What can be said without hashing a password: a refusal, or the identity behind a token or behind credentials that
  // were right within the last minute. nullopt: authenticate_basic() must be asked. Never blocks.
  std::optional<AuthResult<Identity>> authenticate(std::string_view authorization);
  // The slow way for `Basic` credentials: `done` is called once, at once or on a hashing thread.
  void authenticate_basic(std::string_view authorization, const Peer& peer,
                          std::function<void(AuthResult<Identity>)> done);

  // An access token as such (cookie, WebSocket message).
  AuthResult<Identity> authenticate_token(std::string_view token);
  // A refresh token, for the refresh endpoint; failures are in that endpoint's words.
  AuthResult<Identity> authenticate_refresh_token(std::string_view token);

  // The token bucket of the authentication endpoints, by address; false means 429. Loopback peers pass.
  bool admit(const Peer& peer);

 private:
  using ClaimsPtr = std::shared_ptr<const TokenClaims>;
  // Credentials that were right, as long as the user's password is the same.
  struct BasicEntry {
    std::string user;
    std::string password_hash;
    int64_t expires_at_us = 0;  // monotonic
  };

  ClaimsPtr claims_of(std::string_view token);
  std::string basic_key(std::string_view credentials) const;
  std::optional<Identity> find_basic(std::string_view key);

  Accounts& accounts_;
  const TokenSigner& signer_;
  PasswordCheck& passwords_;
  const platform::Clock& clock_;
  const AuthOptions options_;
  RateLimiter auth_limiter_;
  std::array<uint8_t, 32> basic_hmac_key_{};
  GenerationalCache<ClaimsPtr> tokens_;
  GenerationalCache<BasicEntry> basic_;
};

}  // namespace kalamdb::auth
