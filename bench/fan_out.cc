// One change to many subscribers: N sockets in this process watch one query (or subject), first at 100 changes a second
// (latency, from the change's send to each arrival), then with 16 changes in flight (throughput). A change is in flight
// until it is answered and has reached every subscriber, so no queue can hide a slow delivery and a lost one ends the
// program. Prints one JSON line. The same code measures KalamDB, NATS and Redis: a delivery is found by its payload.
//
//   fan_out --system=kalam|nats|redis --port=8080 [--authorization="Bearer ..."] [--table=bench.t]
//           [--subscribers=1000] [--seconds=2, of each half] [--stalled=0]
// With --stalled there are as many more that read nothing, for which no change waits; much is sent before the first
// half, so that by then the server holds it for them. The table's columns are id BIGINT, body TEXT; it must be empty.
#include <sys/epoll.h>
#include <sys/timerfd.h>

#include <cstring>

#include "client.h"

namespace {

using namespace bench;

constexpr size_t kPayloadBytes = 200;
constexpr size_t kSlots = 16;
constexpr int64_t kIntervalNs = 10'000'000;  // 100 changes a second
constexpr char kMarker = '@';                // in no message but at the start of a payload
constexpr size_t kMarkerBytes = 3;           // the marker and the slot's two digits

// One change in flight at a time. Over HTTP each slot has a connection of its own.
struct Slot {
  int fd = -1;
  std::string answer;
  bool unanswered = false;
  size_t undelivered = 0;
  int64_t sent_ns = 0;
  bool is_free() const { return !unanswered && undelivered == 0; }
};

struct Subscriber {
  int fd = -1;
  std::string cut;  // a marker that the last read cut off
};

class FanOut {
 public:
  explicit FanOut(const Options& options)
      : options_(options), system_(options.text("system")), port_(options.number("port")), slots_(kSlots) {
    if (system_ != "kalam" && system_ != "nats" && system_ != "redis") die("unknown --system " + system_);
    for (int64_t i = 0; i < options.number("stalled"); ++i) open_subscriber({.small_buffers = true});
    subscribers_.resize(static_cast<size_t>(options.number("subscribers")));
    for (size_t i = 0; i < subscribers_.size(); ++i) watch(subscribers_[i].fd = open_subscriber({}), i);
    for (size_t i = 0; i < kSlots; ++i) {
      if (system_ == "kalam" || i == 0) {
        watch(slots_[i].fd = open_publisher(), subscribers_.size() + i);
      } else {
        slots_[i].fd = slots_[0].fd;
      }
    }
  }

  void run() {
    const int64_t phase_ns = options_.number("seconds") * 1'000'000'000;
    if (options_.number("stalled") > 0) run_full(phase_ns);
    run_paced(phase_ns);
    const double p50 = percentile(latencies_ms_, 0.5);
    const double p99 = percentile(latencies_ms_, 0.99);
    const double rate = run_full(phase_ns);
    std::printf(R"({"p50_ms":%.3f,"p99_ms":%.3f,"skipped":%zu,"deliveries_per_s":%.0f})"
                "\n",
                p50, p99, skipped_, rate);
  }

 private:
  void watch(int fd, uint64_t id) {
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.u64 = id;
    if (::epoll_ctl(epoll_, EPOLL_CTL_ADD, fd, &event) != 0) die("epoll_ctl failed");
  }

  int open_subscriber(const Connecting& how) {
    const int fd = connect_to(port_, how);
    if (system_ == "kalam") {
      subscribe(fd, options_.text("authorization"), "SELECT * FROM " + options_.text("table"));
      return fd;
    }
    if (system_ == "nats") {
      send_all(fd, "CONNECT {\"verbose\":false,\"pedantic\":false}\r\nSUB bench 1\r\nPING\r\n");
      receive_until(fd, "PONG\r\n");
    } else {
      send_all(fd, "SUBSCRIBE bench\r\n");
      receive_until(fd, ":1\r\n");
    }
    return fd;
  }

  int open_publisher() {
    const int fd = connect_to(port_);
    if (system_ == "nats") send_all(fd, "CONNECT {\"verbose\":false,\"pedantic\":false}\r\n");
    return fd;
  }

  void publish(size_t index) {
    Slot& slot = slots_[index];
    std::string payload{kMarker, static_cast<char>('0' + index / 10), static_cast<char>('0' + index % 10)};
    payload.resize(kPayloadBytes, 'x');
    std::string message;
    if (system_ == "kalam") {
      message = insert_request(options_.text("authorization"), options_.text("table"), next_id_++, payload);
    } else if (system_ == "nats") {
      message = "PUB bench 200\r\n" + payload + "\r\n";
    } else {
      message = "*3\r\n$7\r\nPUBLISH\r\n$5\r\nbench\r\n$200\r\n" + payload + "\r\n";
    }
    slot.unanswered = system_ == "kalam";
    slot.answer.clear();
    slot.undelivered = subscribers_.size();
    slot.sent_ns = now_ns();
    send_all(slot.fd, message);
  }

