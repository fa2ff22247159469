#include "auth/login.h"

#include <memory>

#include "base/log.h"

namespace kalamdb::auth {
namespace {

constexpr std::string_view kRoot = "root";
constexpr int64_t kSecondUs = 1'000'000;
constexpr int64_t kMinuteUs = 60 * kSecondUs;

AuthFailure unauthorized() { return {401, "unauthorized", "Invalid credentials"}; }
AuthFailure too_many() { return {429, "rate_limited", "Too many authentication attempts. Please retry shortly."}; }
AuthFailure internal() { return {500, "internal_error", "Authentication failed"}; }

AuthFailure account_locked(int64_t left_us) {
  const int64_t minutes = (left_us + kMinuteUs - 1) / kMinuteUs;
  return {401, "account_locked", "Account locked. Try again in " + std::to_string(minutes) + " minute(s)."};
}

}  // namespace

bool is_valid_user_id(std::string_view id) {
  return !id.empty() && id.find("..") == std::string_view::npos &&
         id.find_first_of(std::string_view("/\\\0", 3)) == std::string_view::npos;
}

Login::Login(Accounts& accounts, const TokenSigner& signer, PasswordCheck& passwords, Authenticator& authenticator,
             HashPool& pool, const platform::Clock& clock, platform::Random& random, LoginOptions options)
    : accounts_(accounts),
      signer_(signer),
      passwords_(passwords),
      authenticator_(authenticator),
      pool_(pool),
      clock_(clock),
      random_(random),
      options_(options) {}

AuthResult<Session> Login::issue(catalog::UserPtr user) const {
  const int64_t now_s = clock_.now_us() / kSecondUs;
  const int64_t access_expires_s = now_s + options_.access_hours * 3600;
  const int64_t refresh_expires_s = now_s + options_.access_hours * 3600 * 7;
  auto access = signer_.sign(*user, TokenKind::kAccess, now_s, access_expires_s);
  auto refresh = signer_.sign(*user, TokenKind::kRefresh, now_s, refresh_expires_s);
  if (!access || !refresh) return std::unexpected(internal());
  return Session{std::move(user), *std::move(access), access_expires_s * kSecondUs, *std::move(refresh),
                 refresh_expires_s * kSecondUs};
}

void Login::login(std::string user, std::string password, const Peer& peer,
                  std::function<void(AuthResult<Session>)> done) {
  if (!authenticator_.admit(peer)) return done(std::unexpected(too_many()));
  const catalog::UserPtr account = accounts_.find(user);
  const bool unprotected = account != nullptr && account->deleted_at_us == 0 && account->password_hash.empty();
  if (unprotected && user == kRoot && password.empty()) {
    return done(std::unexpected(
        AuthFailure{428, "setup_required", "Server requires initial setup. Root password is not configured."}));
  }
  if (unprotected && account->role == catalog::Role::kSystem && !peer.loopback) {
    return done(std::unexpected(AuthFailure{403, "forbidden", "Access denied"}));
  }
  // Shared between the two ways in which `done` may be called.
  auto answer = std::make_shared<std::function<void(AuthResult<Session>)>>(std::move(done));
  auto finish = [this, answer](PasswordVerdict verdict) {
    switch (verdict.kind) {
      case PasswordVerdict::Kind::kWrong:
        return (*answer)(std::unexpected(unauthorized()));
      case PasswordVerdict::Kind::kLocked:
        return (*answer)(std::unexpected(account_locked(verdict.locked_until_us - clock_.now_us())));
      case PasswordVerdict::Kind::kRight:
        return (*answer)(issue(std::move(verdict.user)));
    }
  };
  if (!passwords_.check(std::move(user), std::move(password), true, std::move(finish))) {
    (*answer)(std::unexpected(too_many()));
  }
}

AuthResult<Session> Login::refresh(std::string_view refresh_token, const Peer& peer) {
  if (!authenticator_.admit(peer)) return std::unexpected(too_many());
  auto identity = authenticator_.authenticate_refresh_token(refresh_token);
  if (!identity) return std::unexpected(std::move(identity).error());
  return issue(std::move(identity->account));
}

bool Login::needs_setup() const {
  const catalog::UserPtr root = accounts_.find(kRoot);
  return root != nullptr && root->password_hash.empty();
}

AuthResult<void> Login::check_setup_peer(const Peer& peer) const {
  if (peer.loopback || options_.allow_remote_setup) return {};
  return std::unexpected(AuthFailure{403, "forbidden", "Server setup can only be performed from localhost"});
}

std::optional<AuthFailure> Login::check_setup(const SetupDetails& details) const {
  if (!needs_setup()) {
    return AuthFailure{409, "already_configured", "Server has already been configured. Root password is set."};
  }
  if (!is_valid_user_id(details.user)) return AuthFailure{400, "invalid_user", "Invalid user value"};
  if (details.user == kRoot) {
    return AuthFailure{400, "invalid_user", "Cannot create a DBA user with user 'root'. Choose a different user."};
  }
  if (auto good = check_password(details.password, options_.passwords); !good) {
    return AuthFailure{400, "weak_password", "DBA user password: " + good.error().message};
  }
  if (auto good = check_password(details.root_password, options_.passwords); !good) {
    return AuthFailure{400, "weak_password", "Root password: " + good.error().message};
  }
  if (accounts_.find(details.user) != nullptr) {
    return AuthFailure{409, "user_exists", "User '" + details.user + "' already exists"};
  }
  return std::nullopt;
}

void Login::setup(SetupDetails details, const Peer& peer, std::function<void(AuthResult<catalog::UserPtr>)> done) {
  if (!authenticator_.admit(peer)) return done(std::unexpected(too_many()));
  if (auto allowed = check_setup_peer(peer); !allowed) return done(std::unexpected(std::move(allowed).error()));
  auto answer = std::make_shared<std::function<void(AuthResult<catalog::UserPtr>)>>(std::move(done));
  // All set-ups have one key, so of two at once the second finds the server configured.
  const auto queued =
      pool_.submit(kRoot, [this, answer, details = std::move(details)] { (*answer)(run_setup(details)); });
  if (!queued) (*answer)(std::unexpected(too_many()));
}

AuthResult<catalog::UserPtr> Login::run_setup(const SetupDetails& details) {
  if (auto refused = check_setup(details)) return std::unexpected(*std::move(refused));
  const auto root_hash = hash_password(details.root_password, options_.bcrypt_cost, random_);
  const auto user_hash = hash_password(details.password, options_.bcrypt_cost, random_);
  if (!root_hash || !user_hash) return std::unexpected(internal());
  // Root first: a crash between the two leaves a server that root can log in to.
  if (auto changed = accounts_.change(kRoot, [&](catalog::User& root) { root.password_hash = *root_hash; }); !changed) {
    log::error("cannot set the password of root: {}", changed.error().message);
    return std::unexpected(internal());
  }
  catalog::User dba{.id = details.user, .password_hash = *user_hash, .role = catalog::Role::kDba};
  dba.email = details.email;
  auto created = accounts_.create(std::move(dba));
  if (!created) {
    log::error("cannot create the first dba: {}", created.error().message);
    return std::unexpected(internal());
  }
  return *std::move(created);
}

}  // namespace kalamdb::auth
