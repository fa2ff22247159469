#include "net/http_exchange.h"

#include <algorithm>
#include <chrono>

#include "base/assert.h"

namespace kalamdb::net {

namespace {
// What may wait for the socket before write() blocks.
constexpr size_t kWindowBytes = 1 << 20;
// How long write() lets a slow client have a thread that others wait for, and how often it looks.
constexpr int64_t kMostWhileOthersWaitMs = 2'000;
constexpr int64_t kLookMs = 200;
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

Result<> ConnectionExchange::write(std::string part, const std::function<bool()>& others_wait) {
  KALAM_ASSERT(state_ == State::kStreaming);
  if (part.empty()) return {};
  {
    std::unique_lock lock(window_->mutex);
    auto ready = [&] { return window_->gone || window_->queued_bytes <= kWindowBytes; };
    // The connection watches the socket's progress itself; twice its timeout only guards against never being told.
    const int64_t most_ms = 2 * write_timeout_ms_ + 1000;
    int64_t waited_ms = 0;
    while (!window_->changed.wait_for(lock, std::chrono::milliseconds(kLookMs), ready)) {
      waited_ms += kLookMs;
      if (waited_ms >= (others_wait() ? std::min(kMostWhileOthersWaitMs, most_ms) : most_ms)) break;
    }
    if (!ready() || window_->gone) return fail(ErrorCode::kUnavailable, "the client is gone or does not read");
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
