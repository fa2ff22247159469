#include "net/http_codec.h"

#include <strings.h>

#include <algorithm>
#include <boost/beast/http/error.hpp>
#include <boost/beast/http/status.hpp>
#include <charconv>

namespace kalamdb::net {

namespace http = boost::beast::http;

namespace {

// No more than this is reserved on the word of a Content-Length header alone.
constexpr size_t kMaxBodyReserve = 1 << 20;

bool equals_ignoring_case(std::string_view a, std::string_view b) {
  return a.size() == b.size() && strncasecmp(a.data(), b.data(), a.size()) == 0;
}

void append_number(std::string& out, uint64_t value) {
  char digits[20];
  out.append(digits, std::to_chars(digits, digits + sizeof digits, value).ptr);
}

// Line breaks inside a header value would let whoever chose the value write headers of their own.
void append_header_text(std::string& out, std::string_view text) {
  size_t start = out.size();
  out += text;
  std::replace_if(
      out.begin() + static_cast<ptrdiff_t>(start), out.end(),
      [](char c) { return c == '\r' || c == '\n' || c == '\0'; }, ' ');
}

}  // namespace

RequestParser::RequestParser(size_t max_header_bytes, size_t max_body_bytes)
    : max_header_bytes_(max_header_bytes), max_body_bytes_(max_body_bytes) {
  header_limit(static_cast<uint32_t>(std::min<size_t>(max_header_bytes, UINT32_MAX)));
  body_limit(boost::none);  // on_body_impl() checks, so that the answer can name the size
}

void RequestParser::on_request_impl(http::verb, text method, text target, int version, error_code& ec) {
  version_ = version;
  request_.method.assign(method.data(), method.size());
  std::string_view rest(target.data(), target.size());
  if (!rest.empty() && rest.front() != '/' && rest != "*") {
    // The absolute form (RFC 9112 §3.2.2), which servers must accept: the path starts behind scheme and authority.
    size_t scheme = rest.find("://");
    if (scheme == std::string_view::npos) {
      ec = http::error::bad_target;
      return;
    }
    size_t path = rest.find_first_of("/?", scheme + 3);
    rest = path == std::string_view::npos ? std::string_view("/") : rest.substr(path);
  }
  size_t question = rest.find('?');
  request_.path = rest.substr(0, question);
  if (question != std::string_view::npos) request_.query = rest.substr(question + 1);
}

void RequestParser::on_field_impl(http::field field, text name, text value, error_code& ec) {
  if (is_header_done())
    return;  // a trailer behind a chunked body; merging it into the header would be a way around checks
  // Beast bounds what it looks at in one go; this bounds the sum.
  header_bytes_ += name.size() + value.size() + 4;
  if (header_bytes_ > max_header_bytes_) {
    ec = http::error::header_limit;
    return;
  }
  if (field == http::field::host) has_host_ = true;
  if (field == http::field::expect && version_ >= 11) {
    expects_continue_ = equals_ignoring_case({value.data(), value.size()}, "100-continue");
  }
  request_.headers.push_back({std::string(name.data(), name.size()), std::string(value.data(), value.size())});
}

void RequestParser::on_body_init_impl(const boost::optional<uint64_t>& content_length, error_code&) {
  if (content_length)
    request_.body.reserve(std::min<size_t>(*content_length, std::min(max_body_bytes_, kMaxBodyReserve)));
}

size_t RequestParser::on_body_impl(text body, error_code& ec) {
  if (body.size() > max_body_bytes_ - request_.body.size()) {
    ec = http::error::body_limit;
    return 0;
  }
  request_.body.append(body.data(), body.size());
  return body.size();
}

size_t RequestParser::on_chunk_body_impl(uint64_t, text body, error_code& ec) { return on_body_impl(body, ec); }

bool status_forbids_body(int status) { return status < 200 || status == 204 || status == 304; }

void append_response_head(std::string& out, const HttpResponse& response, const ResponseFormat& format,
                          std::string_view date) {
  out += "HTTP/1.1 ";
  append_number(out, static_cast<uint64_t>(response.status));
  out += ' ';
  auto reason = http::obsolete_reason(http::int_to_status(static_cast<unsigned>(response.status)));
  out.append(reason.data(), reason.size());
  out += "\r\nDate: ";
  out += date;
  if (!response.content_type.empty() && !status_forbids_body(response.status)) {
    out += "\r\nContent-Type: ";
    append_header_text(out, response.content_type);
  }
  for (const Header& header : response.headers) {
    out += "\r\n";
    append_header_text(out, header.name);
    out += ": ";
    append_header_text(out, header.value);
  }
  if (status_forbids_body(response.status)) {
    // Neither header may stand here (RFC 9110 §8.6, RFC 9112 §6.1).
  } else if (format.framing == BodyFraming::kLength) {
    out += "\r\nContent-Length: ";
    append_number(out, response.body.size());
  } else if (format.framing == BodyFraming::kChunked) {
    out += "\r\nTransfer-Encoding: chunked";
  }
  if (!format.keep_alive) {
    out += "\r\nConnection: close";
  } else if (format.http_1_0) {
    out += "\r\nConnection: keep-alive";
  }
  out += "\r\n\r\n";
}

HttpResponse error_response(int status, std::string_view code, std::string_view message) {
  HttpResponse response;
  response.status = status;
  response.body.append("{\"error\":\"").append(code).append("\",\"message\":\"").append(message).append("\"}");
  return response;
}

bool has_token(std::string_view list, std::string_view token) {
  while (!list.empty()) {
    size_t end = list.find(',');
    std::string_view item = list.substr(0, end);
    while (!item.empty() && (item.front() == ' ' || item.front() == '\t')) item.remove_prefix(1);
    while (!item.empty() && (item.back() == ' ' || item.back() == '\t')) item.remove_suffix(1);
    if (equals_ignoring_case(item, token)) return true;
    if (end == std::string_view::npos) break;
    list.remove_prefix(end + 1);
  }
  return false;
}

}  // namespace kalamdb::net
