#include "catalog/user.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <nlohmann/json.hpp>
#include <utility>

namespace kalamdb::catalog {

namespace {

struct RoleName {
  Role role;
  std::string_view lower;
  std::string_view pascal;
};
constexpr std::array<RoleName, 4> kRoles{{{Role::kUser, "user", "User"},
                                          {Role::kService, "service", "Service"},
                                          {Role::kDba, "dba", "Dba"},
                                          {Role::kSystem, "system", "System"}}};
constexpr std::array<std::pair<std::string_view, Role>, 6> kRoleAliases{{{"admin", Role::kDba},
                                                                         {"developer", Role::kService},
                                                                         {"analyst", Role::kService},
                                                                         {"viewer", Role::kUser},
                                                                         {"readonly", Role::kUser},
                                                                         {"dba", Role::kDba}}};

}  // namespace

std::string_view lower_name(Role role) { return kRoles[static_cast<size_t>(role)].lower; }
std::string_view pascal_name(Role role) { return kRoles[static_cast<size_t>(role)].pascal; }

std::optional<Role> parse_role(std::string_view name) {
  std::string lower(name);
  std::ranges::transform(lower, lower.begin(), [](unsigned char c) { return std::tolower(c); });
  for (const auto& entry : kRoles) {
    if (entry.lower == lower) return entry.role;
  }
  for (const auto& [alias, role] : kRoleAliases) {
    if (alias == lower) return role;
  }
  return std::nullopt;
}

std::string encode(const User& user) {
  nlohmann::json json{{"id", user.id},
                      {"password_hash", user.password_hash},
                      {"role", lower_name(user.role)},
                      {"auth_type", user.auth_type},
                      {"failed_login_attempts", user.failed_login_attempts},
                      {"locked_until_us", user.locked_until_us},
                      {"last_login_at_us", user.last_login_at_us},
                      {"created_at_us", user.created_at_us},
                      {"updated_at_us", user.updated_at_us},
                      {"deleted_at_us", user.deleted_at_us}};
  if (user.email) json["email"] = *user.email;
  if (!user.storage_id.empty()) json["storage_id"] = user.storage_id;
  return json.dump();
}

Result<User> decode_user(std::string_view text) {
  const nlohmann::json json = nlohmann::json::parse(text, nullptr, false);
  if (!json.is_object() || !json.contains("id")) return fail(ErrorCode::kCorruption, "A stored user cannot be read.");
  try {
    User user;
    user.id = json.at("id");
    user.password_hash = json.at("password_hash");
    const auto role = parse_role(json.at("role").get<std::string>());
    if (!role) return fail(ErrorCode::kCorruption, "The stored user '" + user.id + "' has an unknown role.");
    user.role = *role;
    if (json.contains("email")) user.email = json.at("email").get<std::string>();
    user.storage_id = json.value("storage_id", "");
    user.auth_type = json.at("auth_type");
    user.failed_login_attempts = json.at("failed_login_attempts");
    user.locked_until_us = json.at("locked_until_us");
    user.last_login_at_us = json.at("last_login_at_us");
    user.created_at_us = json.at("created_at_us");
    user.updated_at_us = json.at("updated_at_us");
    user.deleted_at_us = json.at("deleted_at_us");
    return user;
  } catch (const nlohmann::json::exception& error) {
    return fail(ErrorCode::kCorruption, std::string("A stored user cannot be read: ") + error.what());
  }
}

}  // namespace kalamdb::catalog
