// Bodies of the /v1/api/auth endpoints.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace kalamdb::protocol {

struct LoginRequest {
  std::string user;
  std::string password;
};

struct SetupRequest {
  std::string user;
  std::string password;
  std::string root_password;
  std::optional<std::string> email;
};

// `username` is another name for `user`; unknown fields are refused. User names have at most 128 characters, passwords
// 256. Errors: kInvalidInput with a message for the client.
Result<LoginRequest> parse_login(const std::string& body);
Result<SetupRequest> parse_setup(const std::string& body);

// A user as the endpoints show them. Borrows.
struct UserInfo {
  std::string_view id;
  std::string_view role;  // "dba"
  std::optional<std::string_view> email;
  int64_t created_at_us = 0;
  int64_t updated_at_us = 0;
  bool admin_ui_access = false;
};

// Times are microseconds since the Unix epoch. Borrows.
struct TokenPair {
  std::string_view access_token;
  int64_t expires_at_us = 0;
  std::string_view refresh_token;
  int64_t refresh_expires_at_us = 0;
};

std::string login_body(const UserInfo& user, const TokenPair& tokens);  // also of refresh
std::string me_body(const UserInfo& user);
std::string setup_body(const UserInfo& user);
std::string status_body(bool needs_setup);
std::string logout_body();
// {"error":"unauthorized","message":"Invalid credentials"}
std::string auth_error_body(std::string_view error, std::string_view message);

// What /sql, /topics, /files and /exports answer to a caller whom they do not let in.
std::string auth_failure_body(std::string_view code, std::string_view message, int64_t took_us);

}  // namespace kalamdb::protocol
