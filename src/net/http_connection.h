// One HTTP/1.1 connection: requests in, answers out in their order, until it closes or becomes a WebSocket.
#pragma once

#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "net/http_codec.h"
#include "net/io_loop.h"
#include "net/server_context.h"

namespace kalamdb::net {

// How much of a streamed response waits for the socket, shared by the thread that produces it and the connection.
struct StreamWindow {
  std::mutex mutex;
  std::condition_variable changed;
  size_t queued_bytes = 0;
  bool gone = false;
};

class HttpConnection final : public Connection, public std::enable_shared_from_this<HttpConnection> {
 public:
  HttpConnection(std::shared_ptr<ServerContext> context, std::shared_ptr<IoLoop> loop, IoLoop::Socket socket,
                 std::string peer_address, ConnectionCount count);

  // On the loop's thread.
  void start();
  // The same, but answers 503 and closes.
  void refuse();

  // Any thread; each does nothing once the connection has ended. Only the current exchange calls them.
  void respond(HttpResponse response);
  void begin_stream(HttpResponse response, std::shared_ptr<StreamWindow> window);
  // False when the connection's loop has stopped.
  bool stream_part(std::string part);
  void finish_stream(bool complete);
  bool client_gone() const { return client_gone_.load(std::memory_order_relaxed); }

  void on_deadline(int64_t now_ms, bool heartbeat) override;
  void wind_down() override;
  void cut() override;

 private:
  // What the connection waits for; each has its own timeout.
  enum class Phase { kNone, kIdle, kHeader, kBody, kHandler, kWrite, kLinger };
  struct Chunk {
    std::string data;
    size_t credit;  // bytes to give back to the stream's window once this is written
  };

  // Runs `action` on the loop's thread: now when the connection's input is being handled there, else through the inbox.
  template <typename Action>
  bool run_on_loop(Action action);

  void arm_read();
  void on_read(boost::system::error_code error, size_t bytes);
  bool make_room();
  void process();
  bool parse_one();
  bool check_header();
  void dispatch();
  void reject(HttpResponse response);
  void reject_body(uint64_t size_bytes);
  void upgrade(const HttpRequest& request);
  void open_websocket(const HttpRequest& request);
  void settle();
  void enter(Phase phase);
  Phase waiting_for() const;

  void send_head(const HttpResponse& response, BodyFraming framing);
  void send_response(HttpResponse response);
  void end_exchange();
  void send_part(std::string part);
  void give_back(size_t credit);
  void emit(std::string bytes, size_t credit);
  void push_chunk(std::string bytes, size_t credit);
  void flush_small();
  void write_pending();
  void arm_write();
  void advance(size_t written);
  bool has_output() const { return out_head_ < out_.size(); }

  std::shared_ptr<ServerContext> context_;
  std::shared_ptr<IoLoop> loop_;
  IoLoop::Socket socket_;
  std::string peer_address_;
  ConnectionCount count_;

  std::unique_ptr<char[]> input_;
  size_t input_capacity_ = 0;
  size_t input_begin_ = 0;
  size_t input_end_ = 0;
  std::optional<RequestParser> parser_;
  bool header_checked_ = false;

  std::vector<Chunk> out_;
  size_t out_head_ = 0;
  size_t out_offset_ = 0;  // bytes of the head that are already written
  size_t out_bytes_ = 0;
  std::shared_ptr<StreamWindow> window_;

  Phase phase_ = Phase::kNone;
  bool busy_ = false;     // a request is with the handler
  bool reading_ = false;  // a read is under way
  bool writing_ = false;  // waiting for the socket to take more
  bool eof_ = false;
  bool closing_ = false;  // no further request; ends once the output is written
  bool linger_ = false;   // input is on its way that would reset the connection before the answer is read
  bool ended_ = false;
  bool keep_alive_ = true;
  bool head_request_ = false;
  bool http_1_0_ = false;
  bool bodiless_ = false;  // the streamed response has no body: HEAD, 204, 304
  bool chunked_ = false;
  std::atomic<bool> client_gone_{false};
};

}  // namespace kalamdb::net
