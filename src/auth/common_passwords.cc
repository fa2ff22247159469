// Passwords that every list of leaked passwords has near its top. Only those with eight characters or more: shorter
// ones are refused anyway.
#include <algorithm>
#include <array>
#include <cctype>
#include <string>

#include "auth/password.h"

namespace kalamdb::auth {
namespace {

constexpr std::array kCommonPasswords = std::to_array<std::string_view>({
    "00000000",   "0123456789", "0987654321", "11111111",    "1111111111",   "11223344",   "12121212",
    "123123123",  "12341234",   "1234512345", "12345678",    "123456789",    "1234567890", "12345678910",
    "123456789a", "1234qwer",   "123qweasd",  "12qwaszx",    "147258369",    "1q2w3e4r",   "1q2w3e4r5t",
    "1qaz2wsx",   "1qazxsw2",   "22222222",   "55555555",    "66666666",     "77777777",   "87654321",
    "88888888",   "987654321",  "99999999",   "a1234567",    "a12345678",    "aa123456",   "aaaaaaaa",
    "abc12345",   "abcd1234",   "abcdefgh",   "access14",    "admin123",     "admin1234",  "administrator",
    "adminadmin", "alexander",  "arsenal1",   "asdf1234",    "asdfasdf",     "asdfghjk",   "asdfghjkl",
    "babygirl",   "baseball",   "basketball", "blink182",    "butterfly",    "changeme",   "changeme123",
    "charlie1",   "chocolate",  "chelsea1",   "computer",    "corvette",     "danielle",   "default123",
    "dragon123",  "elephant",   "fernando",   "football",    "football1",    "fuckyou1",   "garfield",
    "google123",  "guest1234",  "helloworld", "iloveyou",    "iloveyou1",    "internet",   "jennifer",
    "jordan23",   "kalamdb123", "letmein1",   "letmein123",  "liverpool",    "login1234",  "master123",
    "maverick",   "mercedes",   "michelle",   "midnight",    "minecraft",    "monkey123",  "mustang1",
    "november",   "p@ssw0rd",   "p@ssword",   "pa55word",    "passw0rd",     "password",   "password!",
    "password1",  "password1!", "password12", "password123", "password1234", "pokemon1",   "princess",
    "princess1",  "q1w2e3r4",   "q1w2e3r4t5", "qazwsxedc",   "qwer1234",     "qwerasdf",   "qwerty12",
    "qwerty123",  "qwertyui",   "qwertyuiop", "root1234",    "rootroot",     "samantha",   "samsung1",
    "secret123",  "september",  "shadow123",  "slipknot",    "snowball",     "spiderman",  "starwars",
    "startrek",   "sunshine",   "sunshine1",  "superman",    "superman1",    "superuser",  "swordfish",
    "test1234",   "testtest",   "trustno1",   "user1234",    "victoria",     "welcome1",   "welcome123",
    "whatever",   "william1",   "zaq12wsx",   "zxcvbnm1",    "zxcvbnm123",
});

}  // namespace

bool is_common_password(std::string_view password) {
  std::string lower(password);
  std::ranges::transform(lower, lower.begin(),
                         [](unsigned char byte) { return static_cast<char>(std::tolower(byte)); });
  return std::ranges::find(kCommonPasswords, lower) != kCommonPasswords.end();
}

}  // namespace kalamdb::auth
