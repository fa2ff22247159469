#include "auth/password_check.h"

#include <openssl/crypto.h>

#include "auth/password.h"
#include "base/log.h"

namespace kalamdb::auth {
namespace {

constexpr int64_t kMinuteUs = 60'000'000;

bool has_password(const catalog::UserPtr& user) {
  return user != nullptr && user->deleted_at_us == 0 && user->auth_type != "OAuth" && !user->password_hash.empty();
}

}  // namespace

PasswordCheck::PasswordCheck(Accounts& accounts, HashPool& pool, const platform::Clock& clock, LockoutOptions lockout,
                             unsigned bcrypt_cost)
    : accounts_(accounts), pool_(pool), clock_(clock), lockout_(lockout), bcrypt_cost_(bcrypt_cost) {}

Result<> PasswordCheck::check(std::string user, std::string password, bool is_login,
                              std::function<void(PasswordVerdict)> done) {
  const std::string key = user;
  return pool_.submit(
      key, [this, user = std::move(user), password = std::move(password), is_login, done = std::move(done)]() mutable {
        bool count_failure = false;
        PasswordVerdict verdict = compare(user, password, count_failure);
        OPENSSL_cleanse(password.data(), password.size());
        if (verdict.kind == PasswordVerdict::Kind::kRight) note_success(*verdict.user, is_login);
        done(std::move(verdict));
        if (count_failure) note_failure(user);
      });
}

PasswordVerdict PasswordCheck::compare(const std::string& user, const std::string& password,
                                       bool& count_failure) const {
  const catalog::UserPtr account = accounts_.find(user);
  if (!has_password(account)) {
    pretend_to_verify(password, bcrypt_cost_);
    return {};
  }
  // An empty password never succeeds, whatever the hash.
  const bool right = verify_password(password, account->password_hash) && !password.empty();
  const bool locked = is_locked(*account, clock_.now_us());
  if (!right) {
    count_failure = !locked;
    return {};
  }
  if (locked) return {PasswordVerdict::Kind::kLocked, account, account->locked_until_us};
  return {PasswordVerdict::Kind::kRight, account, 0};
}

void PasswordCheck::note_success(const catalog::User& user, bool is_login) {
  if (!is_login && user.failed_login_attempts == 0 && user.locked_until_us == 0) return;
  const auto changed = accounts_.change(user.id, [this, is_login](catalog::User& record) {
    record.failed_login_attempts = 0;
    record.locked_until_us = 0;
    if (is_login) record.last_login_at_us = clock_.now_us();
  });
  // The password was right all the same: a full disk keeps no one out.
  if (!changed) log::warn("cannot note the login of a user: {}", changed.error().message);
}

void PasswordCheck::note_failure(const std::string& user) {
  if (lockout_.attempts == 0) return;
  const auto changed = accounts_.change(user, [this](catalog::User& record) {
    const int64_t now_us = clock_.now_us();
    if (record.locked_until_us != 0 && record.locked_until_us <= now_us) {
      record.locked_until_us = 0;
      record.failed_login_attempts = 0;
    }
    if (++record.failed_login_attempts >= lockout_.attempts) {
      record.locked_until_us = now_us + lockout_.minutes * kMinuteUs;
    }
  });
  if (!changed) log::error("cannot count a failed login: {}", changed.error().message);
}

}  // namespace kalamdb::auth
