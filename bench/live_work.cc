// What a change costs live queries, in process: those with ORDER BY or aggregates over tables of 1,000 to 1,000,000
// rows, beside what it costs to run the query again; and one filter, beside 10,000 different ones. Google Benchmark's
// own options apply; bench/run reads its JSON.
//
//   live_work [--benchmark_filter=…]
#include <benchmark/benchmark.h>

#include <cstdio>
#include <cstdlib>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

#include "duck/engine.h"
#include "live/hub.h"
#include "model/key_codec.h"
#include "model/row_codec.h"

namespace {

using namespace kalamdb;

constexpr const char* kTop = "SELECT * FROM b.scores ORDER BY score DESC, id LIMIT ";
constexpr const char* kGroups =
    "SELECT room, count(*) AS n, sum(score) AS total, avg(score) AS mean, min(score) AS low, max(score) AS high "
    "FROM b.scores GROUP BY room";

template <typename T>
T unwrap(Result<T> result) {
  if (result) return *std::move(result);
  std::fprintf(stderr, "live_work: %s\n", result.error().message.c_str());
  std::exit(1);
}

model::TablePtr make_table() {
  auto table = std::make_shared<model::TableDefinition>();
  table->namespace_id = "b";
  table->name = "scores";
  table->columns = {{.name = "id", .ordinal = 1, .type = {.tag = model::TypeTag::kBigInt}, .primary_key_position = 1},
                    {.name = "room", .ordinal = 2, .type = {.tag = model::TypeTag::kInt}},
                    {.name = "score", .ordinal = 3, .type = {.tag = model::TypeTag::kBigInt}},
                    {.name = "body", .ordinal = 4, .type = {.tag = model::TypeTag::kText}}};
  return table;
}

// A table of rows in memory, and one result over it.
class Scores : public duck::SourceResolver {
 public:
  Scores(int64_t rows, int64_t rooms) : rooms_(rooms) {
    auto all = std::make_shared<std::vector<model::Row>>();
    for (int64_t id = 0; id < rows; ++id) all->push_back(row(id));
    rows_ = std::move(all);
  }

  Result<duck::TableSource> open(const duck::TableName&) override {
    return duck::TableSource{.computed = duck::ComputedRows{table_, rows_}};
  }

  std::unique_ptr<live::LiveResult> result(const std::string& sql) {
    const auto statement = unwrap(duck::Statement::parse(sql));
    auto made = unwrap(live::LiveResult::make(unwrap(statement->live()), table_,
                                              {unwrap(engine_->bind_predicate(*statement, table_, {})),
                                               unwrap(engine_->bind_result(*statement, table_, {}))}));
    const auto first = unwrap(engine_->result_rows(*statement, *this, {.timeout_ms = 0}, made->load_limit()));
    if (const auto loaded = made->load(*first, SIZE_MAX); !loaded) unwrap(Result<int>(fail(loaded.error())));
    return made;
  }

  // Another score for some row.
  storage::RowChange change() {
    const auto id = static_cast<int64_t>(random_() % rows_->size());
    const model::Row& before = changed_.contains(id) ? changed_[id] : (*rows_)[static_cast<size_t>(id)];
    model::Row now = row(id);
    storage::RowChange change{.table = table_, .user = {}, .kind = storage::ChangeKind::kUpdate};
    change.key = model::encode_key(*table_, now);
    change.old_row = model::encode_row(*table_, before);
    change.row = model::encode_row(*table_, now);
    changed_[id] = std::move(now);
    return change;
  }

  void run_again(const std::string& sql) {
    const auto statement = unwrap(duck::Statement::parse(sql));
    const auto rows = unwrap(engine_->query(*statement, *this, {.timeout_ms = 0}));
    while (unwrap(rows->next()) != nullptr) {
    }
  }

