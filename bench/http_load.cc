// A closed-loop HTTP/1.1 load generator on one thread: each of N kept-alive connections has one request under way.
// Prints one JSON line: requests per second, latency percentiles, errors.
//
// http_load --port=8080 [--host=127.0.0.1] [--connections=8] [--seconds=5] [--warmup=1] [--method=POST] [--path=/]
//           [--body=TEXT or @FILE] [--authorization=VALUE] [--type=application/json]
// SIGTERM ends it early; what it measured until then counts.
// In path and body, {n} becomes a counter unique to the run and {rand:MAX} a random number below MAX.
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <map>
#include <random>
#include <string>
#include <string_view>
#include <vector>

namespace {

using Clock = std::chrono::steady_clock;

volatile std::sig_atomic_t stopped = 0;

[[noreturn]] void die(const std::string& message) {
  std::fprintf(stderr, "http_load: %s\n", message.c_str());
  std::exit(1);
}

// Text with placeholders, cut into pieces once.
class Template {
 public:
  explicit Template(std::string_view text) {
    size_t position = 0;
    while (position < text.size()) {
      size_t open = std::min(text.find("{n}", position), text.find("{rand:", position));
      pieces_.push_back({Kind::kText, std::string(text.substr(position, open - position)), 0});
      if (open == std::string_view::npos) break;
      size_t close = text.find('}', open);
      if (close == std::string_view::npos) die("a placeholder is not closed");
      if (text[open + 1] == 'n') {
        pieces_.push_back({Kind::kCounter, {}, 0});
      } else {
        uint64_t limit = std::strtoull(text.data() + open + 6, nullptr, 10);
        if (limit == 0) die("{rand:MAX} needs a number above 0");
        pieces_.push_back({Kind::kRandom, {}, limit});
      }
      position = close + 1;
    }
  }
  void append(std::string& out, uint64_t counter, std::mt19937_64& random) const {
    for (const Piece& piece : pieces_) {
      if (piece.kind == Kind::kText) out += piece.text;
      if (piece.kind == Kind::kCounter) out += std::to_string(counter);
      if (piece.kind == Kind::kRandom) out += std::to_string(random() % piece.limit);
    }
  }

 private:
  enum class Kind { kText, kCounter, kRandom };
  struct Piece {
    Kind kind;
    std::string text;
    uint64_t limit;
  };
  std::vector<Piece> pieces_;
};

struct Options {
  std::map<std::string, std::string> values;
  std::string get(const std::string& name, const std::string& otherwise) const {
    auto found = values.find(name);
    return found == values.end() ? otherwise : found->second;
  }
};

Options parse_options(int argc, char** argv) {
  static const std::vector<std::string> known = {"port",   "host", "connections", "seconds",       "warmup",
                                                 "method", "path", "body",        "authorization", "type"};
  Options options;
  for (int i = 1; i < argc; ++i) {
    std::string argument = argv[i];
    size_t equals = argument.find('=');
    if (!argument.starts_with("--") || equals == std::string::npos) die("unknown argument " + argument);
    std::string name = argument.substr(2, equals - 2);
    if (std::find(known.begin(), known.end(), name) == known.end()) die("unknown argument " + argument);
    options.values[name] = argument.substr(equals + 1);
  }
  return options;
}

struct Connection {
  int fd = -1;
  std::string input;
  Clock::time_point sent;
};

class Load {
 public:
  explicit Load(const Options& options)
      : options_(options), path_(options.get("path", "/")), body_(read_body(options.get("body", ""))) {
    method_ = options.get("method", options.get("body", "").empty() ? "GET" : "POST");
    headers_ = " HTTP/1.1\r\nHost: " + options.get("host", "127.0.0.1");
    std::string authorization = options.get("authorization", "");
    if (!authorization.empty()) headers_ += "\r\nAuthorization: " + authorization;
    headers_ += "\r\nContent-Type: " + options.get("type", "application/json") + "\r\nContent-Length: ";
  }

  void run() {
    epoll_ = epoll_create1(0);
    connections_.resize(static_cast<size_t>(std::atoi(options_.get("connections", "8").c_str())));
    for (Connection& connection : connections_) open(connection);
    auto start = Clock::now();
    measure_from_ = start + seconds("warmup", "1");
    auto end = measure_from_ + seconds("seconds", "5");
    for (Connection& connection : connections_) send_request(connection);
    std::vector<epoll_event> events(connections_.size());
    while (Clock::now() < end && stopped == 0) {
      int ready = epoll_wait(epoll_, events.data(), static_cast<int>(events.size()), 100);
      for (int i = 0; i < ready; ++i) receive(*static_cast<Connection*>(events[static_cast<size_t>(i)].data.ptr));
    }
    report(std::chrono::duration<double>(Clock::now() - measure_from_).count());
  }

