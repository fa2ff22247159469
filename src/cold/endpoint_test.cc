#include "cold/endpoint.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>

#include <cstring>

namespace kalamdb::cold {
namespace {

TEST(Endpoint, PartsOfAUrl) {
  EXPECT_EQ(parse_endpoint("https://S3.Example.com").value(), (Endpoint{"https", "s3.example.com", ""}));
  EXPECT_EQ(parse_endpoint("http://minio:9000/").value(), (Endpoint{"http", "minio:9000", ""}));
  EXPECT_EQ(parse_endpoint("https://x:443/storage/s3/").value(), (Endpoint{"https", "x", "/storage/s3"}));
  EXPECT_EQ(parse_endpoint("http://[::1]:80").value(), (Endpoint{"http", "[::1]", ""}));
  EXPECT_EQ(parse_endpoint("http://[::1]:81").value(), (Endpoint{"http", "[::1]:81", ""}));
}

TEST(Endpoint, WhatIsNone) {
  for (const char* url : {"", "s3.example.com", "ftp://x", "file:///etc/passwd", "gopher://x", "http://", "https://u@x",
                          "https://x?a=b", "https://x#f", "http://[fe80::1%25eth0]", "http://x y",
                          "http://\xc3\xa9.com", "http://x:99999", "http://x\r\nHost: y"}) {
    const auto parsed = parse_endpoint(url);
    ASSERT_FALSE(parsed) << url;
    EXPECT_EQ(parsed.error().code, ErrorCode::kInvalidInput);
  }
  EXPECT_FALSE(parse_endpoint("https://u:secret@x").error().message.contains("secret"));
}

bool is_private(const char* text) {
  sockaddr_storage storage{};
  auto* in = reinterpret_cast<sockaddr_in*>(&storage);
  auto* in6 = reinterpret_cast<sockaddr_in6*>(&storage);
  if (inet_pton(AF_INET, text, &in->sin_addr) == 1) {
    in->sin_family = AF_INET;
  } else {
    EXPECT_EQ(inet_pton(AF_INET6, text, &in6->sin6_addr), 1) << text;
    in6->sin6_family = AF_INET6;
  }
  return is_private_address(reinterpret_cast<const sockaddr&>(storage));
}

TEST(Endpoint, PrivateAddresses) {
  for (const char* address : {"127.0.0.1",
                              "127.255.255.255",
                              "0.0.0.0",
                              "10.0.0.1",
                              "100.64.0.1",
                              "100.100.100.200",
                              "168.63.129.16",
                              "169.254.169.254",
                              "172.16.0.1",
                              "172.31.255.255",
                              "192.168.0.1",
                              "192.0.0.192",
                              "198.19.0.1",
                              "224.0.0.1",
                              "240.0.0.1",
                              "255.255.255.255",
                              "::",
                              "::1",
                              "::127.0.0.1",
                              "::ffff:127.0.0.1",
                              "::ffff:169.254.169.254",
                              "64:ff9b::10.0.0.1",
                              "2002:7f00:1::",
                              "2002:a9fe:a9fe::1",
                              "fe80::1",
                              "fec0::1",
                              "fc00::1",
                              "fd00:ec2::254",
                              "ff02::1",
                              "100::1",
                              "2001:db8::1",
                              "2001::1",
                              "4000::1"}) {
    EXPECT_TRUE(is_private(address)) << address;
  }
  for (const char* address : {"1.1.1.1",        "52.216.0.1",        "9.255.255.255",       "11.0.0.0",
                              "100.63.255.255", "100.128.0.0",       "126.255.255.255",     "128.0.0.0",
                              "168.63.129.15",  "169.253.0.1",       "172.15.0.1",          "172.32.0.0",
                              "192.167.0.1",    "198.17.0.1",        "198.20.0.0",          "223.255.255.255",
                              "2600:1f18::1",   "::ffff:52.216.0.1", "64:ff9b::52.216.0.1", "2001:4860::1"}) {
    EXPECT_FALSE(is_private(address)) << address;
  }
  sockaddr unix_domain{};
  unix_domain.sa_family = AF_UNIX;
  EXPECT_TRUE(is_private_address(unix_domain));
}

}  // namespace
}  // namespace kalamdb::cold
