#include "cold/endpoint.h"

#include <arpa/inet.h>
#include <curl/curl.h>
#include <netinet/in.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cstdint>
#include <cstring>
#include <memory>

namespace kalamdb::cold {
namespace {

// "" when the URL has no such part.
std::string part(CURLU* url, CURLUPart which) {
  char* text = nullptr;
  if (curl_url_get(url, which, &text, 0) != CURLUE_OK) return "";
  std::string out(text);
  curl_free(text);
  return out;
}

struct Ipv4Block {
  uint32_t network;
  int bits;
};

constexpr uint32_t ipv4(uint32_t a, uint32_t b, uint32_t c, uint32_t d) { return a << 24 | b << 16 | c << 8 | d; }

// https://www.iana.org/assignments/iana-ipv4-special-registry
constexpr std::array kPrivateIpv4 = {
    Ipv4Block{ipv4(0, 0, 0, 0), 8},      Ipv4Block{ipv4(10, 0, 0, 0), 8},       Ipv4Block{ipv4(100, 64, 0, 0), 10},
    Ipv4Block{ipv4(127, 0, 0, 0), 8},    Ipv4Block{ipv4(168, 63, 129, 16), 32},  // Azure's metadata
    Ipv4Block{ipv4(169, 254, 0, 0), 16}, Ipv4Block{ipv4(172, 16, 0, 0), 12},    Ipv4Block{ipv4(192, 0, 0, 0), 24},
    Ipv4Block{ipv4(192, 0, 2, 0), 24},   Ipv4Block{ipv4(192, 88, 99, 0), 24},   Ipv4Block{ipv4(192, 168, 0, 0), 16},
    Ipv4Block{ipv4(198, 18, 0, 0), 15},  Ipv4Block{ipv4(198, 51, 100, 0), 24},  Ipv4Block{ipv4(203, 0, 113, 0), 24},
    Ipv4Block{ipv4(224, 0, 0, 0), 3},
};

bool is_private_ipv4(uint32_t address) {
  return std::ranges::any_of(
      kPrivateIpv4, [&](const Ipv4Block& block) { return (address ^ block.network) >> (32 - block.bits) == 0; });
}

bool is_private_ipv6(const std::array<uint8_t, 16>& a) {
  const auto embedded = [&](size_t at) { return is_private_ipv4(ipv4(a[at], a[at + 1], a[at + 2], a[at + 3])); };
  const auto starts_with = [&](std::initializer_list<uint8_t> prefix) {
    return std::equal(prefix.begin(), prefix.end(), a.begin());
  };
  // IPv4 addresses in other dress: mapped, translated (NAT64), 6to4.
  if (starts_with({0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff})) return embedded(12);
  if (starts_with({0, 0x64, 0xff, 0x9b, 0, 0, 0, 0, 0, 0, 0, 0})) return embedded(12);
  if (starts_with({0x20, 0x02})) return embedded(2);
  // Only 2000::/3 is given out for use on the internet; of it, Teredo and documentation are not.
  if ((a[0] & 0xe0) != 0x20) return true;
  return starts_with({0x20, 0x01, 0, 0}) || starts_with({0x20, 0x01, 0x0d, 0xb8});
}

}  // namespace

Result<Endpoint> parse_endpoint(const std::string& url) {
  const auto invalid = [&](const std::string& rule) {
    return fail(ErrorCode::kInvalidInput, "The endpoint '" + url + "' " + rule);
  };
  const std::unique_ptr<CURLU, decltype(&curl_url_cleanup)> parsed(curl_url(), curl_url_cleanup);
  if (const CURLUcode code = curl_url_set(parsed.get(), CURLUPART_URL, url.c_str(), 0); code != CURLUE_OK) {
    return fail(ErrorCode::kInvalidInput, std::string("The endpoint must be a URL such as https://s3.example.com (") +
                                              curl_url_strerror(code) + ")");
  }
  // Never shown: it may hold a password.
  if (!part(parsed.get(), CURLUPART_USER).empty() || !part(parsed.get(), CURLUPART_PASSWORD).empty()) {
    return fail(ErrorCode::kInvalidInput, "The endpoint must not have a user name; credentials are given beside it");
  }
  Endpoint endpoint{.scheme = part(parsed.get(), CURLUPART_SCHEME),
                    .host = part(parsed.get(), CURLUPART_HOST),
                    .path = part(parsed.get(), CURLUPART_PATH)};
  if (endpoint.scheme != "http" && endpoint.scheme != "https") return invalid("must begin with https:// or http://");
  if (!part(parsed.get(), CURLUPART_QUERY).empty() || !part(parsed.get(), CURLUPART_FRAGMENT).empty()) {
    return invalid("must not have a query or a fragment");
  }
  if (!part(parsed.get(), CURLUPART_ZONEID).empty()) return invalid("must not have an IPv6 zone");
  const bool is_ascii = std::ranges::all_of(endpoint.host, [](char c) {
    return std::isalnum(static_cast<unsigned char>(c)) != 0 || std::string_view("-._[]:").contains(c);
  });
  if (endpoint.host.empty() || !is_ascii) return invalid("has no valid host name");
  std::ranges::transform(endpoint.host, endpoint.host.begin(), [](unsigned char c) { return std::tolower(c); });
  const std::string port = part(parsed.get(), CURLUPART_PORT);
  if (!port.empty() && port != (endpoint.scheme == "https" ? "443" : "80")) endpoint.host += ":" + port;
  while (endpoint.path.ends_with('/')) endpoint.path.pop_back();
  return endpoint;
}

bool is_private_address(const sockaddr& address) {
  if (address.sa_family == AF_INET) {
    sockaddr_in in;
    std::memcpy(&in, &address, sizeof(in));
    return is_private_ipv4(ntohl(in.sin_addr.s_addr));
  }
  if (address.sa_family == AF_INET6) {
    sockaddr_in6 in;
    std::memcpy(&in, &address, sizeof(in));
    std::array<uint8_t, 16> bytes;
    std::memcpy(bytes.data(), &in.sin6_addr, bytes.size());
    return is_private_ipv6(bytes);
  }
  return true;
}

}  // namespace kalamdb::cold
