#include "net/io_loop.h"

#include <time.h>

#include <boost/asio/post.hpp>
#include <exception>

#include "base/assert.h"
#include "base/log.h"
#include "net/websocket_peer.h"

namespace kalamdb::net {

namespace asio = boost::asio;

namespace {
// A batch that was larger than this gives its memory back.
constexpr size_t kKeptBatch = 64 << 10;
constexpr size_t kKeptOutBytes = 256 << 10;

// One task that throws must not take the others with it.
void run_guarded(IoLoop::Task& task) {
  try {
    task();
  } catch (const std::exception& error) {
    log::error("a task on an IO thread failed: {}", error.what());
  }
}

}  // namespace

thread_local IoLoop* IoLoop::current_ = nullptr;

// Sockets are only touched on the loop's thread, so Asio's locks around each I/O operation can go.
IoLoop::IoLoop(int64_t tick_ms, int64_t heartbeat_ms)
    : context_(BOOST_ASIO_CONCURRENCY_HINT_UNSAFE_IO),
      work_(context_.get_executor()),
      tick_timer_(context_.get_executor()),
      task_timer_(context_.get_executor()),
      tick_ms_(tick_ms),
      heartbeat_ms_(heartbeat_ms) {}

IoLoop::~IoLoop() { KALAM_ASSERT(!thread_.joinable()); }

void IoLoop::start() {
  next_heartbeat_ms_ = now_ms() + heartbeat_ms_;
  schedule_tick();
  thread_ = std::thread([this] { run(); });
}

void IoLoop::run() {
  current_ = this;
  while (true) {
    try {
      context_.run();
      break;
    } catch (const std::exception& error) {
      log::error("an IO handler failed: {}", error.what());
    }
  }
  current_ = nullptr;
}

void IoLoop::stop() {
  if (thread_.joinable()) {
    post([this] {
      {
        std::lock_guard lock(mutex_);
        closed_ = true;
      }
      while (!connections_.empty()) connections_.back()->cut();
      delayed_.clear();
      stopping_ = true;
      tick_timer_.cancel();
      task_timer_.cancel();
      work_.reset();
    });
    thread_.join();
  }
  // Asio calls handlers only while it runs; whatever came in before `closed_` was set is dropped here.
  std::vector<Outgoing> frames;
  std::vector<Task> tasks;
  std::lock_guard lock(mutex_);
  closed_ = true;
  frames.swap(frames_);
  tasks.swap(tasks_);
}

template <typename Add>
bool IoLoop::push(Add add) {
  {
    std::lock_guard lock(mutex_);
    if (closed_) return false;
    add();
    if (wake_pending_) return true;
    wake_pending_ = true;
  }
  asio::post(context_, [this] { drain(); });
  return true;
}

bool IoLoop::post(Task task) {
  return push([&] { tasks_.push_back(std::move(task)); });
}

bool IoLoop::send(std::shared_ptr<WebSocketPeer> peer, FramePtr frame, uint16_t close_code) {
  return push([&] { frames_.push_back({std::move(peer), std::move(frame), close_code}); });
}

void IoLoop::drain() {
  {
    std::lock_guard lock(mutex_);
    wake_pending_ = false;
    draining_frames_.swap(frames_);
    draining_tasks_.swap(tasks_);
  }
  for (Outgoing& outgoing : draining_frames_) {
    outgoing.peer->enqueue(std::move(outgoing.frame), outgoing.close_code);
  }
  // Frames for one socket are written together. The batch keeps the peers alive.
  for (size_t i = 0; i < unflushed_.size(); ++i) unflushed_[i]->flush();
  unflushed_.clear();
  draining_frames_.clear();
  for (Task& task : draining_tasks_) run_guarded(task);
  draining_tasks_.clear();
  if (draining_frames_.capacity() > kKeptBatch) std::vector<Outgoing>().swap(draining_frames_);
  if (draining_tasks_.capacity() > kKeptBatch) std::vector<Task>().swap(draining_tasks_);
}

void IoLoop::add(std::shared_ptr<Connection> connection) {
  connection->slot_ = connections_.size();
  connections_.push_back(std::move(connection));
}

void IoLoop::remove(Connection& connection) {
  size_t slot = connection.slot_;
  KALAM_ASSERT(slot < connections_.size() && connections_[slot].get() == &connection);
  std::shared_ptr<Connection> kept = std::move(connections_[slot]);
  if (slot + 1 != connections_.size()) {
    connections_[slot] = std::move(connections_.back());
    connections_[slot]->slot_ = slot;
  }
  connections_.pop_back();
}

void IoLoop::wind_down() {
  // A copy, since connections that are idle leave the list meanwhile.
  for (const auto& connection : std::vector(connections_)) connection->wind_down();
}

void IoLoop::schedule_tick() {
  tick_timer_.expires_after(std::chrono::milliseconds(tick_ms_));
  tick_timer_.async_wait([this](boost::system::error_code error) {
    // A tick that was due before stop() cancelled the timer arrives without an error.
    if (!error && !stopping_) tick();
  });
}

void IoLoop::tick() {
  int64_t now = now_ms();
  bool heartbeat = now >= next_heartbeat_ms_;
  if (heartbeat) next_heartbeat_ms_ = now + heartbeat_ms_;
  // Backwards, since a connection that ends is replaced in the list by the last one, which has had its turn.
  for (size_t i = connections_.size(); i-- > 0;) {
    if (i >= connections_.size() || connections_[i]->deadline_ms_ > now) continue;
    auto connection = connections_[i];
    connection->on_deadline(now, heartbeat);
  }
  if (out.capacity() > kKeptOutBytes) std::string().swap(out);
  schedule_tick();
}

void IoLoop::run_after(int64_t delay_ms, Task task) {
  if (stopping_) return;
  auto due = std::chrono::steady_clock::now() + std::chrono::milliseconds(delay_ms);
  auto added = delayed_.emplace(due, std::move(task));
  if (added == delayed_.begin()) arm_timer();
}

void IoLoop::arm_timer() {
  task_timer_.expires_at(delayed_.begin()->first);  // cancels the wait before
  task_timer_.async_wait([this](boost::system::error_code error) {
    if (!error) run_due();
  });
}

void IoLoop::run_due() {
  auto now = std::chrono::steady_clock::now();
  while (!delayed_.empty() && delayed_.begin()->first <= now) {
    Task task = std::move(delayed_.begin()->second);
    delayed_.erase(delayed_.begin());
    run_guarded(task);
  }
  if (!delayed_.empty()) arm_timer();
}

int64_t IoLoop::now_ms() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
  return static_cast<int64_t>(now.tv_sec) * 1000 + now.tv_nsec / 1'000'000;
}

std::string_view IoLoop::date() {
  timespec now;
  clock_gettime(CLOCK_REALTIME_COARSE, &now);
  if (now.tv_sec != date_second_) {
    date_second_ = now.tv_sec;
    tm utc;
    gmtime_r(&now.tv_sec, &utc);
    char text[40];
    // No locale is ever set, so the names of days and months are the English ones that the header needs.
    date_.assign(text, strftime(text, sizeof text, "%a, %d %b %Y %H:%M:%S GMT", &utc));
  }
  return date_;
}

}  // namespace kalamdb::net
