#include "cold/sigv4.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace kalamdb::cold {
namespace {

// The examples that AWS publishes, all at 2013-05-24T00:00:00Z:
// https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html
constexpr int64_t kTimeUs = 1'369'353'600'000'000;
const S3Credentials kCredentials{.access_key = "AKIAIOSFODNN7EXAMPLE",
                                 .secret_key = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"};

std::string signed_headers_and_signature(RequestToSign request, const S3Credentials& credentials = kCredentials) {
  request.headers.emplace_back("host", "examplebucket.s3.amazonaws.com");
  sign(request, credentials, "us-east-1", kTimeUs);
  const auto& [name, value] = request.headers.back();
  EXPECT_EQ(name, "authorization");
  const std::string start =
      "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,SignedHeaders=";
  EXPECT_TRUE(value.starts_with(start)) << value;
  return value.substr(start.size());
}

TEST(SigV4, GetObject) {
  EXPECT_EQ(signed_headers_and_signature({.method = "GET",
                                          .path = "/test.txt",
                                          .headers = {{"range", "bytes=0-9"}},
                                          .payload_sha256 = sha256_hex("")}),
            "host;range;x-amz-content-sha256;x-amz-date,"
            "Signature=f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41");
}

TEST(SigV4, PutObject) {
  EXPECT_EQ(signed_headers_and_signature(
                {.method = "PUT",
                 .path = encoded_path("/test$file.text"),
                 .headers = {{"date", "Fri, 24 May 2013 00:00:00 GMT"}, {"x-amz-storage-class", "REDUCED_REDUNDANCY"}},
                 .payload_sha256 = sha256_hex("Welcome to Amazon S3.")}),
            "date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class,"
            "Signature=98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd");
}

TEST(SigV4, QueryWithoutValue) {
  EXPECT_EQ(signed_headers_and_signature(
                {.method = "GET", .path = "/", .query = {{"lifecycle", ""}}, .payload_sha256 = sha256_hex("")}),
            "host;x-amz-content-sha256;x-amz-date,Signature="
            "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543");
}

TEST(SigV4, QueryIsSorted) {
  EXPECT_EQ(signed_headers_and_signature({.method = "GET",
                                          .path = "/",
                                          .query = {{"prefix", "J"}, {"max-keys", "2"}},
                                          .payload_sha256 = sha256_hex("")}),
            "host;x-amz-content-sha256;x-amz-date,Signature="
            "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7");
}

TEST(SigV4, SessionTokenIsSentAndSigned) {
  S3Credentials credentials = kCredentials;
  credentials.session_token = "token";
  RequestToSign request{.method = "GET", .path = "/", .headers = {{"host", "x"}}, .payload_sha256 = sha256_hex("")};
  sign(request, credentials, "us-east-1", kTimeUs);
  const std::pair<std::string, std::string> header("x-amz-security-token", "token");
  EXPECT_EQ(std::ranges::count(request.headers, header), 1);
  EXPECT_TRUE(request.headers.back().second.contains(";x-amz-security-token,"));
}

TEST(SigV4, Encoding) {
  EXPECT_EQ(encoded_path("/a b/%+é~@=(*)/"), "/a%20b/%25%2B%C3%A9~%40%3D%28%2A%29/");
  EXPECT_EQ(encoded_query({{"b", "x y/z"}, {"a", ""}, {"a-b", "&"}}), "a=&a-b=%26&b=x%20y%2Fz");
}

}  // namespace
}  // namespace kalamdb::cold
