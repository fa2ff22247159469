// AWS Signature Version 4, in the form that S3 wants: how requests prove that who sends them knows a secret key.
// https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html
//
// libcurl's own (CURLOPT_AWS_SIGV4) does not sort the query and encodes paths and queries otherwise than S3 in the
// release that Debian 12 has.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace kalamdb::cold {

struct S3Credentials {
  std::string access_key;
  std::string secret_key;
  std::string session_token;  // "" for those that do not expire
};

using NamesAndValues = std::vector<std::pair<std::string, std::string>>;

struct RequestToSign {
  std::string method;
  std::string path;            // encoded, as it is sent
  NamesAndValues query;        // not encoded
  NamesAndValues headers;      // all of them are signed: lower-case names, "host" among them
  std::string payload_sha256;  // hexadecimal
};

// Adds what a signed request needs to its headers: x-amz-date, x-amz-content-sha256, x-amz-security-token if there is
// a token, authorization. `now_us` is the wall clock's.
void sign(RequestToSign& request, const S3Credentials& credentials, std::string_view region, int64_t now_us);

// "a=1&b=%20", sorted by name, as it has to be sent.
std::string encoded_query(const NamesAndValues& query);
// Letters, digits and "-_.~" stay, and '/' in a path; every other byte becomes %XX.
std::string encoded_path(std::string_view path);
// Any percent-encoded text as it was; empty where it is none.
std::string decoded(std::string_view text);

std::string sha256_hex(std::string_view bytes);

}  // namespace kalamdb::cold
