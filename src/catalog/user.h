// Users and roles as the catalog keeps them.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace kalamdb::catalog {

enum class Role : uint8_t { kUser, kService, kDba, kSystem };

std::string_view lower_name(Role role);   // "dba"
std::string_view pascal_name(Role role);  // "Dba"
// With the SQL aliases (admin, developer, analyst, viewer, readonly), any letter case.
std::optional<Role> parse_role(std::string_view name);
inline bool is_admin(Role role) { return role == Role::kDba || role == Role::kSystem; }

// Immutable once published.
struct User {
  std::string id;             // login name, case-sensitive
  std::string password_hash;  // bcrypt, or empty: cannot log in by password
  Role role = Role::kUser;
  std::optional<std::string> email;
  std::string auth_type = "Password";  // "Password", "OAuth", "Internal"
  std::string storage_id;  // where tables with USE_USER_STORAGE keep this user's rows; empty: where the table says
  uint32_t failed_login_attempts = 0;
  int64_t locked_until_us = 0;   // 0: not locked
  int64_t last_login_at_us = 0;  // 0: never
  int64_t created_at_us = 0;
  int64_t updated_at_us = 0;
  int64_t deleted_at_us = 0;  // 0: not deleted
};
using UserPtr = std::shared_ptr<const User>;

std::string encode(const User& user);
Result<User> decode_user(std::string_view json);

}  // namespace kalamdb::catalog
