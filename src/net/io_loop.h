// One IO thread with its io_context, and what connections of that thread share: scratch buffers, a coarse timeout scan,
// and the one inbox through which other threads reach them.
#pragma once

#include <boost/asio/basic_stream_socket.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "net/websocket.h"

namespace kalamdb::net {

class IoLoop;
class WebSocketPeer;

// A socket's owner, registered with its loop from accept to close. All calls come on the loop's thread.
class Connection {
 public:
  virtual ~Connection() = default;
  // The deadline has passed. `heartbeat` is true once every heartbeat interval.
  virtual void on_deadline(int64_t now_ms, bool heartbeat) = 0;
  // The server stops: end once what has begun is done.
  virtual void wind_down() = 0;
  // Ends at once; the loop no longer knows the connection afterwards.
  virtual void cut() = 0;

 protected:
  static constexpr int64_t kNever = INT64_MAX;
  int64_t deadline_ms_ = kNever;  // by IoLoop::now_ms()

 private:
  friend class IoLoop;
  size_t slot_ = 0;
};

// Connections and tasks keep the loop alive; the server starts and stops it. A loop that has stopped takes no more
// tasks.
class IoLoop : public std::enable_shared_from_this<IoLoop> {
 public:
  using Executor = boost::asio::io_context::executor_type;
  using Socket = boost::asio::basic_stream_socket<boost::asio::ip::tcp, Executor>;
  using Task = std::move_only_function<void()>;

  // Deadlines are looked at every `tick_ms`, those of silent WebSockets every `heartbeat_ms`.
  IoLoop(int64_t tick_ms, int64_t heartbeat_ms);
  ~IoLoop();

  void start();
  // Cuts all connections, drops waiting tasks and joins the thread. Not on the loop's own thread.
  void stop();

  // Any thread. Runs `task` on the loop's thread, after what was posted or sent before; wakes the thread once for all
  // that waits. False once the loop has stopped: the task is dropped.
  bool post(Task task);
  // Any thread. The same for a frame on its way to a socket; `close_code` other than 0 makes it a close frame whose
  // reason is the payload.
  bool send(std::shared_ptr<WebSocketPeer> peer, FramePtr frame, uint16_t close_code);

  // The rest is for the loop's own thread.

  boost::asio::io_context& context() { return context_; }
  // Dropped when the loop stops before it is due.
  void run_after(int64_t delay_ms, Task task);
  // No new connection may be added any more.
  bool stopping() const { return stopping_; }
  void add(std::shared_ptr<Connection> connection);
  // The caller's own reference keeps the connection alive past this.
  void remove(Connection& connection);
  size_t connection_count() const { return connections_.size(); }
  void wind_down();
  void mark_unflushed(WebSocketPeer& peer) { unflushed_.push_back(&peer); }

  // Milliseconds of a monotonic clock with a resolution of a few milliseconds.
  static int64_t now_ms();
  // The current value of the Date header.
  std::string_view date();

  // What is being written, always handed to a socket before the next connection gets its turn.
  std::string out;
  // Where sockets are read to whose own small buffer did not hold all that had come.
  static constexpr size_t kReadBytes = 64 << 10;
  char* read_space() { return read_space_.get(); }

  // The connection whose input is being handled: answers to it need not go through the inbox. Any thread may ask.
  bool is_active(const Connection* connection) const { return current_ == this && active_ == connection; }
  void set_active(const Connection* connection) { active_ = connection; }

 private:
  struct Outgoing {
    std::shared_ptr<WebSocketPeer> peer;
    FramePtr frame;
    uint16_t close_code;
  };

  void run();
  template <typename Add>
  bool push(Add add);
  void drain();
  void schedule_tick();
  void tick();
  void arm_timer();
  void run_due();

  static thread_local IoLoop* current_;

  boost::asio::io_context context_;
  boost::asio::executor_work_guard<Executor> work_;
  boost::asio::basic_waitable_timer<std::chrono::steady_clock, boost::asio::wait_traits<std::chrono::steady_clock>,
                                    Executor>
      tick_timer_, task_timer_;
  std::thread thread_;
  const int64_t tick_ms_;
  const int64_t heartbeat_ms_;
  int64_t next_heartbeat_ms_ = 0;
  bool stopping_ = false;
  std::vector<std::shared_ptr<Connection>> connections_;
  std::multimap<std::chrono::steady_clock::time_point, Task> delayed_;
  std::vector<WebSocketPeer*> unflushed_;
  const Connection* active_ = nullptr;
  std::unique_ptr<char[]> read_space_ = std::make_unique<char[]>(kReadBytes);
  std::string date_;
  int64_t date_second_ = 0;

  std::mutex mutex_;  // guards what follows
  std::vector<Outgoing> frames_;
  std::vector<Task> tasks_;
  bool wake_pending_ = false;
  bool closed_ = false;
  std::vector<Outgoing> draining_frames_;  // of the loop's thread; kept for their capacity
  std::vector<Task> draining_tasks_;
};

}  // namespace kalamdb::net
