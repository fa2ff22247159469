#include "net/websocket_peer.h"

#include <sys/socket.h>

#include <boost/asio/buffer.hpp>
#include <cerrno>
#include <exception>

#include "base/log.h"

namespace kalamdb::net {

namespace asio = boost::asio;

namespace {
// How much is gathered for one write. Copying into one buffer beats a vector of many small pieces, and a bound keeps
// what is copied in vain small when the socket takes less.
constexpr size_t kGatherBytes = 64 << 10;
// How long the other side may take to answer a close frame.
constexpr int64_t kCloseTimeoutMs = 5'000;
// Reads of one socket before others get their turn.
constexpr int kReadsPerTurn = 4;
constexpr size_t kKeptQueue = 64;
}  // namespace

WebSocketPeer::WebSocketPeer(std::shared_ptr<ServerContext> context, std::shared_ptr<IoLoop> loop,
                             IoLoop::Socket socket, std::string peer_address, ConnectionCount count)
    : context_(std::move(context)),
      loop_(std::move(loop)),
      socket_(std::move(socket)),
      peer_address_(std::move(peer_address)),
      count_(std::move(count)),
      reader_(context_->options.websocket.max_message_bytes) {}

void WebSocketPeer::start(std::string unsent, const HttpRequest& upgrade, std::string received) {
  loop_->add(shared_from_this());
  unsent_ = std::move(unsent);
  deadline_ms_ = IoLoop::now_ms() + context_->options.websocket.client_timeout_ms;
  try {
    session_ = context_->factory(shared_from_this(), upgrade);
  } catch (const std::exception& error) {
    log::error("a WebSocket session could not be made: {}", error.what());
  }
  if (!session_) push_close(1011, "Internal error");
  if (context_->stopping) wind_down();
  flush();
  if (!received.empty() && !ended_) feed(received.data(), received.size());
  if (!ended_) arm_read();
}

void WebSocketPeer::send(FramePtr frame) {
  size_t bytes = frame->payload.size();
  count_queued(bytes);
  if (!loop_->send(shared_from_this(), std::move(frame), 0)) count_unqueued(bytes);
}

void WebSocketPeer::close(uint16_t code, std::string reason) {
  loop_->send(shared_from_this(), std::make_shared<const Frame>(Frame{std::move(reason)}), code);
}

void WebSocketPeer::post(std::function<void()> task) {
  loop_->post([self = shared_from_this(), task = std::move(task)] {
    if (!self->ended_) task();
  });
}

void WebSocketPeer::post_after(int64_t delay_ms, std::function<void()> task) {
  loop_->post([self = weak_from_this(), loop = loop_.get(), delay_ms, task = std::move(task)]() mutable {
    loop->run_after(delay_ms, [self = std::move(self), task = std::move(task)] {
      auto peer = self.lock();
      if (peer && !peer->ended_) task();
    });
  });
}

void WebSocketPeer::enqueue(FramePtr frame, uint16_t close_code) {
  if (close_code != 0) {
    push_close(close_code, frame->payload);
  } else if (close_sent_ || ended_) {
    count_unqueued(frame->payload.size());
    return;
  } else {
    Opcode opcode = frame->binary ? Opcode::kBinary : Opcode::kText;
    queue_.push_back({std::move(frame), opcode});
  }
  if (!unflushed_) {
    unflushed_ = true;
    loop_->mark_unflushed(*this);
  }
}

void WebSocketPeer::push_control(Opcode opcode, std::string payload) {
  if (close_sent_ || ended_) return;
  queue_.push_back({std::make_shared<const Frame>(Frame{std::move(payload), true}), opcode});
}

void WebSocketPeer::push_close(uint16_t code, std::string_view reason) {
  push_control(Opcode::kClose, close_payload(code, reason));
  if (close_sent_) return;
  close_sent_ = true;
  deadline_ms_ = IoLoop::now_ms() + kCloseTimeoutMs;
}

void WebSocketPeer::fill(std::string& out) const {
  size_t skip = head_offset_;
  for (size_t i = head_; i < queue_.size() && out.size() < kGatherBytes; ++i) {
    const std::string& payload = queue_[i].frame->payload;
    char header[10];
    size_t header_size = write_frame_header(header, queue_[i].opcode, payload.size());
    if (skip < header_size) out.append(header + skip, header_size - skip);
    size_t payload_skip = skip > header_size ? skip - header_size : 0;
    out.append(payload, payload_skip, kGatherBytes);
    skip = 0;
  }
}

// False when the connection is broken. `written` is less than `size` when the socket takes no more.
bool WebSocketPeer::write_some(const char* data, size_t size, size_t& written) {
  ssize_t result;
  do {
    result = ::send(socket_.native_handle(), data, size, MSG_DONTWAIT | MSG_NOSIGNAL);
  } while (result < 0 && errno == EINTR);
  written = result > 0 ? static_cast<size_t>(result) : 0;
  return result >= 0 || errno == EAGAIN || errno == EWOULDBLOCK;
}

void WebSocketPeer::advance(size_t written) {
  size_t freed = 0;
  while (written > 0) {
    Queued& head = queue_[head_];
    size_t payload = head.frame->payload.size();
    size_t left = frame_header_size(payload) + payload - head_offset_;
    if (written < left) {
      head_offset_ += written;
      break;
    }
    written -= left;
    if (head.opcode == Opcode::kText || head.opcode == Opcode::kBinary) freed += payload;
    head.frame.reset();
    head_offset_ = 0;
    ++head_;
  }
  count_unqueued(freed);
  if (head_ == queue_.size()) {
    queue_.clear();
    head_ = 0;
    if (queue_.capacity() > kKeptQueue) queue_.shrink_to_fit();
  } else if (head_ > queue_.size() / 2) {
    queue_.erase(queue_.begin(), queue_.begin() + static_cast<ptrdiff_t>(head_));
    head_ = 0;
  }
}

void WebSocketPeer::flush() {
  unflushed_ = false;
  if (ended_ || writing_) return;
  bool held_something = !queue_.empty();
  while (!unsent_.empty() || !queue_.empty()) {
    std::string& out = loop_->out;
    out.clear();
    if (unsent_.empty()) fill(out);
    const std::string& data = unsent_.empty() ? out : unsent_;
    size_t size = data.size();
    size_t written = 0;
    if (!write_some(data.data(), size, written)) {
      out.clear();  // else the next connection of the loop would send it
      return cut();
    }
    if (unsent_.empty()) {
      advance(written);
    } else {
      unsent_.erase(0, written);
    }
    if (written < size) {
      writing_ = true;
      socket_.async_wait(IoLoop::Socket::wait_write, [self = shared_from_this()](boost::system::error_code error) {
        self->writing_ = false;
        if (!error) self->flush();
      });
      break;
    }
  }
  loop_->out.clear();
  if (held_something && queue_.empty()) after_drained();
}

void WebSocketPeer::after_drained() {
  if (close_sent_) {
    if (close_received_) return cut();
    // Nothing follows a close frame; the end of the stream tells clients that do not wait for it as well.
    boost::system::error_code ignored;
    if (ignore_input_) socket_.shutdown(IoLoop::Socket::shutdown_send, ignored);
    return;
  }
  if (session_) session_->on_drained();
}

void WebSocketPeer::arm_read() {
  socket_.async_read_some(
      asio::buffer(input_),
      [self = shared_from_this()](boost::system::error_code error, size_t bytes) { self->on_read(error, bytes); });
}

void WebSocketPeer::on_read(boost::system::error_code error, size_t bytes) {
  if (ended_) return;
  if (error) return cut();
  if (!close_sent_) deadline_ms_ = IoLoop::now_ms() + context_->options.websocket.client_timeout_ms;
  feed(input_, bytes);
  // The socket's own buffer is small, so that idle ones cost little; the loop's takes what did not fit.
  for (int i = 0; i < kReadsPerTurn && bytes == sizeof input_ && !ended_; ++i) {
    ssize_t more = ::recv(socket_.native_handle(), loop_->read_space(), IoLoop::kReadBytes, MSG_DONTWAIT);
    if (more <= 0) break;  // ends and errors come again with the next read
    feed(loop_->read_space(), static_cast<size_t>(more));
    if (static_cast<size_t>(more) < IoLoop::kReadBytes) break;
  }
  if (!ended_) arm_read();
}

void WebSocketPeer::feed(char* data, size_t size) {
  if (ignore_input_) return;
  try {
    if (auto error = reader_.feed(data, size, *this)) {
      ignore_input_ = true;
      push_close(error->code, error->reason);
    }
  } catch (const std::exception& error) {
    log::error("a WebSocket message could not be handled: {}", error.what());
    ignore_input_ = true;
    push_close(1011, "Internal error");
  }
  if (!queue_.empty()) flush();
}

void WebSocketPeer::on_frame_message(std::string payload, bool binary) {
  if (session_ && !close_sent_) session_->on_message(std::move(payload), binary);
}

void WebSocketPeer::on_frame_oversized(size_t bytes) {
  if (session_ && !close_sent_) session_->on_oversized(bytes);
}

void WebSocketPeer::on_frame_control(Opcode opcode, std::string_view payload) {
  if (opcode == Opcode::kPing) {
    // Only the latest ping needs an answer (RFC 6455 §5.5.3), so pongs can't pile up before a client that never reads.
    if (queue_.size() > head_ + 1 && queue_.back().opcode == Opcode::kPong) queue_.pop_back();
    push_control(Opcode::kPong, std::string(payload));
  } else if (opcode == Opcode::kClose && !close_received_) {
    close_received_ = true;
    ignore_input_ = true;
    CloseCode close = parse_close(payload);
    if (close.error) {
      push_close(close.error->code, close.error->reason);
    } else if (!close_sent_) {
      push_close(close.code, {});
    } else if (queue_.empty()) {
      cut();
    }
  }
}

void WebSocketPeer::on_deadline(int64_t, bool heartbeat) {
  if (close_sent_) return cut();
  if (!heartbeat) return;
  push_close(1000, "Heartbeat timeout");
  flush();
}

void WebSocketPeer::wind_down() {
  push_close(1001, "Server shutting down");
  flush();
}

void WebSocketPeer::cut() {
  if (ended_) return;
  ended_ = true;
  auto self = shared_from_this();
  boost::system::error_code ignored;
  socket_.close(ignored);
  size_t dropped = 0;
  for (; head_ < queue_.size(); ++head_) {
    bool data = queue_[head_].opcode == Opcode::kText || queue_[head_].opcode == Opcode::kBinary;
    if (data) dropped += queue_[head_].frame->payload.size();
  }
  count_unqueued(dropped);
  std::vector<Queued>().swap(queue_);
  head_ = 0;
  loop_->remove(*this);
  count_.release();
  if (auto session = std::move(session_)) session->on_closed();
}

}  // namespace kalamdb::net
