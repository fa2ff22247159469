#include "cli/url.h"

#include <fmt/format.h>

#include <charconv>

namespace kalamdb::cli {

namespace {

bool is_local_host(std::string_view host) { return host == "localhost" || host == "::1" || host.starts_with("127."); }

Result<uint16_t> parse_port(std::string_view text, std::string_view whole) {
  uint16_t port = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  if (error != std::errc() || end != text.data() + text.size() || port == 0) {
    return fail(ErrorCode::kInvalidInput, fmt::format("'{}' in '{}' is not a port (1 to 65535)", text, whole));
  }
  return port;
}

}  // namespace

std::string ServerUrl::authority() const {
  return host.find(':') == std::string::npos ? fmt::format("{}:{}", host, port) : fmt::format("[{}]:{}", host, port);
}

std::string ServerUrl::text() const { return (tls ? "https://" : "http://") + authority(); }

bool ServerUrl::is_local() const { return is_local_host(host); }

Result<ServerUrl> parse_url(std::string_view text) {
  const std::string_view whole = text;
  ServerUrl url;
  bool has_scheme = true;
  if (text.starts_with("http://")) {
    text.remove_prefix(7);
  } else if (text.starts_with("https://")) {
    text.remove_prefix(8);
    url.tls = true;
  } else if (text.find("://") != std::string_view::npos) {
    return fail(ErrorCode::kInvalidInput, fmt::format("'{}': only http:// and https:// are spoken", whole));
  } else {
    has_scheme = false;
  }
  if (text.ends_with('/')) text.remove_suffix(1);
  if (text.find_first_of("/?#@ ") != std::string_view::npos) {
    return fail(ErrorCode::kInvalidInput,
                fmt::format("'{}' is not a server address; write it like http://localhost:8080", whole));
  }
  std::string_view port;
  if (text.starts_with('[')) {
    const size_t close = text.find(']');
    if (close == std::string_view::npos) {
      return fail(ErrorCode::kInvalidInput, fmt::format("'{}' lacks the ']' after its IPv6 address", whole));
    }
    url.host = text.substr(1, close - 1);
    port = text.substr(close + 1);
    if (!port.empty() && port.front() != ':') {
      return fail(ErrorCode::kInvalidInput, fmt::format("'{}' has something other than a port after ']'", whole));
    }
  } else {
    const size_t colon = text.find(':');
    url.host = text.substr(0, colon);
    if (colon != std::string_view::npos) port = text.substr(colon);
  }
  if (url.host.empty()) return fail(ErrorCode::kInvalidInput, fmt::format("'{}' names no host", whole));
  if (!has_scheme) url.tls = !is_local_host(url.host);
  url.port = url.tls ? 443 : 80;
  if (!port.empty()) {
    KALAM_TRY(url.port, parse_port(port.substr(1), whole));
  }
  return url;
}

Result<ServerUrl> choose_url(const UrlOptions& options, const std::optional<std::string>& stored_url) {
  if (options.url) return parse_url(*options.url);
  if (options.host || options.port) {
    ServerUrl url;
    url.host = options.host.value_or("localhost");
    if (url.host.size() > 2 && url.host.front() == '[' && url.host.back() == ']') {
      url.host = url.host.substr(1, url.host.size() - 2);
    }
    url.port = options.port.value_or(3000);
    return url;
  }
  return parse_url(stored_url.value_or("http://localhost:8080"));
}

}  // namespace kalamdb::cli
