#include "auth/token.h"

#include <gtest/gtest.h>

#include "auth/forge.h"

namespace kalamdb::auth {
namespace {

const std::string kSecret = "0123456789abcdef0123456789abcdef";
constexpr std::string_view kHeader = R"({"alg":"HS256","typ":"JWT"})";
constexpr std::string_view kClaims =
    R"({"sub":"alice","iss":"kalamdb","exp":2000000000,"iat":1700000000,"email":null,"role":"dba","token_type":"access"})";

std::unique_ptr<TokenSigner> make_signer(const std::string& secret = kSecret) { return *TokenSigner::create(secret); }

TEST(Token, SignedTokensVerify) {
  const auto signer = make_signer();
  catalog::User user{.id = "al\"ice", .role = catalog::Role::kService};
  user.email = "a@b";
  const auto token = signer->sign(user, TokenKind::kRefresh, 1'700'000'000, 2'000'000'000);
  ASSERT_TRUE(token);
  const auto claims = signer->verify(*token);
  ASSERT_TRUE(claims);
  EXPECT_EQ(claims->user, "al\"ice");
  EXPECT_EQ(claims->role, catalog::Role::kService);
  EXPECT_EQ(claims->kind, TokenKind::kRefresh);
  EXPECT_EQ(claims->expires_at_s, 2'000'000'000);
}

TEST(Token, HandMadeTokensOfTheSameFormVerify) {
  const auto signer = make_signer();
  EXPECT_TRUE(signer->verify(forge(kHeader, kClaims, kSecret)));
  EXPECT_TRUE(signer->verify(forge(R"({"alg":"HS256"})", kClaims, kSecret)));
  EXPECT_TRUE(signer->verify(forge(R"({"kid":"1","alg":"HS256"})", kClaims, kSecret)));
}

TEST(Token, ShortSecretsAreRefused) {
  EXPECT_FALSE(TokenSigner::create(""));
  EXPECT_FALSE(TokenSigner::create(std::string(31, 'x')));
  EXPECT_TRUE(TokenSigner::create(std::string(32, 'x')));
}

TEST(Token, WrongSignaturesAreRefused) {
  const auto signer = make_signer();
  EXPECT_FALSE(signer->verify(forge(kHeader, kClaims, "another secret of sufficient size")));
  const std::string token = forge(kHeader, kClaims, kSecret);
  const std::string other = forge(kHeader, R"({"sub":"root"})", kSecret);
  const size_t payload = token.find('.') + 1;
  const size_t signature = token.rfind('.') + 1;
  EXPECT_FALSE(signer->verify(token.substr(0, signature) + other.substr(other.rfind('.') + 1)));
  EXPECT_FALSE(signer->verify(token.substr(0, signature))) << "an empty signature";
  EXPECT_FALSE(signer->verify(token.substr(0, signature - 1))) << "no signature";
  for (size_t place : {payload + 3, signature + 3}) {
    std::string damaged = token;
    damaged[place] = damaged[place] == 'A' ? 'B' : 'A';
    EXPECT_FALSE(signer->verify(damaged)) << place;
  }
}

TEST(Token, NoAlgorithmButHs256) {
  const auto signer = make_signer();
  const std::string unsigned_part = base64url(R"({"alg":"none"})") + "." + base64url(kClaims);
  EXPECT_FALSE(signer->verify(unsigned_part + "."));
  for (const std::string algorithm :
       {"none", "None", "NONE", "hs256", "HS384", "HS512", "RS256", "ES256", "PS256", ""}) {
    EXPECT_FALSE(signer->verify(forge(R"({"alg":")" + algorithm + R"("})", kClaims, kSecret))) << algorithm;
  }
  EXPECT_FALSE(signer->verify(forge(R"({"alg":"HS384"})", kClaims, kSecret, EVP_sha384())));
  EXPECT_FALSE(signer->verify(forge(R"({"alg":"HS512"})", kClaims, kSecret, EVP_sha512())));
  EXPECT_FALSE(signer->verify(forge(R"({"alg":["HS256"]})", kClaims, kSecret)));
  EXPECT_FALSE(signer->verify(forge(R"({"alg":"none","alg":"HS256"})", kClaims, kSecret)));
  EXPECT_FALSE(signer->verify(forge(R"({"alg":"HS256","alg":"none"})", kClaims, kSecret)));
  EXPECT_FALSE(signer->verify(forge(R"({"typ":"JWT"})", kClaims, kSecret)));
}

TEST(Token, HeadersThatNameAnotherKeyAreRefused) {
  const auto signer = make_signer();
  for (const std::string member : {R"("jku":"https://evil.example/keys")", R"("x5u":"https://evil.example/cert")",
                                   R"("jwk":{"kty":"oct","k":"AA"})", R"("x5c":["AA"])", R"("crit":["exp"])",
                                   R"("b64":false)", R"("typ":"at+jwt")", R"("kid":7)"}) {
    EXPECT_FALSE(signer->verify(forge(R"({"alg":"HS256",)" + member + "}", kClaims, kSecret))) << member;
  }
}

TEST(Token, ClaimsMustBeThereAndOfTheirType) {
  const auto signer = make_signer();
  auto verifies = [&](std::string_view claims) { return signer->verify(forge(kHeader, claims, kSecret)).has_value(); };
  ASSERT_TRUE(verifies(R"({"sub":"a","iss":"kalamdb","exp":1,"token_type":"access"})"));
  EXPECT_TRUE(verifies(R"({"sub":"a","iss":"kalamdb","exp":1.5,"role":null,"token_type":"access"})"));
  EXPECT_FALSE(verifies(R"({"sub":"a","iss":"other","exp":1,"token_type":"access"})"));
  EXPECT_FALSE(verifies(R"({"sub":"a","exp":1,"token_type":"access"})"));
  EXPECT_FALSE(verifies(R"({"iss":"kalamdb","exp":1,"token_type":"access"})"));
  EXPECT_FALSE(verifies(R"({"sub":"","iss":"kalamdb","exp":1,"token_type":"access"})"));
  EXPECT_FALSE(verifies(R"({"sub":7,"iss":"kalamdb","exp":1,"token_type":"access"})"));
  EXPECT_FALSE(verifies(R"({"sub":"a","iss":"kalamdb","token_type":"access"})"));
  EXPECT_FALSE(verifies(R"({"sub":"a","iss":"kalamdb","exp":"9","token_type":"access"})"));
  EXPECT_FALSE(verifies(R"({"sub":"a","iss":"kalamdb","exp":1e300,"token_type":"access"})"));
  EXPECT_FALSE(verifies(R"({"sub":"a","iss":"kalamdb","exp":1})"));
  EXPECT_FALSE(verifies(R"({"sub":"a","iss":"kalamdb","exp":1,"token_type":"id"})"));
  EXPECT_FALSE(verifies(R"({"sub":"a","iss":"kalamdb","exp":1,"role":"emperor","token_type":"access"})"));
  EXPECT_FALSE(verifies(R"({"sub":"a","iss":"kalamdb","exp":1,"role":"admin","token_type":"access"})"))
      << "an alias is no role of a token";
  EXPECT_FALSE(verifies(R"({"sub":"a","iss":"kalamdb","exp":1,"nbf":"soon","token_type":"access"})"));
  EXPECT_FALSE(verifies("[]"));
  EXPECT_FALSE(verifies("not json"));
}

TEST(Token, OtherTextsAreNoTokens) {
  const auto signer = make_signer();
  for (const std::string text : {"", ".", "..", "...", "a.b.c", "a.b", "a.b.c.d.e", "!!!.???.###"}) {
    EXPECT_FALSE(signer->verify(text)) << text;
  }
  EXPECT_FALSE(signer->verify(std::string(10'000, 'a') + ".b.c"));
  EXPECT_FALSE(signer->verify(std::string("\0.\0.\0", 5)));
}

}  // namespace
}  // namespace kalamdb::auth
