// Authentication as the endpoints use it: everything wired together over accounts in memory.
#include "auth/login.h"

#include <gtest/gtest.h>

#include <future>

#include "auth/fake_accounts.h"
#include "auth/forge.h"

namespace kalamdb::auth {
namespace {

using catalog::Role;

constexpr int64_t kNow = 1'700'000'000'000'000;
constexpr int64_t kSecond = 1'000'000;
constexpr int64_t kMinute = 60 * kSecond;
const std::string kSecret = "0123456789abcdef0123456789abcdef";
const Peer kLocal{"127.0.0.1", true};
const Peer kRemote{"203.0.113.9", false};

class AuthFlow : public ::testing::Test {
 protected:
  AuthFlow() {
    (void)accounts_.create({.id = "root", .role = Role::kSystem, .auth_type = "Internal"});
    (void)accounts_.create({.id = "alice", .password_hash = *hash_password("alice-secret", 4, random_)});
    (void)accounts_.create({.id = "oauth", .password_hash = "", .auth_type = "OAuth"});
  }

  AuthResult<Session> login(const std::string& user, const std::string& password, const Peer& peer = kLocal) {
    std::promise<AuthResult<Session>> answer;
    login_.login(user, password, peer, [&](AuthResult<Session> result) { answer.set_value(std::move(result)); });
    return answer.get_future().get();
  }
  std::string failure(const std::string& user, const std::string& password, const Peer& peer = kLocal) {
    const auto session = login(user, password, peer);
    return session ? "" : std::to_string(session.error().http_status) + " " + std::string(session.error().code);
  }
  AuthResult<catalog::UserPtr> setup(SetupDetails details, const Peer& peer = kLocal) {
    std::promise<AuthResult<catalog::UserPtr>> answer;
    login_.setup(std::move(details), peer,
                 [&](AuthResult<catalog::UserPtr> user) { answer.set_value(std::move(user)); });
    return answer.get_future().get();
  }
  AuthResult<Identity> basic(const std::string& user, const std::string& password, const Peer& peer = kLocal) {
    const std::string header = "Basic " + base64(user + ":" + password);
    if (auto known = authenticator_.authenticate(header)) {
      ++basic_hits_;
      return *known;
    }
    std::promise<AuthResult<Identity>> answer;
    authenticator_.authenticate_basic(header, peer, [&](AuthResult<Identity> id) { answer.set_value(std::move(id)); });
    return answer.get_future().get();
  }
  std::string bearer_failure(const std::string& token) {
    const auto identity = authenticator_.authenticate("Bearer " + token);
    return !identity ? "?" : *identity ? "" : std::string(identity->error().code);
  }

