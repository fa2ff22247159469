// How many single-row commits a second the committer makes, beside what the disk gives: closed-loop submitters, each
// with one commit of a 100-byte row in flight, against the fdatasyncs a second of one appended record.
//
//   commit [seconds for each line, default 2] [directory, default .]
#include <fcntl.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <latch>
#include <string>
#include <vector>

#include "model/key_codec.h"
#include "platform/clock.h"
#include "storage/committer_thread.h"

namespace {

using namespace kalamdb;
using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

[[noreturn]] void die(const std::string& message) {
  std::fprintf(stderr, "commit: %s\n", message.c_str());
  std::exit(1);
}

double fdatasyncs_per_second(const std::string& directory, double seconds) {
  const std::string path = directory + "/sync";
  const int file = ::open(path.c_str(), O_CREAT | O_TRUNC | O_WRONLY, 0644);
  const std::string record(250, 'x');
  const auto start = Clock::now();
  int count = 0;
  while (seconds_since(start) < seconds) {
    if (::write(file, record.data(), record.size()) < 0 || ::fdatasync(file) != 0) die("cannot write to " + path);
    ++count;
  }
  const double rate = count / seconds_since(start);
  ::close(file);
  std::filesystem::remove(path);
  return rate;
}

model::TablePtr make_table() {
  auto table = std::make_shared<model::TableDefinition>();
  table->id = TableId(1);
  table->namespace_id = "bench";
  table->name = "commits";
  model::ColumnDefinition id{.name = "id", .ordinal = 1, .type = {model::TypeTag::kBigInt}, .nullable = false};
  id.primary_key_position = 1;
  table->columns = {id, {.name = "body", .ordinal = 2, .type = {model::TypeTag::kText}}};
  return table;
}

// Submitters that each send their next row as soon as the last is answered, on the committer's thread.
class Load {
 public:
  Load(storage::CommitterThread& committer, model::TablePtr table, int submitters, double seconds)
      : committer_(committer),
        table_(std::move(table)),
        seconds_(seconds),
        done_(submitters),
        submitters_(submitters) {}

  double run() {
    start_ = Clock::now();
    for (int i = 0; i < submitters_; ++i) send();
    done_.wait();
    return static_cast<double>(count_) / seconds_since(start_);
  }

 private:
  void send() {
    static std::atomic<int64_t> next_id = 0;
    const model::Row values = {next_id.fetch_add(1) * 7919 % 1'000'000'007, std::string(100, 'b')};
    storage::CommitRequest request;
    request.rows.push_back(
        {.table = table_, .key = model::encode_key(*table_, values), .row = model::encode_row(*table_, values)});
    request.segments_read.push_back({table_, {}, 0});
    committer_.submit(std::move(request), [this](const Result<storage::ChangeSetPtr>& result) {
      if (!result) die(result.error().message);
      ++count_;
      if (seconds_since(start_) < seconds_) {
        send();
      } else {
        done_.count_down();
      }
    });
  }

  storage::CommitterThread& committer_;
  model::TablePtr table_;
  double seconds_;
  std::latch done_;
  int submitters_;
  Clock::time_point start_;
  uint64_t count_ = 0;  // of the committer's thread
};

double commits_per_second(const std::string& directory, storage::Durability durability, int submitters,
                          double seconds) {
  const std::string path = directory + "/commit_bench_db";
  std::filesystem::remove_all(path);
  double rate = 0;
  {
    auto store = hot::Store::open(path, {});
    if (!store) die(store.error().message);
    storage::SegmentCache segments(**store);
    storage::HotRowCounts counts((*store)->last_seq());
    const platform::SystemClock clock;
    auto committer =
        storage::CommitterThread::start(**store, segments, counts, clock, durability, 1, [] { return Result<>(); });
    if (!committer) die(committer.error().message);
    const auto table = make_table();
    storage::CommitRequest create;
    create.table_changes.push_back({table->id, table->schema_version});
    if (auto created = (*committer)->commit(std::move(create)); !created) die(created.error().message);
    rate = Load(**committer, table, submitters, seconds).run();
    (*committer)->stop();
  }
  std::filesystem::remove_all(path);
  return rate;
}

}  // namespace

int main(int argc, char** argv) {
  const double seconds = argc > 1 ? std::atof(argv[1]) : 2;
  const std::string directory = argc > 2 ? argv[2] : ".";
  const double syncs = fdatasyncs_per_second(directory, seconds);
  std::printf("fdatasync of 250 appended bytes: %.0f/s (%.0f us)\n", syncs, 1e6 / syncs);
  for (const auto durability : {storage::Durability::kFsync, storage::Durability::kOs}) {
    for (const int submitters : {1, 8, 64}) {
      const double rate = commits_per_second(directory, durability, submitters, seconds);
      std::printf("%-5s %2d submitters: %8.0f commits/s = %.2f x fdatasync\n",
                  durability == storage::Durability::kFsync ? "fsync" : "os", submitters, rate, rate / syncs);
    }
  }
}
