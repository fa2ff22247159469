#include "auth/authenticator.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <strings.h>

#include <algorithm>

#include "base/assert.h"

namespace kalamdb::auth {
namespace {

constexpr int64_t kSecondUs = 1'000'000;
constexpr int64_t kBasicCacheUs = 60 * kSecondUs;
constexpr size_t kMaxCredentialsBytes = 2048;

AuthFailure invalid_credentials() { return {401, "INVALID_CREDENTIALS", "Invalid credentials"}; }
AuthFailure locked() { return {401, "ACCOUNT_LOCKED", "Account locked"}; }

// What follows the scheme's name, if the header has that scheme (any letter case).
std::optional<std::string_view> after_scheme(std::string_view header, std::string_view scheme) {
  if (header.size() <= scheme.size() || header[scheme.size()] != ' ' ||
      strncasecmp(header.data(), scheme.data(), scheme.size()) != 0) {
    return std::nullopt;
  }
  header.remove_prefix(scheme.size());
  header.remove_prefix(std::min(header.find_first_not_of(' '), header.size()));
  return header;
}

// "user:password" of Basic credentials (RFC 7617).
std::optional<std::string> decode_basic(std::string_view encoded) {
  if (encoded.empty() || encoded.size() > kMaxCredentialsBytes || encoded.size() % 4 != 0) return std::nullopt;
  std::string decoded(encoded.size() / 4 * 3, '\0');
  const int size =
      EVP_DecodeBlock(reinterpret_cast<unsigned char*>(decoded.data()),
                      reinterpret_cast<const unsigned char*>(encoded.data()), static_cast<int>(encoded.size()));
  if (size < 0) return std::nullopt;
  // OpenSSL counts the bytes that padding stands for.
  const size_t padding = encoded.ends_with("==") ? 2 : encoded.ends_with("=") ? 1 : 0;
  decoded.resize(static_cast<size_t>(size) - padding);
  if (decoded.find(':') == std::string::npos) return std::nullopt;
  return decoded;
}

enum class AccountState : uint8_t { kGood, kGone, kLocked, kOtherRole };

AccountState state_of(const catalog::UserPtr& account, const TokenClaims& claims, int64_t now_us) {
  if (account == nullptr || account->deleted_at_us != 0) return AccountState::kGone;
  if (claims.role && *claims.role != account->role) return AccountState::kOtherRole;
  return is_locked(*account, now_us) ? AccountState::kLocked : AccountState::kGood;
}

// The first moment at which it counts as expired.
int64_t end_us(const TokenClaims& claims) {
  const int64_t latest_s = Identity::kUnbounded / kSecondUs - kTokenLeewaySeconds - 1;
  if (claims.expires_at_s > latest_s) return Identity::kUnbounded;
  return (std::max<int64_t>(claims.expires_at_s, 0) + kTokenLeewaySeconds + 1) * kSecondUs;
}

bool is_expired(const TokenClaims& claims, int64_t now_us) { return now_us >= end_us(claims); }
bool is_early(const TokenClaims& claims, int64_t now_us) {
  return claims.not_before_s > now_us / kSecondUs + kTokenLeewaySeconds;
}

}  // namespace

bool is_loopback(std::string_view address) { return address == "::1" || address.starts_with("127."); }

Authenticator::Authenticator(Accounts& accounts, const TokenSigner& signer, PasswordCheck& passwords,
                             const platform::Clock& clock, platform::Random& random, AuthOptions options)
    : accounts_(accounts),
      signer_(signer),
      passwords_(passwords),
      clock_(clock),
      options_(options),
      auth_limiter_(clock, options.auth_requests_per_second),
      tokens_(options.token_cache_entries),
      basic_(options.basic_cache_entries) {
  random.fill(basic_hmac_key_);
}

bool Authenticator::admit(const Peer& peer) {
  if (peer.loopback && !options_.rate_limit_loopback) return true;
  return auth_limiter_.admit(peer.address);
}

Authenticator::ClaimsPtr Authenticator::claims_of(std::string_view token) {
  if (auto known = tokens_.find(token)) return *std::move(known);
  auto claims = signer_.verify(token);
  // Texts that are no tokens are not kept, or a stream of them would drive the good ones out.
  if (!claims) return nullptr;
  auto kept = std::make_shared<const TokenClaims>(*std::move(claims));
  tokens_.put(token, kept);
  return kept;
}

AuthResult<Identity> Authenticator::authenticate_token(std::string_view token) {
  const ClaimsPtr claims = claims_of(token);
  if (claims == nullptr || claims->kind != TokenKind::kAccess) return std::unexpected(invalid_credentials());
  const int64_t now_us = clock_.now_us();
  if (is_expired(*claims, now_us)) return std::unexpected(AuthFailure{401, "TOKEN_EXPIRED", "Invalid credentials"});
  if (is_early(*claims, now_us)) return std::unexpected(invalid_credentials());
  catalog::UserPtr account = accounts_.find(claims->user);
  switch (state_of(account, *claims, now_us)) {
    case AccountState::kGood:
      break;
    case AccountState::kLocked:
      return std::unexpected(locked());
    default:
      return std::unexpected(invalid_credentials());
  }
  return Identity{UserId(account->id), account->role, std::move(account), end_us(*claims)};
}

AuthResult<Identity> Authenticator::authenticate_refresh_token(std::string_view token) {
  auto refuse = [](std::string_view message) {
    return std::unexpected(AuthFailure{401, "unauthorized", std::string(message)});
  };
  const ClaimsPtr claims = claims_of(token);
  if (claims == nullptr) return refuse("Invalid credentials");
  if (claims->kind != TokenKind::kRefresh) return refuse("Refresh endpoint requires a refresh token");
  const int64_t now_us = clock_.now_us();
  if (is_expired(*claims, now_us) || is_early(*claims, now_us)) return refuse("Invalid credentials");
  catalog::UserPtr account = accounts_.find(claims->user);
  switch (state_of(account, *claims, now_us)) {
    case AccountState::kGood:
      break;
    case AccountState::kGone:
      return refuse("User no longer valid");
    case AccountState::kOtherRole:
      return refuse("Token role does not match user role");
    case AccountState::kLocked:
      return std::unexpected(AuthFailure{401, "account_locked", "Account locked"});
  }
  return Identity{UserId(account->id), account->role, std::move(account), end_us(*claims)};
}

std::optional<AuthResult<Identity>> Authenticator::authenticate(std::string_view authorization) {
  if (authorization.empty()) {
    return std::unexpected(AuthFailure{401, "MISSING_AUTHORIZATION", "Authentication required"});
  }
  if (const auto token = after_scheme(authorization, "Bearer")) return authenticate_token(*token);
  const auto credentials = after_scheme(authorization, "Basic");
  if (!credentials || !options_.allow_basic) return std::unexpected(invalid_credentials());
  if (auto identity = find_basic(basic_key(*credentials))) return *std::move(identity);
  return std::nullopt;
}

void Authenticator::authenticate_basic(std::string_view authorization, const Peer& peer,
                                       std::function<void(AuthResult<Identity>)> done) {
  const AuthFailure too_many{429, "RATE_LIMIT_EXCEEDED", "Too many authentication attempts. Please retry shortly."};
  const auto encoded = after_scheme(authorization, "Basic");
  const auto credentials = encoded && options_.allow_basic ? decode_basic(*encoded) : std::nullopt;
  if (!credentials) return done(std::unexpected(invalid_credentials()));
  if (!admit(peer)) return done(std::unexpected(too_many));
  const size_t colon = credentials->find(':');
  // Shared between the two ways in which `done` may be called.
  auto answer = std::make_shared<std::function<void(AuthResult<Identity>)>>(std::move(done));
  auto finish = [this, answer, key = basic_key(*encoded)](PasswordVerdict verdict) {
    if (verdict.kind == PasswordVerdict::Kind::kLocked) return (*answer)(std::unexpected(locked()));
    if (verdict.kind == PasswordVerdict::Kind::kWrong) return (*answer)(std::unexpected(invalid_credentials()));
    basic_.put(key, {verdict.user->id, verdict.user->password_hash, clock_.monotonic_us() + kBasicCacheUs});
    (*answer)(Identity{UserId(verdict.user->id), verdict.user->role, verdict.user});
  };
  if (!passwords_.check(credentials->substr(0, colon), credentials->substr(colon + 1), false, std::move(finish))) {
    (*answer)(std::unexpected(too_many));
  }
}

// Keyed, so that the cache's memory is no table of passwords to be searched.
std::string Authenticator::basic_key(std::string_view credentials) const {
  std::string digest(EVP_MAX_MD_SIZE, '\0');
  unsigned size = 0;
  KALAM_ASSERT(HMAC(EVP_sha256(), basic_hmac_key_.data(), static_cast<int>(basic_hmac_key_.size()),
                    reinterpret_cast<const unsigned char*>(credentials.data()), credentials.size(),
                    reinterpret_cast<unsigned char*>(digest.data()), &size) != nullptr);
  digest.resize(size);
  return digest;
}

std::optional<Identity> Authenticator::find_basic(std::string_view key) {
  const auto entry = basic_.find(key);
  if (!entry || entry->expires_at_us <= clock_.monotonic_us()) return std::nullopt;
  catalog::UserPtr account = accounts_.find(entry->user);
  // A record that changed in any way that matters goes the slow way again.
  if (account == nullptr || account->deleted_at_us != 0 || account->password_hash != entry->password_hash ||
      is_locked(*account, clock_.now_us())) {
    return std::nullopt;
  }
  return Identity{UserId(account->id), account->role, std::move(account)};
}

}  // namespace kalamdb::auth
