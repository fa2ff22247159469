#include "protocol/auth_messages.h"

#include <algorithm>

#include "protocol/json_reader.h"
#include "protocol/json_text.h"

namespace kalamdb::protocol {
namespace {

constexpr size_t kMaxUserCharacters = 128;
constexpr size_t kMaxPasswordCharacters = 256;

// Fields of both requests; each may come once.
struct Fields {
  std::optional<std::string> user;
  std::optional<std::string> password;
  std::optional<std::string> root_password;
  std::optional<std::string> email;
};

std::unexpected<Error> invalid(const std::string& reason) {
  return fail(ErrorCode::kInvalidInput, "Invalid request body: " + reason);
}

Result<> read_field(std::string_view name, simdjson::dom::element value, bool setup, Fields& fields) {
  if (name == "user" || name == "username") return read_string("user", value, fields.user);
  if (name == "password") return read_string(name, value, fields.password);
  if (setup && name == "root_password") return read_string(name, value, fields.root_password);
  if (setup && name == "email") return read_nullable_string(name, value, fields.email);
  return fail(ErrorCode::kInvalidInput, "unknown field `" + std::string(name) + "`");
}

// Characters, not bytes. The text is valid UTF-8.
size_t character_count(std::string_view text) {
  return static_cast<size_t>(
      std::ranges::count_if(text, [](char byte) { return (static_cast<unsigned char>(byte) & 0xC0) != 0x80; }));
}

Result<> check_length(std::string_view name, const std::optional<std::string>& value, size_t max_characters) {
  if (!value) return invalid("missing field `" + std::string(name) + "`");
  if (character_count(*value) > max_characters) {
    return invalid("`" + std::string(name) + "` has more than " + std::to_string(max_characters) + " characters");
  }
  return {};
}

Result<Fields> parse_fields(const std::string& body, bool setup) {
  const auto parsed = parse_json(body);
  if (!parsed) return invalid(parsed.error().message);
  simdjson::dom::object root;
  if (parsed->get(root) != simdjson::SUCCESS) return invalid("it must be a JSON object");
  Fields fields;
  for (const auto& [name, value] : root) {
    if (auto read = read_field(name, value, setup, fields); !read) return invalid(read.error().message);
  }
  KALAM_CHECK(check_length("user", fields.user, kMaxUserCharacters));
  KALAM_CHECK(check_length("password", fields.password, kMaxPasswordCharacters));
  if (setup) KALAM_CHECK(check_length("root_password", fields.root_password, kMaxPasswordCharacters));
  return fields;
}

// Appends `,"name":"text"`, or the first member when the object is still open and empty.
void append_member(std::string& out, std::string_view name, std::string_view text) {
  if (out.back() != '{') out.push_back(',');
  append_json_string(out, name);
  out.push_back(':');
  append_json_string(out, text);
}

void append_user(std::string& out, const UserInfo& user) {
  out.append("\"user\":{");
  append_member(out, "id", user.id);
  append_member(out, "role", user.role);
  if (user.email) {
    append_member(out, "email", *user.email);
  } else {
    out.append(",\"email\":null");
  }
  append_member(out, "created_at", rfc3339(user.created_at_us));
  append_member(out, "updated_at", rfc3339(user.updated_at_us));
  out.push_back('}');
}

void append_admin_ui_access(std::string& out, const UserInfo& user) {
  out.append(user.admin_ui_access ? ",\"admin_ui_access\":true" : ",\"admin_ui_access\":false");
}

}  // namespace

Result<LoginRequest> parse_login(const std::string& body) {
  KALAM_TRY(Fields fields, parse_fields(body, false));
  return LoginRequest{*std::move(fields.user), *std::move(fields.password)};
}

Result<SetupRequest> parse_setup(const std::string& body) {
  KALAM_TRY(Fields fields, parse_fields(body, true));
  return SetupRequest{*std::move(fields.user), *std::move(fields.password), *std::move(fields.root_password),
                      std::move(fields.email)};
}

std::string login_body(const UserInfo& user, const TokenPair& tokens) {
  std::string out = "{";
  append_user(out, user);
  append_admin_ui_access(out, user);
  append_member(out, "expires_at", rfc3339(tokens.expires_at_us));
  append_member(out, "access_token", tokens.access_token);
  append_member(out, "refresh_token", tokens.refresh_token);
  append_member(out, "refresh_expires_at", rfc3339(tokens.refresh_expires_at_us));
  out.push_back('}');
  return out;
}

std::string me_body(const UserInfo& user) {
  std::string out = "{";
  append_user(out, user);
  append_admin_ui_access(out, user);
  out.push_back('}');
  return out;
}

std::string setup_body(const UserInfo& user) {
  std::string out = "{";
  append_user(out, user);
  append_member(out, "message",
                "Server setup complete. Root password configured and DBA user '" + std::string(user.id) +
                    "' created. Please login to continue.");
  out.push_back('}');
  return out;
}

std::string status_body(bool needs_setup) {
  std::string out = needs_setup ? "{\"needs_setup\":true" : "{\"needs_setup\":false";
  append_member(out, "message",
                needs_setup ? "Server requires initial setup. Call POST /v1/api/auth/setup with user, password, "
                              "root_password, and optional email."
                            : "Server is configured and ready.");
  out.push_back('}');
  return out;
}

std::string logout_body() { return R"({"message":"Logged out successfully"})"; }

std::string auth_error_body(std::string_view error, std::string_view message) {
  std::string out = "{";
  append_member(out, "error", error);
  append_member(out, "message", message);
  out.push_back('}');
  return out;
}

std::string auth_failure_body(std::string_view code, std::string_view message, int64_t took_us) {
  std::string out = R"({"status":"error","error":{)";
  append_member(out, "code", code);
  append_member(out, "message", message);
  out.append("},\"results\":[],\"took\":");
  append_milliseconds(out, took_us);
  out.push_back('}');
  return out;
}

}  // namespace kalamdb::protocol
