// The answering half of HttpConnection: responses, streams and the output queue.
#include <sys/socket.h>
#include <sys/uio.h>

#include <cerrno>
#include <charconv>

#include "net/http_connection.h"

namespace kalamdb::net {

namespace {
// Up to this size copying into one write beats a queue entry.
constexpr size_t kSmallBytes = 32 << 10;
constexpr size_t kMaxPieces = 32;
}  // namespace

template <typename Action>
bool HttpConnection::run_on_loop(Action action) {
  if (loop_->is_active(this)) {
    action(*this);
    return true;
  }
  return loop_->post([self = shared_from_this(), action = std::move(action)]() mutable {
    self->loop_->set_active(self.get());
    action(*self);
    self->process();
  });
}

void HttpConnection::respond(HttpResponse response) {
  run_on_loop([response = std::move(response)](HttpConnection& self) mutable {
    if (!self.ended_) self.send_response(std::move(response));
  });
}

void HttpConnection::begin_stream(HttpResponse response, std::shared_ptr<StreamWindow> window) {
  auto begin = [response = std::move(response), window](HttpConnection& self) mutable {
    self.window_ = window;
    if (self.ended_) {
      std::lock_guard lock(window->mutex);
      window->gone = true;
      window->changed.notify_all();
      return;
    }
    self.bodiless_ = self.head_request_ || status_forbids_body(response.status);
    self.chunked_ = !self.http_1_0_;
    if (!self.chunked_) self.keep_alive_ = false;
    self.send_head(response, self.chunked_ ? BodyFraming::kChunked : BodyFraming::kUntilClose);
    self.send_part(std::move(response.body));
  };
  if (run_on_loop(std::move(begin))) return;
  std::lock_guard lock(window->mutex);
  window->gone = true;
}

bool HttpConnection::stream_part(std::string part) {
  return run_on_loop([part = std::move(part)](HttpConnection& self) mutable {
    if (!self.ended_) self.send_part(std::move(part));
  });
}

void HttpConnection::finish_stream(bool complete) {
  run_on_loop([complete](HttpConnection& self) {
    if (self.ended_) return;
    if (!complete) return self.cut();
    if (self.chunked_ && !self.bodiless_) self.emit("0\r\n\r\n", 0);
    self.end_exchange();
  });
}

void HttpConnection::send_head(const HttpResponse& response, BodyFraming framing) {
  if (context_->stopping) keep_alive_ = false;
  append_response_head(loop_->out, response, {framing, keep_alive_, http_1_0_}, loop_->date());
}

void HttpConnection::send_response(HttpResponse response) {
  send_head(response, BodyFraming::kLength);
  if (!head_request_ && !status_forbids_body(response.status)) emit(std::move(response.body), 0);
  end_exchange();
}

void HttpConnection::end_exchange() {
  busy_ = false;
  window_.reset();
  if (!keep_alive_ || context_->stopping) closing_ = true;
  phase_ = Phase::kNone;  // the next phase's timeout starts anew
}

void HttpConnection::send_part(std::string part) {
  if (part.empty()) return;
  size_t size = part.size();
  if (bodiless_) return give_back(size);
  if (!chunked_) return emit(std::move(part), size);
  char digits[18];
  char* end = std::to_chars(digits, digits + 16, size, 16).ptr;
  *end++ = '\r';
  *end++ = '\n';
  emit(std::string(digits, end), 0);
  emit(std::move(part), size);
  emit("\r\n", 0);
}

void HttpConnection::give_back(size_t credit) {
  if (credit == 0 || !window_) return;
  std::lock_guard lock(window_->mutex);
  window_->queued_bytes -= credit;
  window_->changed.notify_all();
}

// Puts bytes behind what is to be written; flush_small() writes.
void HttpConnection::emit(std::string bytes, size_t credit) {
  if (credit == 0 && bytes.size() <= kSmallBytes) {
    loop_->out += bytes;
    return;
  }
  if (!loop_->out.empty()) push_chunk(loop_->out, 0);
  loop_->out.clear();
  push_chunk(std::move(bytes), credit);
}

void HttpConnection::push_chunk(std::string bytes, size_t credit) {
  out_bytes_ += bytes.size();
  out_.push_back({std::move(bytes), credit});
}

// Hands over what the loop's buffer holds, which must be empty when the next connection gets its turn.
void HttpConnection::flush_small() {
  std::string& small = loop_->out;
  if (!small.empty() && !ended_) {
    size_t sent = 0;
    if (!has_output()) {
      ssize_t result = ::send(socket_.native_handle(), small.data(), small.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
      if (result > 0) sent = static_cast<size_t>(result);
      // A real error comes again, and is seen, in write_pending().
    }
    if (sent < small.size()) push_chunk(small.substr(sent), 0);
  }
  small.clear();
  if (has_output() && !writing_ && !ended_) write_pending();
}

void HttpConnection::write_pending() {
  while (has_output()) {
    iovec pieces[kMaxPieces];
    size_t count = 0;
    size_t wanted = 0;
    for (size_t i = out_head_; i < out_.size() && count < kMaxPieces; ++i, ++count) {
      size_t skip = i == out_head_ ? out_offset_ : 0;
      pieces[count] = {out_[i].data.data() + skip, out_[i].data.size() - skip};
      wanted += pieces[count].iov_len;
    }
    msghdr message{};
    message.msg_iov = pieces;
    message.msg_iovlen = count;
    ssize_t result = ::sendmsg(socket_.native_handle(), &message, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (result < 0 && errno == EINTR) continue;
    if (result < 0 && errno != EAGAIN && errno != EWOULDBLOCK) return cut();
    if (result > 0) {
      advance(static_cast<size_t>(result));
      phase_ = Phase::kNone;  // progress: the write timeout starts anew
    }
    if (result < static_cast<ssize_t>(wanted)) return arm_write();
  }
}

void HttpConnection::advance(size_t written) {
  out_bytes_ -= written;
  size_t credit = 0;
  while (written > 0) {
    Chunk& head = out_[out_head_];
    size_t left = head.data.size() - out_offset_;
    if (written < left) {
      out_offset_ += written;
      break;
    }
    written -= left;
    credit += head.credit;
    std::string().swap(head.data);
    out_offset_ = 0;
    ++out_head_;
  }
  give_back(credit);
  if (out_head_ == out_.size()) {
    std::vector<Chunk>().swap(out_);
    out_head_ = 0;
  } else if (out_head_ > out_.size() / 2) {
    out_.erase(out_.begin(), out_.begin() + static_cast<ptrdiff_t>(out_head_));
    out_head_ = 0;
  }
}

void HttpConnection::arm_write() {
  writing_ = true;
  socket_.async_wait(IoLoop::Socket::wait_write, [self = shared_from_this()](boost::system::error_code error) {
    self->writing_ = false;
    if (error || self->ended_) return;
    self->write_pending();
    self->process();
  });
}

}  // namespace kalamdb::net
