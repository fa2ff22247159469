// The one place where a password is compared: for login and for Basic authentication, with lockout, and with the same
// answer in the same time for unknown users as for wrong passwords.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "auth/accounts.h"
#include "auth/hash_pool.h"
#include "base/result.h"
#include "platform/clock.h"

namespace kalamdb::auth {

struct LockoutOptions {
  uint32_t attempts = 5;  // auth.lockout_attempts: failures in a row that lock an account; 0 never locks
  int64_t minutes = 15;   // auth.lockout_minutes
};

struct PasswordVerdict {
  enum class Kind : uint8_t {
    kRight,
    kWrong,   // also: no such user, deleted, without a password
    kLocked,  // the password is right, but the account is locked
  };
  Kind kind = Kind::kWrong;
  catalog::UserPtr user;        // kRight, kLocked
  int64_t locked_until_us = 0;  // kLocked
};

// True while too many failures keep the account locked.
inline bool is_locked(const catalog::User& user, int64_t now_us) { return user.locked_until_us > now_us; }

// Thread-safe.
class PasswordCheck {
 public:
  // All must outlive it. `bcrypt_cost` is that of new hashes, whose time unknown users are made to wait.
  PasswordCheck(Accounts& accounts, HashPool& pool, const platform::Clock& clock, LockoutOptions lockout,
                unsigned bcrypt_cost);

  // Compares on a thread of the pool and calls `done` there, once. Success clears the failures of the account and, with
  // `is_login`, notes the time; a failure is counted after `done`, so that its cost does not show that the user exists.
  // Errors: those of HashPool::submit(); `done` is not called then.
  Result<> check(std::string user, std::string password, bool is_login, std::function<void(PasswordVerdict)> done);

 private:
  PasswordVerdict compare(const std::string& user, const std::string& password, bool& count_failure) const;
  void note_success(const catalog::User& user, bool is_login);
  void note_failure(const std::string& user);

  Accounts& accounts_;
  HashPool& pool_;
  const platform::Clock& clock_;
  const LockoutOptions lockout_;
  const unsigned bcrypt_cost_;
};

}  // namespace kalamdb::auth