 private:
  static std::string read_body(const std::string& argument) {
    if (!argument.starts_with("@")) return argument;
    std::ifstream file(argument.substr(1), std::ios::binary);
    if (!file) die("cannot read " + argument.substr(1));
    return {std::istreambuf_iterator<char>(file), {}};
  }

  Clock::duration seconds(const char* name, const char* otherwise) const {
    double value = std::atof(options_.get(name, otherwise).c_str());
    return std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(value));
  }

  void open(Connection& connection) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<uint16_t>(std::atoi(options_.get("port", "8080").c_str())));
    if (inet_pton(AF_INET, options_.get("host", "127.0.0.1").c_str(), &address.sin_addr) != 1) die("bad --host");
    connection.fd = socket(AF_INET, SOCK_STREAM, 0);
    if (connect(connection.fd, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) die("cannot connect");
    int on = 1;
    setsockopt(connection.fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    connection.input.clear();
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.ptr = &connection;
    epoll_ctl(epoll_, EPOLL_CTL_ADD, connection.fd, &event);
  }

  void send_request(Connection& connection) {
    uint64_t counter = counter_++;
    request_ = method_ + " ";
    path_.append(request_, counter, random_);
    request_ += headers_;
    body_text_.clear();
    body_.append(body_text_, counter, random_);
    request_ += std::to_string(body_text_.size()) + "\r\n\r\n" + body_text_;
    connection.sent = Clock::now();
    if (send(connection.fd, request_.data(), request_.size(), MSG_NOSIGNAL) != static_cast<ssize_t>(request_.size())) {
      die("cannot send a request");
    }
  }

  void receive(Connection& connection) {
    char bytes[16 << 10];
    ssize_t size = recv(connection.fd, bytes, sizeof bytes, MSG_DONTWAIT);
    if (size < 0 && errno == EAGAIN) return;
    if (size <= 0) {
      ++errors_;
      close(connection.fd);
      open(connection);
      return send_request(connection);
    }
    connection.input.append(bytes, static_cast<size_t>(size));
    size_t header_end = connection.input.find("\r\n\r\n");
    if (header_end == std::string::npos) return;
    if (connection.input.size() < header_end + 4 + body_size(connection.input.substr(0, header_end))) return;
    auto now = Clock::now();
    if (now >= measure_from_) {
      latencies_us_.push_back(std::chrono::duration<float, std::micro>(now - connection.sent).count());
      if (connection.input.compare(9, 1, "2") != 0) {
        if (errors_++ == 0) std::fprintf(stderr, "http_load: first error: %s\n", connection.input.c_str());
      }
    }
    connection.input.clear();
    send_request(connection);
  }

  static size_t body_size(const std::string& head) {
    static constexpr std::string_view kName = "\r\ncontent-length:";
    for (size_t i = 0; i + kName.size() <= head.size(); ++i) {
      if (head[i] == '\r' && strncasecmp(head.data() + i, kName.data(), kName.size()) == 0) {
        return std::strtoull(head.data() + i + kName.size(), nullptr, 10);
      }
    }
    die("a response has no Content-Length");
  }

  void report(double elapsed) {
    std::sort(latencies_us_.begin(), latencies_us_.end());
    size_t count = latencies_us_.size();
    auto percentile = [&](double p) {
      return count == 0 ? 0.0 : latencies_us_[static_cast<size_t>(static_cast<double>(count - 1) * p)];
    };
    std::printf("{\"requests_per_s\":%.0f,\"p50_us\":%.1f,\"p99_us\":%.1f,\"requests\":%zu,\"errors\":%llu}\n",
                static_cast<double>(count) / elapsed, percentile(0.5), percentile(0.99), count,
                static_cast<unsigned long long>(errors_));
  }

  const Options& options_;
  Template path_;
  Template body_;
  std::string method_, headers_, request_, body_text_;
  int epoll_ = -1;
  std::vector<Connection> connections_;
  Clock::time_point measure_from_;
  uint64_t counter_ = 0;
  uint64_t errors_ = 0;
  std::mt19937_64 random_{std::random_device{}()};
  std::vector<float> latencies_us_;
};

}  // namespace

int main(int argc, char** argv) {
  Options options = parse_options(argc, argv);
  std::signal(SIGTERM, [](int) { stopped = 1; });
  Load(options).run();
}
