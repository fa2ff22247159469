#include "auth/password.h"

#include <gtest/gtest.h>

namespace kalamdb::auth {
namespace {

std::string refusal(std::string_view password, PasswordPolicy policy = {}) {
  const auto good = check_password(password, policy);
  return good ? "" : good.error().message;
}

TEST(Password, PolicyBoundsLengthInBytes) {
  EXPECT_EQ(refusal("1234567"), "Weak password: it must have at least 8 bytes");
  EXPECT_EQ(refusal("ab34567x"), "");
  EXPECT_EQ(refusal(std::string(72, 'x')), "");
  EXPECT_EQ(refusal(std::string(73, 'x')), "Weak password: it must have at most 72 bytes");
  EXPECT_EQ(refusal(std::string_view("abc\0efgh1", 9)), "Weak password: it must not contain a NUL byte");
  EXPECT_NE(refusal("only11bytes", {.min_bytes = 12}), "");
}

TEST(Password, CommonOnesAreRefusedInAnyLetterCase) {
  EXPECT_EQ(refusal("password123"), "Weak password: it is too common");
  EXPECT_EQ(refusal("PassWord123"), "Weak password: it is too common");
  EXPECT_EQ(refusal("password123", {.allow_common = true}), "");
}

TEST(Password, ComplexityIsOptional) {
  const PasswordPolicy complex{.enforce_complexity = true};
  EXPECT_NE(refusal("alllowercase1!", complex), "");
  EXPECT_NE(refusal("NoDigitsHere!", complex), "");
  EXPECT_NE(refusal("NoOther1234", complex), "");
  EXPECT_EQ(refusal("Good1234!", complex), "");
}

TEST(Password, HashesVerifyAndDiffer) {
  platform::SystemRandom random;
  const auto hash = hash_password("correct horse", 4, random);
  ASSERT_TRUE(hash);
  EXPECT_TRUE(hash->starts_with("$2b$04$"));
  EXPECT_NE(*hash, *hash_password("correct horse", 4, random)) << "each has its own salt";
  EXPECT_TRUE(verify_password("correct horse", *hash));
  EXPECT_FALSE(verify_password("correct horsf", *hash));
  EXPECT_FALSE(verify_password("", *hash));
}

TEST(Password, KnownHashOfAnotherImplementation) {
  // From the test vectors of Openwall's crypt_blowfish.
  EXPECT_TRUE(verify_password("U*U", "$2b$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW"));
  EXPECT_FALSE(verify_password("U*V", "$2b$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW"));
}

TEST(Password, WhatBcryptWouldCutIsNeverRight) {
  platform::SystemRandom random;
  EXPECT_FALSE(hash_password(std::string(73, 'x'), 4, random));
  EXPECT_FALSE(hash_password(std::string_view("a\0b", 3), 4, random));
  const std::string hash = *hash_password(std::string(72, 'x'), 4, random);
  EXPECT_FALSE(verify_password(std::string(73, 'x'), hash));
  const std::string of_a = *hash_password("a", 4, random);
  EXPECT_FALSE(verify_password(std::string_view("a\0b", 3), of_a));
}

TEST(Password, BrokenHashesNeverVerify) {
  for (const std::string hash : {"", "*0", "*1", "x", "$2b$", "$2b$04$", "$2b$99$abcdefghijklmnopqrstuu"}) {
    EXPECT_FALSE(verify_password("*0", hash)) << hash;
    EXPECT_FALSE(verify_password("", hash)) << hash;
  }
}

TEST(Password, CostOutOfRangeIsAnError) {
  platform::SystemRandom random;
  EXPECT_FALSE(hash_password("x", 3, random));
  EXPECT_FALSE(hash_password("x", 32, random));
}

}  // namespace
}  // namespace kalamdb::auth
