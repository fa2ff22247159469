// HTTP and HTTPS requests over libcurl, each bounded in time and size.
#pragma once

#include <atomic>
#include <cstdint>
#include <expected>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "cold/sigv4.h"

namespace kalamdb::cold {

struct HttpRequest {
  std::string method;
  std::string url;  // encoded; its path is sent as it is
  NamesAndValues headers;
  std::string_view body;  // must stay until the answer is there
  uint64_t max_answer_bytes = 0;
  int64_t timeout_ms = 0;  // for the whole of it
};

struct HttpAnswer {
  int status = 0;
  std::map<std::string, std::string> headers;  // names in lower case
  std::string body;
};

// No answer, or not all of one.
struct HttpFailure {
  std::string reason;
  bool may_pass = true;  // it may work when tried again
};

struct HttpOptions {
  int64_t connect_timeout_ms = 5'000;
  // A transfer that moves less than 1 KiB a second for that long fails. At least 1000.
  int64_t stall_timeout_ms = 20'000;
  // Whether servers may be at addresses that is_private_address(). This is checked on the address that a connection
  // is opened to, so that no name leads there either.
  bool allow_private_addresses = false;
  // Once true, requests fail at once. It must outlive the client; nullptr: never.
  const std::atomic<bool>* stopped = nullptr;

  bool is_stopped() const { return stopped != nullptr && stopped->load(); }
};

// Thread-safe; connections are kept and used again. Redirects are not followed, and no proxy is used. Certificates are
// checked against the system's authorities.
class HttpClient {
 public:
  explicit HttpClient(HttpOptions options);
  ~HttpClient();
  HttpClient(const HttpClient&) = delete;
  HttpClient& operator=(const HttpClient&) = delete;

  std::expected<HttpAnswer, HttpFailure> send(const HttpRequest& request);

 private:
  // A libcurl handle with its connections.
  struct Handle;

  std::unique_ptr<Handle> acquire();
  void release(std::unique_ptr<Handle> handle);

  const HttpOptions options_;
  std::mutex mutex_;
  std::vector<std::unique_ptr<Handle>> idle_;
};

}  // namespace kalamdb::cold
