// Where the server is: URLs as the user writes them, and the rules for choosing one.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace kalamdb::cli {

// The origin of a server. `host` is without brackets for IPv6.
struct ServerUrl {
  bool tls = false;
  std::string host;
  uint16_t port = 0;

  bool operator==(const ServerUrl&) const = default;

  // "host:port" with IPv6 brackets, as the Host header has it.
  std::string authority() const;
  std::string text() const;
  bool is_local() const;
};

// Reads "http://h:p", "https://h", "h:p", "h" or "[::1]:p". Without a scheme it is http for this machine and https for
// any other; without a port, the scheme's own. kInvalidInput for anything else, a path included.
Result<ServerUrl> parse_url(std::string_view text);

// What the command line said about the server's place.
struct UrlOptions {
  std::optional<std::string> url;
  std::optional<std::string> host;
  std::optional<uint16_t> port;
};

// --url wins; then --host and --port (http, port 3000, this machine where one is left out); then the URL that was
// stored with the credentials; then http://localhost:8080.
Result<ServerUrl> choose_url(const UrlOptions& options, const std::optional<std::string>& stored_url);

}  // namespace kalamdb::cli
