// The address of a service, as an operator writes it, and which addresses it may lead to.
#pragma once

#include <sys/socket.h>

#include <string>
#include <string_view>

#include "base/result.h"

namespace kalamdb::cold {

struct Endpoint {
  std::string scheme;  // "http" or "https"
  std::string host;    // in lower case, an IPv6 address in brackets; with ":port" where it is not the scheme's own
  std::string path;    // "" or one that starts with '/' and does not end with it
  bool operator==(const Endpoint&) const = default;
};

// Errors: kInvalidInput when it is no http or https URL, or has a user, a query or a fragment.
Result<Endpoint> parse_endpoint(const std::string& url);

// Whether it is not an address on the public internet: loopback, private, link-local, shared or reserved ones, those
// of the clouds' metadata services, and IPv6 addresses that stand for such IPv4 ones.
bool is_private_address(const sockaddr& address);

}  // namespace kalamdb::cold
