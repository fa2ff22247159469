// One open WebSocket: frames in through a FrameReader, queued frames out, many in one write.
#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "net/io_loop.h"
#include "net/server_context.h"
#include "net/websocket.h"
#include "net/websocket_frame.h"

namespace kalamdb::net {

// Made by an HttpConnection from its socket. The members of WebSocketConnection are for any thread, the others for the
// loop's. An idle one holds about half a kilobyte.
class WebSocketPeer final : public WebSocketConnection,
                            public Connection,
                            private FrameSink,
                            public std::enable_shared_from_this<WebSocketPeer> {
 public:
  WebSocketPeer(std::shared_ptr<ServerContext> context, std::shared_ptr<IoLoop> loop, IoLoop::Socket socket,
                std::string peer_address, ConnectionCount count);

  // Sends `unsent` (what is left of the handshake and answers before it), makes the session and handles `received`,
  // the bytes that came behind the handshake.
  void start(std::string unsent, const HttpRequest& upgrade, std::string received);

  // Queues a frame, or with `close_code` other than 0 a close frame with the payload as its reason; flush() writes.
  void enqueue(FramePtr frame, uint16_t close_code);
  void flush();

  void send(FramePtr frame) override;
  size_t queued_bytes() const override { return queued_bytes_.load(std::memory_order_relaxed); }
  size_t total_queued_bytes() const override { return context_->queued_bytes.load(std::memory_order_relaxed); }
  void close(uint16_t code, std::string reason) override;
  void post(std::function<void()> task) override;
  void post_after(int64_t delay_ms, std::function<void()> task) override;
  const std::string& peer_address() const override { return peer_address_; }

  void on_deadline(int64_t now_ms, bool heartbeat) override;
  void wind_down() override;
  void cut() override;

 private:
  struct Queued {
    FramePtr frame;
    Opcode opcode;
  };

  void on_frame_message(std::string payload, bool binary) override;
  void on_frame_oversized(size_t bytes) override;
  void on_frame_control(Opcode opcode, std::string_view payload) override;

  // `bytes` more, or less, are queued.
  void count_queued(size_t bytes) {
    queued_bytes_.fetch_add(bytes, std::memory_order_relaxed);
    context_->queued_bytes.fetch_add(bytes, std::memory_order_relaxed);
  }
  void count_unqueued(size_t bytes) {
    queued_bytes_.fetch_sub(bytes, std::memory_order_relaxed);
    context_->queued_bytes.fetch_sub(bytes, std::memory_order_relaxed);
  }
  void arm_read();
  void on_read(boost::system::error_code error, size_t bytes);
  void feed(char* data, size_t size);
  void push_control(Opcode opcode, std::string payload);
  void push_close(uint16_t code, std::string_view reason);
  void fill(std::string& out) const;
  bool write_some(const char* data, size_t size, size_t& written);
  void advance(size_t written);
  void after_drained();

  std::shared_ptr<ServerContext> context_;
  std::shared_ptr<IoLoop> loop_;
  IoLoop::Socket socket_;
  std::string peer_address_;
  ConnectionCount count_;
  std::shared_ptr<WebSocketSession> session_;
  FrameReader reader_;
  std::string unsent_;
  std::vector<Queued> queue_;
  size_t head_ = 0;         // of queue_
  size_t head_offset_ = 0;  // bytes of the head's frame, header included, that are already written
  std::atomic<size_t> queued_bytes_{0};
  bool unflushed_ = false;
  bool writing_ = false;  // waiting for the socket to take more
  bool ignore_input_ = false;
  bool close_sent_ = false;  // queued at least; no frame may follow
  bool close_received_ = false;
  bool ended_ = false;
  char input_[256];
};

}  // namespace kalamdb::net
