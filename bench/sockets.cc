// Many subscribed sockets: how fast they open, the server memory of each, and how long a change takes from its send
// until it has reached everybody whom it concerns. Prints one JSON line.
//
//   sockets --port=8080 --pid=PID [--authorization="Bearer ..."] [--table=bench.t] [--sockets=20000] [--changes=100]
//           [--filter=none|own|range]
// With --filter=none all watch the table, and each change goes to each; with own each watches one id, and a change goes
// to one of them; with range likewise, but by a condition that has to be evaluated. The table's columns are id BIGINT,
// body TEXT; it must be empty. PID is the server's.
#include <sys/epoll.h>

#include <fstream>
#include <sstream>

#include "client.h"

namespace {

using namespace bench;

constexpr size_t kWave = 64;                   // sockets that are opened side by side
constexpr size_t kSocketsPerAddress = 20'000;  // a pair of addresses has some 28,000 ports

// Resident memory of a process, in KiB.
double resident_kib(int64_t pid) {
  std::ifstream status("/proc/" + std::to_string(pid) + "/status");
  std::string line;
  while (std::getline(status, line)) {
    if (line.starts_with("VmRSS:")) return std::atof(line.c_str() + 6);
  }
  die("there is no process " + std::to_string(pid));
}

class Sockets {
 public:
  explicit Sockets(const Options& options)
      : options_(options), table_(options.text("table")), own_(options.text("filter") != "none") {}

  void run() {
    const auto count = static_cast<size_t>(options_.number("sockets"));
    // So that what the first one costs is not counted: the table's definition, threads, caches.
    open(1);
    const double before = resident_kib(options_.number("pid"));
    const int64_t start = now_ns();
    while (sockets_.size() < count) open(std::min(kWave, count - sockets_.size()));
    const double seconds = static_cast<double>(now_ns() - start) / 1e9;
    const double kib = resident_kib(options_.number("pid")) - before;
    const auto opened = static_cast<double>(count > 1 ? count - 1 : 1);
    std::vector<double> first_ms, last_ms;
    publisher_ = connect_to(options_.number("port"));
    for (int64_t i = 0; i < options_.number("changes"); ++i) change(i, first_ms, last_ms);
    std::printf(R"({"opened_per_s":%.0f,"kib_each":%.2f,"first_ms":%.3f,"last_ms":%.3f})"
                "\n",
                opened / seconds, kib / opened, percentile(first_ms, 0.5), percentile(last_ms, 0.5));
  }

 private:
  // Each step of all before the next one, so that they do not wait for each other's answers.
  void open(size_t count) {
    const size_t begin = sockets_.size();
    for (size_t i = 0; i < count; ++i) {
      sockets_.push_back(connect_to(options_.number("port"), {.host = 1 + (begin + i) / kSocketsPerAddress}));
      send_all(sockets_.back(), upgrade_request(options_.text("authorization")));
    }
    for (size_t i = begin; i < sockets_.size(); ++i) {
      receive_until(sockets_[i], "auth_success");
      send_all(sockets_[i], subscribe_frame("SELECT * FROM " + table_ + filter(std::to_string(i))));
    }
    for (size_t i = begin; i < sockets_.size(); ++i) {
      receive_until(sockets_[i], "initial_data_batch");
      epoll_event event{};
      event.events = EPOLLIN;
      event.data.fd = sockets_[i];
      if (::epoll_ctl(epoll_, EPOLL_CTL_ADD, sockets_[i], &event) != 0) die("epoll_ctl failed");
    }
  }

  std::string filter(const std::string& id) const {
    if (options_.text("filter") == "range") return " WHERE id BETWEEN " + id + " AND " + id;
    return own_ ? " WHERE id = " + id : "";
  }

  // One change, and the milliseconds until the first and until the last of those whom it concerns have it.
  void change(int64_t number, std::vector<double>& first_ms, std::vector<double>& last_ms) {
    const auto sockets = static_cast<int64_t>(sockets_.size());
    const int64_t id = own_ ? number * 7919 % sockets : number;
    const std::string update = own_ ? " ON CONFLICT (id) DO UPDATE SET body = excluded.body" : "";
    const int64_t start = now_ns();
    send_all(publisher_, insert_request(options_.text("authorization"), table_, id, std::to_string(start), update));
    std::string answer;
    epoll_event events[256];
    for (size_t waiting = own_ ? 1 : sockets_.size(); waiting > 0;) {
      const int ready = ::epoll_wait(epoll_, events, 256, 30'000);
      if (ready == 0) die("a change did not reach " + std::to_string(waiting) + " sockets within 30 s");
      const double elapsed_ms = static_cast<double>(now_ns() - start) / 1e6;
      if (waiting == (own_ ? 1 : sockets_.size())) first_ms.push_back(elapsed_ms);
      for (int i = 0; i < ready; ++i) {
        // The frame is small and comes in one piece.
        const ssize_t size = ::recv(events[i].data.fd, buffer_, sizeof buffer_, 0);
        if (size <= 0) die("the server closed a connection");
        if (std::string_view(buffer_, static_cast<size_t>(size)).find("\"change\"") == std::string_view::npos) {
          die("not a change: " + std::string(buffer_, static_cast<size_t>(size)));
        }
        --waiting;
      }
    }
    last_ms.push_back(static_cast<double>(now_ns() - start) / 1e6);
    while (!is_whole_response(answer)) receive_some(publisher_, answer);
  }

  const Options& options_;
  const std::string table_;
  const bool own_;
  const int epoll_ = ::epoll_create1(EPOLL_CLOEXEC);
  int publisher_ = -1;
  std::vector<int> sockets_;
  char buffer_[64 << 10];
};

}  // namespace

int main(int argc, char** argv) {
  const Options options(argc, argv,
                        {{"port", "8080"},
                         {"pid", ""},
                         {"authorization", ""},
                         {"table", "bench.t"},
                         {"sockets", "20000"},
                         {"changes", "100"},
                         {"filter", "none"}});
  raise_file_limit();
  Sockets(options).run();
}