  platform::ManualClock clock_{kNow};
  platform::SystemRandom random_;
  FakeAccounts accounts_;
  std::unique_ptr<TokenSigner> signer_ = *TokenSigner::create(kSecret);
  HashPool pool_{2, 64};
  PasswordCheck passwords_{accounts_, pool_, clock_, {}, 4};
  Authenticator authenticator_{accounts_, *signer_, passwords_, clock_, random_, {}};
  Login login_{accounts_, *signer_, passwords_, authenticator_, pool_, clock_, random_, {.bcrypt_cost = 4}};
  int basic_hits_ = 0;
};

TEST_F(AuthFlow, LoginGivesTokensThatWork) {
  const auto session = login("alice", "alice-secret");
  ASSERT_TRUE(session);
  EXPECT_EQ(session->user->id, "alice");
  EXPECT_EQ(session->expires_at_us, kNow + 24 * 60 * kMinute);
  EXPECT_EQ(session->refresh_expires_at_us, kNow + 7 * 24 * 60 * kMinute);
  const auto identity = authenticator_.authenticate("Bearer " + session->access_token);
  ASSERT_TRUE(identity && *identity);
  EXPECT_EQ((*identity)->user.value, "alice");
  EXPECT_EQ((*identity)->role, Role::kUser);
  EXPECT_EQ(accounts_.find("alice")->last_login_at_us, kNow);
  EXPECT_EQ(bearer_failure(session->refresh_token), "INVALID_CREDENTIALS") << "a refresh token opens no route";
}

TEST_F(AuthFlow, WrongOnesAllLookTheSame) {
  (void)accounts_.change("alice", [](catalog::User& user) { user.deleted_at_us = 1; });
  for (const char* user : {"alice", "nobody", "oauth", ""}) {
    for (const char* password : {"alice-secret", "wrong", ""}) {
      EXPECT_EQ(failure(user, password), "401 unauthorized") << user << "/" << password;
    }
  }
}

TEST_F(AuthFlow, FiveFailuresLockTheAccountAndOnlyTheRightPasswordLearnsOfIt) {
  for (int i = 0; i < 5; ++i) EXPECT_EQ(failure("alice", "wrong"), "401 unauthorized");
  EXPECT_EQ(failure("alice", "wrong"), "401 unauthorized");
  const auto locked = login("alice", "alice-secret");
  ASSERT_FALSE(locked);
  EXPECT_EQ(locked.error().code, "account_locked");
  EXPECT_NE(locked.error().message.find("15 minute(s)"), std::string::npos);
  EXPECT_EQ(basic("alice", "alice-secret").error().code, "ACCOUNT_LOCKED");
  clock_.advance_us(15 * kMinute);
  EXPECT_EQ(failure("alice", "wrong"), "401 unauthorized") << "one failure after the lock does not lock again";
  EXPECT_TRUE(login("alice", "alice-secret"));
  EXPECT_EQ(accounts_.find("alice")->failed_login_attempts, 0U);
  EXPECT_EQ(accounts_.find("alice")->locked_until_us, 0);
}

TEST_F(AuthFlow, FailuresWhileLockedDoNotProlongTheLock) {
  for (int i = 0; i < 5; ++i) (void)failure("alice", "wrong");
  (void)failure("alice", "wrong");
  const int64_t until = accounts_.find("alice")->locked_until_us;
  clock_.advance_us(5 * kMinute);
  for (int i = 0; i < 9; ++i) (void)failure("alice", "wrong");
  EXPECT_EQ(accounts_.find("alice")->locked_until_us, until);
}

TEST_F(AuthFlow, SuccessClearsTheCount) {
  for (int i = 0; i < 4; ++i) (void)failure("alice", "wrong");
  EXPECT_TRUE(login("alice", "alice-secret"));
  for (int i = 0; i < 4; ++i) (void)failure("alice", "wrong");
  EXPECT_TRUE(login("alice", "alice-secret"));
}

TEST_F(AuthFlow, ALockedAccountsTokensStop) {
  const auto session = login("alice", "alice-secret");
  for (int i = 0; i < 6; ++i) (void)failure("alice", "wrong");
  EXPECT_EQ(bearer_failure(session->access_token), "ACCOUNT_LOCKED");
  EXPECT_EQ(login_.refresh(session->refresh_token, kLocal).error().code, "account_locked");
}

TEST_F(AuthFlow, TokensExpireWithLeeway) {
  const auto session = login("alice", "alice-secret");
  clock_.set_now_us(session->expires_at_us + 59 * kSecond);
  EXPECT_EQ(bearer_failure(session->access_token), "");
  clock_.set_now_us(session->expires_at_us + 61 * kSecond);
  EXPECT_EQ(bearer_failure(session->access_token), "TOKEN_EXPIRED") << "also from the cache";
}

TEST_F(AuthFlow, TokensThatAreNotYetValid) {
  auto token_from = [](int64_t not_before_s) {
    return forge(R"({"alg":"HS256"})",
                 R"({"sub":"alice","iss":"kalamdb","exp":2000000000,"nbf":)" + std::to_string(not_before_s) +
                     R"(,"token_type":"access"})",
                 kSecret);
  };
  EXPECT_EQ(bearer_failure(token_from(kNow / kSecond + 61)), "INVALID_CREDENTIALS");
  EXPECT_EQ(bearer_failure(token_from(kNow / kSecond + 59)), "");
}

TEST_F(AuthFlow, DroppingAndDemotingTakeEffectAtOnce) {
  const auto session = login("alice", "alice-secret");
  ASSERT_EQ(bearer_failure(session->access_token), "");
  (void)accounts_.change("alice", [](catalog::User& user) { user.role = Role::kService; });
  EXPECT_EQ(bearer_failure(session->access_token), "INVALID_CREDENTIALS");
  EXPECT_EQ(login_.refresh(session->refresh_token, kLocal).error().message, "Token role does not match user role");
  (void)accounts_.change("alice", [](catalog::User& user) { user.role = Role::kUser, user.deleted_at_us = 1; });
  EXPECT_EQ(bearer_failure(session->access_token), "INVALID_CREDENTIALS");
  EXPECT_EQ(login_.refresh(session->refresh_token, kLocal).error().message, "User no longer valid");
}

TEST_F(AuthFlow, RefreshRotatesThePair) {
  const auto session = login("alice", "alice-secret");
  clock_.advance_us(10 * kSecond);
  const auto next = login_.refresh(session->refresh_token, kLocal);
  ASSERT_TRUE(next);
  EXPECT_NE(next->access_token, session->access_token);
  EXPECT_EQ(bearer_failure(next->access_token), "");
  EXPECT_EQ(login_.refresh(session->access_token, kLocal).error().message, "Refresh endpoint requires a refresh token");
  EXPECT_EQ(login_.refresh("x", kLocal).error().code, "unauthorized");
  clock_.set_now_us(session->refresh_expires_at_us + 61 * kSecond);
  EXPECT_EQ(login_.refresh(session->refresh_token, kLocal).error().message, "Invalid credentials");
}

TEST_F(AuthFlow, HeadersThatAreNoCredentials) {
  auto code = [&](std::string_view header) { return std::string(authenticator_.authenticate(header)->error().code); };
  EXPECT_EQ(code(""), "MISSING_AUTHORIZATION");
  for (const char* header : {"Bearer", "Bearer ", "Bearer x", "Digest abc", "alice", "Basicx"}) {
    EXPECT_EQ(code(header), "INVALID_CREDENTIALS") << header;
  }
  EXPECT_EQ(authenticator_.authenticate_token("").error().code, "INVALID_CREDENTIALS");
}

TEST_F(AuthFlow, BasicCredentialsAreCheckedOnceAMinute) {
  ASSERT_TRUE(basic("alice", "alice-secret"));
  EXPECT_EQ(basic_hits_, 0);
  EXPECT_EQ(basic("alice", "alice-secret")->user.value, "alice");
  EXPECT_EQ(basic_hits_, 1);
  EXPECT_EQ(basic("alice", "alice-secre").error().code, "INVALID_CREDENTIALS");
  EXPECT_EQ(basic("alice:alice-secret", "").error().code, "INVALID_CREDENTIALS");
  clock_.advance_us(60 * kSecond);
  EXPECT_TRUE(basic("alice", "alice-secret"));
  EXPECT_EQ(basic_hits_, 1) << "forgotten after a minute";
  (void)accounts_.change("alice",
                         [&](catalog::User& user) { user.password_hash = *hash_password("new-one!", 4, random_); });
  EXPECT_FALSE(basic("alice", "alice-secret")) << "forgotten when the password changes";
  EXPECT_TRUE(basic("alice", "new-one!"));
}

TEST_F(AuthFlow, MalformedBasicCredentials) {
  for (const char* encoded : {"", "=", "====", "YWxpY2U=", "!!!!", "YWxp"}) {
    std::promise<AuthResult<Identity>> answer;
    authenticator_.authenticate_basic("Basic " + std::string(encoded), kLocal,
                                      [&](AuthResult<Identity> id) { answer.set_value(std::move(id)); });
    EXPECT_EQ(answer.get_future().get().error().code, "INVALID_CREDENTIALS") << encoded;
  }
}

TEST_F(AuthFlow, AttemptsAreLimitedByAddress) {
  for (int i = 0; i < 20; ++i) EXPECT_EQ(failure("nobody", "x", kRemote), "401 unauthorized");
  EXPECT_EQ(failure("nobody", "x", kRemote), "429 rate_limited");
  EXPECT_EQ(basic("nobody", "x", kRemote).error().http_status, 429);
  EXPECT_EQ(login_.refresh("x", kRemote).error().http_status, 429);
  EXPECT_EQ(failure("nobody", "x", {"203.0.113.10", false}), "401 unauthorized");
  for (int i = 0; i < 30; ++i) EXPECT_EQ(failure("nobody", "x", kLocal), "401 unauthorized");
}

TEST_F(AuthFlow, RootWithoutPasswordAsksForSetup) {
  EXPECT_TRUE(login_.needs_setup());
  EXPECT_EQ(failure("root", ""), "428 setup_required");
  EXPECT_EQ(failure("root", "", kRemote), "428 setup_required");
  EXPECT_EQ(failure("root", "x"), "401 unauthorized");
  EXPECT_EQ(failure("root", "x", kRemote), "403 forbidden");
}

TEST_F(AuthFlow, SetupConfiguresTheServerOnce) {
  const SetupDetails good{"admin1", "admin-secret", "root-secret!", "a@b"};
  auto code = [](const AuthResult<catalog::UserPtr>& result) {
    return result ? "" : std::to_string(result.error().http_status) + " " + std::string(result.error().code);
  };
  EXPECT_EQ(code(setup(good, kRemote)), "403 forbidden");
  EXPECT_EQ(code(setup({"root", "admin-secret", "root-secret!", {}})), "400 invalid_user");
  EXPECT_EQ(code(setup({"a/b", "admin-secret", "root-secret!", {}})), "400 invalid_user");
  EXPECT_EQ(code(setup({"", "admin-secret", "root-secret!", {}})), "400 invalid_user");
  EXPECT_EQ(setup({"x", "short", "root-secret!", {}}).error().message,
            "DBA user password: Weak password: it must have at least 8 bytes");
  EXPECT_EQ(setup({"x", "admin-secret", "password", {}}).error().message,
            "Root password: Weak password: it is too common");
  EXPECT_EQ(code(setup({"alice", "admin-secret", "root-secret!", {}})), "409 user_exists");
  EXPECT_TRUE(login_.needs_setup());

  const auto user = setup(good);
  ASSERT_TRUE(user);
  EXPECT_EQ((*user)->role, Role::kDba);
  EXPECT_EQ((*user)->email, "a@b");
  EXPECT_FALSE(login_.needs_setup());
  EXPECT_EQ(code(setup({"other", "admin-secret", "root-secret!", {}})), "409 already_configured");
  EXPECT_TRUE(login("admin1", "admin-secret", kRemote));
  EXPECT_TRUE(login("root", "root-secret!", kRemote));
  EXPECT_EQ(failure("root", ""), "401 unauthorized");
}

TEST_F(AuthFlow, AFullHashQueueIsARateLimit) {
  std::promise<void> go;
  auto gate = go.get_future().share();
  std::promise<void> started;
  ASSERT_TRUE(pool_.submit("alice", [&started, gate] {
    started.set_value();
    gate.wait();
  }));
  started.get_future().wait();
  while (pool_.submit("alice", [] {})) {
  }
  EXPECT_EQ(failure("alice", "alice-secret"), "429 rate_limited");
  EXPECT_EQ(basic("alice", "alice-secret").error().http_status, 429);
  go.set_value();
}

TEST(Addresses, Loopback) {
  EXPECT_TRUE(is_loopback("127.0.0.1"));
  EXPECT_TRUE(is_loopback("127.8.8.8"));
  EXPECT_TRUE(is_loopback("::1"));
  EXPECT_FALSE(is_loopback("10.0.0.1"));
  EXPECT_FALSE(is_loopback(""));
  EXPECT_FALSE(is_loopback("::"));
}

}  // namespace
}  // namespace kalamdb::auth
