// Passwords: which are good enough, and their bcrypt hashes ($2b$, by libxcrypt).
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "base/result.h"
#include "platform/random.h"

namespace kalamdb::auth {

struct PasswordPolicy {
  size_t min_bytes = 8;             // auth.min_password_length
  bool allow_common = false;        // auth.allow_common_passwords, for tests
  bool enforce_complexity = false;  // auth.enforce_password_complexity: upper, lower, digit and another character
};

// bcrypt reads no more.
inline constexpr size_t kMaxPasswordBytes = 72;

// Errors: kInvalidInput "Weak password: …".
Result<> check_password(std::string_view password, const PasswordPolicy& policy);

// Hashes with a fresh salt; `cost` is from 4 to 31, and 12 takes about a quarter of a second. Errors: kInvalidInput for
// passwords that bcrypt can't take whole (over 72 bytes, or with a NUL byte), kInternal.
Result<std::string> hash_password(std::string_view password, unsigned cost, platform::Random& random);

// Whether `hash` is of `password`. Takes as long for a wrong password as for the right one.
bool verify_password(std::string_view password, const std::string& hash);

// Spends the time of a verification of that cost: what unknown users get instead of one.
void pretend_to_verify(std::string_view password, unsigned cost);

// Among the passwords that attackers try first; compared in lower case.
bool is_common_password(std::string_view password);

}  // namespace kalamdb::auth
