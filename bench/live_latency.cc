// From a commit to its one subscriber, on an idle server: inserts rows over HTTP one at a time and notes when the
// answer arrives and when the change arrives on a WebSocket. Then reads 1,000 rows, as a new subscriber and by SELECT.
// Prints one JSON line, in milliseconds.
//
//   live_latency --port=8080 --authorization="Bearer ..." --table=bench.t [--count=300]
// The table's columns are id BIGINT, body TEXT; it must be empty.
#include <poll.h>

#include "client.h"

namespace {

using namespace bench;

struct Samples {
  std::vector<double> insert_ms, after_answer_ms, after_send_ms;
};

void insert_one(int http, int socket, const std::string& request, Samples& samples) {
  std::string answer;
  std::string pushed;
  int64_t answered = 0;
  int64_t arrived = 0;
  const int64_t sent = now_ns();
  send_all(http, request);
  while (answered == 0 || arrived == 0) {
    pollfd polled[2] = {{http, POLLIN, 0}, {socket, POLLIN, 0}};
    if (::poll(polled, 2, 10'000) <= 0) die("a change did not arrive within 10 s");
    const int64_t now = now_ns();
    if (polled[0].revents != 0) {
      receive_some(http, answer);
      if (is_whole_response(answer)) answered = now;
    }
    if (polled[1].revents != 0) {
      receive_some(socket, pushed);
      if (pushed.find("\"change\"") != std::string::npos) arrived = now;
    }
  }
  samples.insert_ms.push_back(static_cast<double>(answered - sent) / 1e6);
  samples.after_answer_ms.push_back(static_cast<double>(arrived - answered) / 1e6);
  samples.after_send_ms.push_back(static_cast<double>(arrived - sent) / 1e6);
}

double elapsed_ms(int64_t since_ns) { return static_cast<double>(now_ns() - since_ns) / 1e6; }

constexpr std::string_view kReady = R"("status":"ready")";

// Milliseconds of a subscription's first 1,000 rows and of the same SELECT over HTTP, in turn.
void read_all(const Options& options, int http, std::vector<double>& snapshot_ms, std::vector<double>& select_ms) {
  const std::string& authorization = options.text("authorization");
  const std::string select = "SELECT * FROM " + options.text("table");
  const int socket = connect_to(options.number("port"));
  send_all(socket, upgrade_request(authorization, "?compress=false"));
  receive_until(socket, "auth_success");
  for (int i = 0; i < 50; ++i) {
    int64_t start = now_ns();
    send_all(socket, subscribe_frame(select));
    // In the acknowledgement, and behind the rows.
    std::string input = receive_until(socket, kReady);
    while (input.find(kReady) == input.rfind(kReady)) receive_some(socket, input);
    snapshot_ms.push_back(elapsed_ms(start));
    start = now_ns();
    send_all(http, http_request("/v1/api/sql", authorization, R"({"sql":")" + select + "\"}"));
    for (std::string answer; !is_whole_response(answer);) receive_some(http, answer);
    select_ms.push_back(elapsed_ms(start));
  }
}

}  // namespace

int main(int argc, char** argv) {
  const Options options(argc, argv, {{"port", "8080"}, {"authorization", ""}, {"table", "bench.t"}, {"count", "300"}});
  const std::string& table = options.text("table");
  const int socket = connect_to(options.number("port"));
  subscribe(socket, options.text("authorization"), "SELECT * FROM " + table);
  const int http = connect_to(options.number("port"));
  Samples samples;
  for (int64_t i = 0; i < options.number("count"); ++i) {
    insert_one(http, socket,
               insert_request(options.text("authorization"), table, static_cast<uint64_t>(i), std::string(100, 'x')),
               samples);
    ::usleep(5000);  // an idle server: its threads have gone to sleep again
  }
  const std::string more =
      "INSERT INTO " + table + " SELECT i, repeat('x', 100) FROM range(" + options.text("count") + ", 1000) r(i)";
  send_all(http, http_request("/v1/api/sql", options.text("authorization"), R"({"sql":")" + more + "\"}"));
  for (std::string answer; !is_whole_response(answer);) receive_some(http, answer);
  std::vector<double> snapshot_ms, select_ms;
  read_all(options, http, snapshot_ms, select_ms);
  std::printf(R"({"snapshot_p50_ms":%.3f,"select_p50_ms":%.3f,)", percentile(snapshot_ms, 0.5),
              percentile(select_ms, 0.5));
  std::printf(R"("insert_p50_ms":%.3f,"insert_p99_ms":%.3f,"after_answer_p50_ms":%.3f,"after_answer_p99_ms":%.3f,)",
              percentile(samples.insert_ms, 0.5), percentile(samples.insert_ms, 0.99),
              percentile(samples.after_answer_ms, 0.5), percentile(samples.after_answer_ms, 0.99));
  std::printf(R"("after_send_p50_ms":%.3f,"after_send_p99_ms":%.3f})"
              "\n",
              percentile(samples.after_send_ms, 0.5), percentile(samples.after_send_ms, 0.99));
}
