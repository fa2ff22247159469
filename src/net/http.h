// HTTP/1.1 messages and the exchange through which a handler answers. Knows no SQL.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"

namespace kalamdb::net {

struct Header {
  std::string name;
  std::string value;
};

struct HttpRequest {
  std::string method;  // "GET"
  std::string path;    // without the query string, percent-encoding left as it came
  std::string query;   // behind '?', may be empty
  std::vector<Header> headers;
  std::string body;
  std::string peer_address;  // "127.0.0.1", "::1"; IPv4-mapped IPv6 addresses as IPv4

  // The first header of that name (any letter case); empty where there is none.
  std::string_view header(std::string_view name) const;
  // A cookie's value; empty where there is none.
  std::string_view cookie(std::string_view name) const;
};

struct HttpResponse {
  int status = 200;
  std::string content_type = "application/json";
  std::vector<Header> headers;
  std::string body;
};

// One request and its answer. Owned jointly by the server and the handler; a handler may keep it, leave the IO thread
// and answer later from any thread. Exactly one of respond() or begin()…finish() is called; an exchange dropped
// unanswered sends 500. All members are thread-safe against the server, not against each other.
class HttpExchange {
 public:
  virtual ~HttpExchange() = default;
  virtual const HttpRequest& request() const = 0;

  // Sends a whole response.
  virtual void respond(HttpResponse response) = 0;

  // Starts a streamed response (chunked transfer encoding). `response.body` is its first part.
  virtual void begin(HttpResponse response) = 0;
  // Sends more of it. Blocks while more than 1 MiB waits for the socket, so never call it on an IO thread. Errors:
  // kUnavailable once the client is gone or took longer than the write timeout, or than two seconds while `others_wait`
  // for this thread; the caller stops then.
  virtual Result<> write(std::string part, const std::function<bool()>& others_wait) = 0;
  // Ends it. `complete = false` breaks the connection instead, so that the client can't take a part for the whole.
  virtual void finish(bool complete = true) = 0;

  // True once the client has closed the connection or its sending side (known at the latest when a write fails). The
  // answer is sent all the same, since a client may close its sending side and go on reading.
  virtual bool client_gone() const = 0;
};

// Called on an IO thread, which it must not block.
using HttpHandler = std::function<void(std::shared_ptr<HttpExchange>)>;

}  // namespace kalamdb::net
