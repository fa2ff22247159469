// Bytes to HTTP/1.1 requests (on Beast's incremental parser, filling HttpRequest directly) and responses to bytes.
#pragma once

#include <boost/beast/http/basic_parser.hpp>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "net/http.h"

namespace kalamdb::net {

// Parses one request; a new parser is made for the next one. Feed it with put(), as Beast documents; bytes that it did
// not consume must be presented again, followed by more.
class RequestParser final : public boost::beast::http::basic_parser<true> {
 public:
  RequestParser(size_t max_header_bytes, size_t max_body_bytes);

  // The request so far; complete once is_done().
  HttpRequest& request() { return request_; }
  bool http_1_0() const { return version_ == 10; }
  bool has_host() const { return has_host_; }
  // The client waits for "100 Continue" before it sends the body.
  bool expects_continue() const { return expects_continue_; }

 private:
  using error_code = boost::beast::error_code;
  using text = boost::beast::string_view;

  void on_request_impl(boost::beast::http::verb, text method, text target, int version, error_code& ec) override;
  void on_response_impl(int, text, int, error_code&) override {}
  void on_field_impl(boost::beast::http::field, text name, text value, error_code& ec) override;
  void on_header_impl(error_code&) override {}
  void on_body_init_impl(const boost::optional<uint64_t>& content_length, error_code& ec) override;
  size_t on_body_impl(text body, error_code& ec) override;
  void on_chunk_header_impl(uint64_t, text, error_code&) override {}
  size_t on_chunk_body_impl(uint64_t remaining, text body, error_code& ec) override;
  void on_finish_impl(error_code&) override {}

  HttpRequest request_;
  size_t max_header_bytes_;
  size_t max_body_bytes_;
  size_t header_bytes_ = 0;
  int version_ = 11;
  bool has_host_ = false;
  bool expects_continue_ = false;
};

// How the end of the body is told to the client.
enum class BodyFraming { kLength, kChunked, kUntilClose };

struct ResponseFormat {
  BodyFraming framing = BodyFraming::kLength;
  bool keep_alive = true;
  bool http_1_0 = false;
};

// Appends the status line and the headers, the empty line included. `date` is the value of the Date header.
void append_response_head(std::string& out, const HttpResponse& response, const ResponseFormat& format,
                          std::string_view date);

// True for statuses whose responses never have a body (1xx, 204, 304).
bool status_forbids_body(int status);

// A JSON response `{"error":code,"message":message}`; both must need no escaping.
HttpResponse error_response(int status, std::string_view code, std::string_view message);

// True when `list`, a comma-separated header value, holds `token` (any letter case).
bool has_token(std::string_view list, std::string_view token);

}  // namespace kalamdb::net