 private:
  model::Row row(int64_t id) {
    return {id, id % rooms_, static_cast<int64_t>(random_() % 1'000'000'000), std::string(40, 'b')};
  }

  const model::TablePtr table_ = make_table();
  const int64_t rooms_;
  std::mt19937_64 random_{1};
  std::shared_ptr<const std::vector<model::Row>> rows_;
  std::unordered_map<int64_t, model::Row> changed_;
  std::unique_ptr<duck::Engine> engine_ =
      unwrap(duck::Engine::create({.threads = 2, .temp_directory = "", .generators = {}}));
};

void keep_up(benchmark::State& state, Scores& scores, const std::string& sql) {
  auto result = scores.result(sql);
  uint64_t reloads = 0;
  for (auto _ : state) {
    state.PauseTiming();
    if (result->wants_reload()) {
      result = scores.result(sql);
      ++reloads;
    }
    const storage::RowChange change = scores.change();
    state.ResumeTiming();
    const auto* pointer = &change;
    result->apply(std::span(&pointer, 1));
    benchmark::DoNotOptimize(result->take_changes());
  }
  state.counters["bytes"] = static_cast<double>(result->bytes());
  state.counters["reloads"] = static_cast<double>(reloads);
}

void again(benchmark::State& state, Scores& scores, const std::string& sql) {
  for (auto _ : state) scores.run_again(sql);
}

void top_change(benchmark::State& state) {
  Scores scores(state.range(0), 100);
  keep_up(state, scores, kTop + std::to_string(state.range(1)));
}
void top_again(benchmark::State& state) {
  Scores scores(state.range(0), 100);
  again(state, scores, kTop + std::to_string(state.range(1)));
}
void groups_change(benchmark::State& state) {
  Scores scores(state.range(0), state.range(1));
  keep_up(state, scores, kGroups);
}
void groups_again(benchmark::State& state) {
  Scores scores(state.range(0), state.range(1));
  again(state, scores, kGroups);
}

// A socket that takes everything at once.
class Sink : public net::WebSocketConnection {
 public:
  void send(net::FramePtr) override { sent.fetch_add(1); }
  size_t queued_bytes() const override { return 0; }
  size_t total_queued_bytes() const override { return 0; }
  void close(uint16_t, std::string) override {}
  void post(std::function<void()>) override {}
  void post_after(int64_t, std::function<void()>) override {}
  const std::string& peer_address() const override { return address_; }

  std::atomic<int64_t> sent = 0;

 private:
  const std::string address_ = "here";
};

// Commits of one row, each of which one of so many filters takes, until it is delivered.
void filters(benchmark::State& state) {
  const int64_t count = state.range(0);
  const auto engine = unwrap(duck::Engine::create({.threads = 2, .temp_directory = "", .generators = {}}));
  const model::TablePtr table = make_table();
  const auto sink = std::make_shared<Sink>();
  const auto socket = std::make_shared<live::ClientSocket>("c", UserId("u"), sink);
  const live::GroupServices services{
      .bind = [&](const live::GroupQuery& query) { return engine->bind_predicate(*query.statement, query.table, {}); },
      .load = {},
      .post = {}};
  const platform::SystemClock clock;
  live::Hub hub(clock, {});
  std::vector<live::SubscriptionPtr> subscriptions;
  for (int64_t room = 0; room < count; ++room) {
    live::GroupQuery query;
    query.statement = unwrap(duck::Statement::parse("SELECT * FROM b.scores WHERE room = " + std::to_string(room)));
    query.shape = unwrap(query.statement->live());
    query.table = table;
    subscriptions.push_back(
        std::make_shared<live::Subscription>("s", socket, protocol::FrameFormat{}, live::SubscriptionFacts{}));
    if (const auto added = hub.add(query, subscriptions.back(), services); !added) {
      unwrap(Result<int>(fail(added.error())));
    }
    subscriptions.back()->go_live(0, {});
  }
  std::mt19937_64 random(1);
  Seq seq = 0;
  for (auto _ : state) {
    auto commit = std::make_shared<storage::ChangeSet>();
    storage::RowChange change{.table = table, .user = {}, .seq = ++seq};
    const model::Row row{seq, static_cast<int64_t>(random() % static_cast<uint64_t>(count)), seq, std::string(40, 'b')};
    change.key = model::encode_key(*table, row);
    change.row = model::encode_row(*table, row);
    commit->commit_seq = seq;
    commit->rows.push_back(std::move(change));
    hub.publish(commit);
    while (seq - sink->sent.load() > 1000) std::this_thread::yield();
  }
  while (sink->sent.load() < seq) std::this_thread::yield();
  for (const auto& subscription : subscriptions) hub.remove(subscription);
}

BENCHMARK(filters)->Arg(1)->Arg(10'000)->UseRealTime();

// Rows of the table, then LIMIT or groups.
BENCHMARK(top_change)->Args({1'000, 20})->Args({100'000, 20})->Args({1'000'000, 20})->Args({1'000'000, 100'000});
BENCHMARK(top_again)->Args({1'000, 20})->Args({100'000, 20})->Args({1'000'000, 20});
BENCHMARK(groups_change)->Args({1'000, 100})->Args({100'000, 100})->Args({1'000'000, 100})->Args({1'000'000, 100'000});
BENCHMARK(groups_again)->Args({1'000, 100})->Args({100'000, 100})->Args({1'000'000, 100});

}  // namespace

BENCHMARK_MAIN();
