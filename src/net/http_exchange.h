// One request on its way through the handler, and the answer's way back to the connection.
#pragma once

#include <memory>
#include <string>

#include "net/http.h"
#include "net/http_connection.h"

namespace kalamdb::net {

class ConnectionExchange final : public HttpExchange {
 public:
  ConnectionExchange(std::shared_ptr<HttpConnection> connection, HttpRequest request, int64_t write_timeout_ms)
      : connection_(std::move(connection)), request_(std::move(request)), write_timeout_ms_(write_timeout_ms) {}
  // An exchange that is dropped is answered all the same: 500, or a broken stream.
  ~ConnectionExchange() override;

  const HttpRequest& request() const override { return request_; }
  void respond(HttpResponse response) override;
  void begin(HttpResponse response) override;
  Result<> write(std::string part, const std::function<bool()>& others_wait) override;
  void finish(bool complete) override;
  bool client_gone() const override { return connection_->client_gone(); }

 private:
  enum class State { kUnanswered, kStreaming, kAnswered };

  std::shared_ptr<HttpConnection> connection_;
  HttpRequest request_;
  int64_t write_timeout_ms_;
  State state_ = State::kUnanswered;
  std::shared_ptr<StreamWindow> window_;
};

}  // namespace kalamdb::net