  // Reads what has arrived at one socket.
  void receive(uint64_t id) {
    const bool is_subscriber = id < subscribers_.size();
    const int fd = is_subscriber ? subscribers_[id].fd : slots_[id - subscribers_.size()].fd;
    const ssize_t size = ::recv(fd, buffer_.data(), buffer_.size(), MSG_DONTWAIT);
    if (size <= 0) die("the server closed a connection");
    const std::string_view bytes(buffer_.data(), static_cast<size_t>(size));
    if (is_subscriber) return count_deliveries(subscribers_[id], bytes);
    if (system_ != "kalam") return;
    Slot& slot = slots_[id - subscribers_.size()];
    slot.answer += bytes;
    if (is_whole_response(slot.answer)) slot.unanswered = false;
  }

  void count_deliveries(Subscriber& subscriber, std::string_view bytes) {
    const int64_t now = now_ns();
    while (!subscriber.cut.empty() && !bytes.empty()) {
      subscriber.cut += bytes.front();
      bytes.remove_prefix(1);
      if (subscriber.cut.size() < kMarkerBytes) continue;
      delivered(subscriber.cut, now);
      subscriber.cut.clear();
    }
    for (size_t at = bytes.find(kMarker); at != std::string_view::npos; at = bytes.find(kMarker, at + kMarkerBytes)) {
      if (at + kMarkerBytes > bytes.size()) {
        subscriber.cut = bytes.substr(at);
        break;
      }
      delivered(bytes.substr(at, kMarkerBytes), now);
    }
  }

  void delivered(std::string_view marker, int64_t now) {
    Slot& slot = slots_.at(static_cast<size_t>((marker[1] - '0') * 10 + marker[2] - '0'));
    if (slot.undelivered == 0) die("a change was delivered twice");
    --slot.undelivered;
    ++deliveries_;
    if (record_latency_) latencies_ms_.push_back(static_cast<float>(now - slot.sent_ns) / 1e6f);
  }

  // Waits for events once; returns how often the timer has expired.
  uint64_t step() {
    epoll_event events[256];
    const int ready = ::epoll_wait(epoll_, events, 256, 10'000);
    if (ready == 0) die("a change did not reach every subscriber within 10 s");
    uint64_t ticks = 0;
    for (int i = 0; i < ready; ++i) {
      if (events[i].data.u64 == kTimer) {
        if (::read(timer_, &ticks, sizeof ticks) != sizeof ticks) die("cannot read the timer");
      } else {
        receive(events[i].data.u64);
      }
    }
    return ticks;
  }

  void finish_all() {
    while (!std::all_of(slots_.begin(), slots_.end(), [](const Slot& slot) { return slot.is_free(); })) step();
  }

  void run_paced(int64_t phase_ns) {
    timer_ = ::timerfd_create(CLOCK_MONOTONIC, 0);
    const itimerspec interval{{0, kIntervalNs}, {0, kIntervalNs}};
    ::timerfd_settime(timer_, 0, &interval, nullptr);
    watch(timer_, kTimer);
    const int64_t warm = now_ns() + 500'000'000;
    while (now_ns() < warm + phase_ns) {
      record_latency_ = now_ns() >= warm;
      for (uint64_t ticks = step(); ticks > 0; --ticks) publish_if_free();
    }
    ::close(timer_);
    finish_all();
    record_latency_ = false;
  }

  void publish_if_free() {
    for (size_t i = 0; i < kSlots; ++i) {
      if (slots_[i].is_free()) return publish(i);
    }
    ++skipped_;
  }

  // Deliveries a second.
  double run_full(int64_t phase_ns) {
    const int64_t warm = now_ns() + 500'000'000;
    int64_t from = 0;
    while (now_ns() < warm + phase_ns) {
      if (from == 0 && now_ns() >= warm) {
        from = now_ns();
        deliveries_ = 0;
      }
      for (size_t i = 0; i < kSlots; ++i) {
        if (slots_[i].is_free()) publish(i);
      }
      step();
    }
    const double rate = static_cast<double>(deliveries_) * 1e9 / static_cast<double>(now_ns() - from);
    finish_all();
    return rate;
  }

  static constexpr uint64_t kTimer = ~uint64_t{0};

  const Options& options_;
  const std::string system_;
  const int64_t port_;
  const int epoll_ = ::epoll_create1(EPOLL_CLOEXEC);
  int timer_ = -1;
  std::vector<Slot> slots_;
  std::vector<Subscriber> subscribers_;
  std::string buffer_ = std::string(256 << 10, '\0');
  bool record_latency_ = false;
  std::vector<float> latencies_ms_;
  size_t deliveries_ = 0;
  size_t skipped_ = 0;
  uint64_t next_id_ = 0;
};

}  // namespace

int main(int argc, char** argv) {
  const Options options(argc, argv,
                        {{"system", "kalam"},
                         {"port", "8080"},
                         {"authorization", ""},
                         {"table", "bench.t"},
                         {"subscribers", "1000"},
                         {"seconds", "2"},
                         {"stalled", "0"}});
  raise_file_limit();
  FanOut(options).run();
}
