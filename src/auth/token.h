// The server's own tokens: JSON Web Tokens (RFC 7519) signed with HS256.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "catalog/user.h"

namespace kalamdb::auth {

enum class TokenKind : uint8_t { kAccess, kRefresh };

struct TokenClaims {
  std::string user;
  std::optional<catalog::Role> role;  // the role when it was issued
  int64_t expires_at_s = 0;
  int64_t not_before_s = 0;  // 0: from the beginning
  TokenKind kind = TokenKind::kAccess;
};

// Seconds by which clocks may differ where times are checked.
inline constexpr int64_t kTokenLeewaySeconds = 60;

// Signs and verifies with one secret. Thread-safe.
class TokenSigner {
 public:
  // Errors: kInvalidInput for a secret of less than 32 bytes.
  static Result<std::unique_ptr<TokenSigner>> create(std::string_view secret);
  ~TokenSigner();

  // Claims: sub, iss, exp, iat, email, role, token_type. Times are seconds since the Unix epoch. Errors: kInternal.
  Result<std::string> sign(const catalog::User& user, TokenKind kind, int64_t issued_at_s, int64_t expires_at_s) const;

  // The claims of a token that this secret signed, nullopt for every other text. Times and the user are the caller's to
  // check. Strict: the algorithm is HS256 and nothing else, and a header with members other than alg, typ and kid
  // (which could name another key) is refused.
  std::optional<TokenClaims> verify(std::string_view token) const;

 private:
  struct Key;
  explicit TokenSigner(std::unique_ptr<Key> key);
  std::unique_ptr<Key> key_;
};

}  // namespace kalamdb::auth
