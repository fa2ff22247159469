#include "auth/password.h"

#include <crypt.h>
#include <openssl/crypto.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cstdio>
#include <memory>
#include <span>

namespace kalamdb::auth {
namespace {

// A hash or setting string, empty on failure. libxcrypt reports failure by a token that starts with '*'.
std::string bcrypt(std::string_view password, const std::string& setting) {
  // The work area is 32 KiB and holds traces of the password.
  const auto area = std::make_unique<crypt_data>();
  std::string terminated(password);
  const char* result = crypt_r(terminated.c_str(), setting.c_str(), area.get());
  std::string hash = result == nullptr || result[0] == '*' ? std::string() : std::string(result);
  OPENSSL_cleanse(area.get(), sizeof(crypt_data));
  OPENSSL_cleanse(terminated.data(), terminated.size());
  return hash;
}

bool fits_bcrypt(std::string_view password) {
  return password.size() <= kMaxPasswordBytes && password.find('\0') == std::string_view::npos;
}

bool has(std::string_view password, int (*kind)(int)) {
  return std::ranges::any_of(password, [kind](unsigned char byte) { return kind(byte) != 0; });
}

std::unexpected<Error> weak(const std::string& reason) {
  return fail(ErrorCode::kInvalidInput, "Weak password: " + reason);
}

}  // namespace

Result<> check_password(std::string_view password, const PasswordPolicy& policy) {
  if (password.size() < policy.min_bytes) {
    return weak("it must have at least " + std::to_string(policy.min_bytes) + " bytes");
  }
  if (password.size() > kMaxPasswordBytes) {
    return weak("it must have at most " + std::to_string(kMaxPasswordBytes) + " bytes");
  }
  if (password.find('\0') != std::string_view::npos) return weak("it must not contain a NUL byte");
  if (!policy.allow_common && is_common_password(password)) return weak("it is too common");
  if (policy.enforce_complexity) {
    const bool other = std::ranges::any_of(password, [](unsigned char byte) { return std::isalnum(byte) == 0; });
    if (!has(password, std::isupper) || !has(password, std::islower) || !has(password, std::isdigit) || !other) {
      return weak("it must have an uppercase letter, a lowercase letter, a digit and another character");
    }
  }
  return {};
}

Result<std::string> hash_password(std::string_view password, unsigned cost, platform::Random& random) {
  if (!fits_bcrypt(password)) {
    return fail(ErrorCode::kInvalidInput, "A password has at most 72 bytes and no NUL byte");
  }
  std::array<uint8_t, 16> salt{};
  random.fill(salt);
  char setting[CRYPT_GENSALT_OUTPUT_SIZE];
  if (crypt_gensalt_rn("$2b$", cost, reinterpret_cast<const char*>(salt.data()), salt.size(), setting,
                       sizeof setting) == nullptr) {
    return fail(ErrorCode::kInternal, "bcrypt refuses the cost " + std::to_string(cost) + "; it is from 4 to 31");
  }
  std::string hash = bcrypt(password, setting);
  if (hash.empty()) return fail(ErrorCode::kInternal, "bcrypt failed");
  return hash;
}

bool verify_password(std::string_view password, const std::string& hash) {
  const std::string actual = bcrypt(password, hash);
  return fits_bcrypt(password) && !actual.empty() && actual.size() == hash.size() &&
         CRYPTO_memcmp(actual.data(), hash.data(), hash.size()) == 0;
}

void pretend_to_verify(std::string_view password, unsigned cost) {
  char setting[32];
  std::snprintf(setting, sizeof setting, "$2b$%02u$abcdefghijklmnopqrstuu", cost);
  (void)bcrypt(password, setting);
}

}  // namespace kalamdb::auth
