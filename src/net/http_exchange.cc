#include "net/http_exchange.h"

#include <chrono>

#include "base/assert.h"

namespace kalamdb::net {

namespace {
// What may wait for the socket before write() blocks.
constexpr size_t kWindowBytes = 1 << 20;
}  // namespace

ConnectionExchange::~ConnectionExchange() {
  if (state_ == State::kUnanswered) {
    connection_->respond(error_response(500, "INTERNAL_ERROR", "The request was not answered"));
  } else if (state_ == State::kStreaming) {
    connection_->finish_stream(false);
  }
}

void ConnectionExchange::respond(HttpResponse response) {
  KALAM_ASSERT(state_ == State::kUnanswered);
  state_ = State::kAnswered;
  connection_->respond(std::move(response));
}

void ConnectionExchange::begin(HttpResponse response) {
  KALAM_ASSERT(state_ == State::kUnanswered);
  state_ = State::kStreaming;
  window_ = std::make_shared<StreamWindow>();
  window_->queued_bytes = response.body.size();
  connection_->begin_stream(std::move(response), window_);
}

Result<> ConnectionExchange::write(std::string part) {
  KALAM_ASSERT(state_ == State::kStreaming);
  if (part.empty()) return {};
  {
    std::unique_lock lock(window_->mutex);
    auto ready = [&] { return window_->gone || window_->queued_bytes <= kWindowBytes; };
    // The connection watches the socket's progress itself; twice its timeout only guards against never being told.
    bool woken = window_->changed.wait_for(lock, std::chrono::milliseconds(2 * write_timeout_ms_ + 1000), ready);
    if (!woken || window_->gone) return fail(ErrorCode::kUnavailable, "the client is gone or does not read");
    window_->queued_bytes += part.size();
  }
  if (!connection_->stream_part(std::move(part))) return fail(ErrorCode::kUnavailable, "the server is stopping");
  return {};
}

void ConnectionExchange::finish(bool complete) {
  KALAM_ASSERT(state_ == State::kStreaming);
  state_ = State::kAnswered;
  connection_->finish_stream(complete);
}

}  // namespace kalamdb::net
