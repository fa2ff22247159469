#include "protocol/auth_messages.h"

#include <gtest/gtest.h>

namespace kalamdb::protocol {
namespace {

constexpr int64_t kTime = 1704164645000000;

std::string login_error(const std::string& body) {
  const auto request = parse_login(body);
  return request ? "" : request.error().message;
}

TEST(AuthMessages, LoginTakesEitherNameOfTheUser) {
  EXPECT_EQ(parse_login(R"({"user":"a","password":"p"})")->user, "a");
  EXPECT_EQ(parse_login(R"({"username":"b","password":"p"})")->user, "b");
  EXPECT_EQ(login_error(R"({"user":"a","username":"b","password":"p"})"),
            "Invalid request body: duplicate field `user`");
}

TEST(AuthMessages, LoginIsStrict) {
  EXPECT_EQ(login_error(R"({"user":"a","password":"p","role":"dba"})"), "Invalid request body: unknown field `role`");
  EXPECT_EQ(login_error(R"({"user":"a","password":"p","root_password":"x"})"),
            "Invalid request body: unknown field `root_password`");
  EXPECT_EQ(login_error(R"({"user":"a"})"), "Invalid request body: missing field `password`");
  EXPECT_EQ(login_error(R"({"user":"a","password":null})"), "Invalid request body: `password` must be a string");
  EXPECT_EQ(login_error("[]"), "Invalid request body: it must be a JSON object");
  EXPECT_FALSE(login_error("").empty());
}

TEST(AuthMessages, LengthsAreInCharacters) {
  auto body = [](const std::string& user, const std::string& password) {
    return R"({"user":")" + user + R"(","password":")" + password + R"("})";
  };
  std::string wide;
  for (int i = 0; i < 128; ++i) wide += "é";
  EXPECT_EQ(login_error(body(wide, "p")), "");
  EXPECT_EQ(login_error(body(wide + "x", "p")), "Invalid request body: `user` has more than 128 characters");
  EXPECT_EQ(login_error(body("a", std::string(256, 'p'))), "");
  EXPECT_EQ(login_error(body("a", std::string(257, 'p'))),
            "Invalid request body: `password` has more than 256 characters");
}

TEST(AuthMessages, SetupHasAnOptionalEmail) {
  const auto with = parse_setup(R"({"user":"a","password":"p","root_password":"r","email":"a@b"})");
  ASSERT_TRUE(with);
  EXPECT_EQ(with->root_password, "r");
  EXPECT_EQ(with->email, "a@b");
  EXPECT_FALSE(parse_setup(R"({"user":"a","password":"p","root_password":"r","email":null})")->email);
  EXPECT_FALSE(parse_setup(R"({"user":"a","password":"p","root_password":"r"})")->email);
  EXPECT_FALSE(parse_setup(R"({"user":"a","password":"p"})"));
}

TEST(AuthMessages, Bodies) {
  const UserInfo user{"alice", "dba", std::nullopt, kTime, kTime + 1, true};
  EXPECT_EQ(login_body(user, {"AT", kTime, "RT", kTime}),
            R"({"user":{"id":"alice","role":"dba","email":null,"created_at":"2024-01-02T03:04:05.000000Z",)"
            R"("updated_at":"2024-01-02T03:04:05.000001Z"},"admin_ui_access":true,)"
            R"("expires_at":"2024-01-02T03:04:05.000000Z","access_token":"AT","refresh_token":"RT",)"
            R"("refresh_expires_at":"2024-01-02T03:04:05.000000Z"})");
  const UserInfo other{"bob", "user", "b@x", kTime, kTime, false};
  EXPECT_EQ(me_body(other),
            R"({"user":{"id":"bob","role":"user","email":"b@x","created_at":"2024-01-02T03:04:05.000000Z",)"
            R"("updated_at":"2024-01-02T03:04:05.000000Z"},"admin_ui_access":false})");
  EXPECT_EQ(setup_body(user),
            R"({"user":{"id":"alice","role":"dba","email":null,"created_at":"2024-01-02T03:04:05.000000Z",)"
            R"("updated_at":"2024-01-02T03:04:05.000001Z"},"message":"Server setup complete. Root password configured )"
            R"(and DBA user 'alice' created. Please login to continue."})");
  EXPECT_EQ(status_body(false), R"({"needs_setup":false,"message":"Server is configured and ready."})");
  EXPECT_EQ(status_body(true),
            R"({"needs_setup":true,"message":"Server requires initial setup. Call POST /v1/api/auth/setup with user, )"
            R"(password, root_password, and optional email."})");
  EXPECT_EQ(logout_body(), R"({"message":"Logged out successfully"})");
  EXPECT_EQ(auth_error_body("unauthorized", "Invalid credentials"),
            R"({"error":"unauthorized","message":"Invalid credentials"})");
  EXPECT_EQ(auth_failure_body("TOKEN_EXPIRED", "Invalid credentials", 40),
            R"({"status":"error","error":{"code":"TOKEN_EXPIRED","message":"Invalid credentials"},"results":[],)"
            R"("took":0.04})");
}

}  // namespace
}  // namespace kalamdb::protocol
