// One keep-alive HTTP/1.1 connection to the server, used synchronously.
#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"
#include "cli/url.h"

namespace kalamdb::cli {

struct HttpResponse {
  int status = 0;
  std::string body;
};

struct Timeouts {
  std::chrono::seconds connect{10};
  std::chrono::seconds receive{30};  // from the last byte sent or received
};

// What is sent. `bearer` empty = no Authorization header. A GET has no body. The views must outlive the call.
struct HttpRequest {
  std::string_view method = "POST";
  std::string_view target;
  std::string_view content_type = "application/json";
  std::string_view bearer;
  std::string_view body;
};

// Connects on first use and again when the server has closed an idle connection. A request is sent once: whether to
// repeat one whose answer was lost is the caller's decision. Not thread-safe: one a thread.
class HttpClient {
 public:
  HttpClient(ServerUrl url, Timeouts timeouts);
  ~HttpClient();
  HttpClient(const HttpClient&) = delete;
  HttpClient& operator=(const HttpClient&) = delete;

  // Any HTTP status is a value. Errors: kUnavailable when nothing was sent (no connection), kIo when the answer was
  // lost on the way, kTimeout when it did not come in time, kConflict when the user pressed ctrl-c meanwhile; after the
  // last three the server may or may not have done what was asked.
  Result<HttpResponse> request(const HttpRequest& request);

  // From now on ctrl-c ends a request in flight instead of the program.
  void catch_interrupts() { catch_interrupts_ = true; }

  const ServerUrl& url() const { return url_; }
  const Timeouts& timeouts() const { return timeouts_; }

 private:
  struct Connection;

  Result<> connect();
  bool is_alive() const;

  ServerUrl url_;
  Timeouts timeouts_;
  bool catch_interrupts_ = false;
  std::unique_ptr<Connection> connection_;
};

}  // namespace kalamdb::cli
