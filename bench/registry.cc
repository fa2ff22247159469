// What stands between a statement's text and its work: the schema registry, dispatch, parameters, values and paths,
// each in process. Google Benchmark's own options apply; bench/run reads its JSON.
//
//   registry [--benchmark_filter=…]
#include <benchmark/benchmark.h>
#include <malloc.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <new>
#include <random>
#include <string>
#include <vector>

#include "base/log.h"
#include "catalog/catalog.h"
#include "duck/tokens.h"
#include "protocol/sql_request.h"
#include "query/commands.h"
#include "query/prepared.h"
#include "storage/segment_files.h"
#include "storage/test_engine.h"

namespace {
std::atomic<int64_t> allocated_bytes = 0;
}

// Every allocation of this program is counted, as large as the allocator makes it.
void* operator new(size_t size) {
  void* memory = std::malloc(size);
  if (memory == nullptr) throw std::bad_alloc();
  allocated_bytes += static_cast<int64_t>(malloc_usable_size(memory));
  return memory;
}
void operator delete(void* memory) noexcept {
  allocated_bytes -= static_cast<int64_t>(malloc_usable_size(memory));
  std::free(memory);
}
void operator delete(void* memory, size_t) noexcept { operator delete(memory); }

namespace {

using namespace kalamdb;

constexpr size_t kTables = 1000;

[[noreturn]] void die(const std::string& message) {
  std::fprintf(stderr, "registry: %s\n", message.c_str());
  std::exit(1);
}

template <typename T>
T unwrap(Result<T> result) {
  if (!result) die(result.error().message);
  return *std::move(result);
}

std::string table_name(size_t i) { return "table_" + std::to_string(i); }

// A table of ordinary width: five columns, and the two that each table gets.
model::TableDefinition ordinary_table(const std::string& name) {
  model::TableDefinition table;
  table.namespace_id = "default";
  table.name = name;
  const auto add = [&](const char* column, model::TypeTag type, bool nullable) -> model::ColumnDefinition& {
    const auto ordinal = static_cast<uint32_t>(table.columns.size() + 1);
    return table.columns.emplace_back(
        model::ColumnDefinition{.name = column, .ordinal = ordinal, .type = {type}, .nullable = nullable});
  };
  auto& id = add("id", model::TypeTag::kBigInt, false);
  id.primary_key_position = 1;
  id.default_value = {model::ColumnDefault::Kind::kFunction, {}, "SNOWFLAKE_ID"};
  add("author", model::TypeTag::kText, false);
  add("body", model::TypeTag::kText, true);
  add("likes", model::TypeTag::kInt, true).default_value = {model::ColumnDefault::Kind::kLiteral, int64_t{0}, ""};
  add("created_at", model::TypeTag::kTimestamp, true).default_value = {
      model::ColumnDefault::Kind::kFunction, {}, "NOW"};
  return table;
}

// A database with kTables tables, removed at the end.
class Database {
 public:
  static Database& get() {
    static Database database;
    return database;
  }
  catalog::Catalog& catalog() { return *catalog_; }
  storage::Storage& storage() { return *storage_; }
  storage::StorageRegistry& storages() { return storage_->storages(); }
  const std::string& directory() const { return directory_; }
  // Bytes that the definitions take in memory.
  double registry_bytes() const { return registry_bytes_; }

 private:
  Database() {
    const char* base = std::getenv("BENCH_DIR");
    directory_ = std::string(base != nullptr ? base : "/var/tmp") + "/registry_bench." + std::to_string(getpid());
    storage::StorageOptions options;
    options.data_directory = directory_;
    options.durability = storage::Durability::kOs;
    storage_ = unwrap(storage::Storage::open(options, files_, clock_, random_, engine_));
    catalog_ = unwrap(catalog::Catalog::open(*storage_, clock_, kTables));
    for (size_t i = 0; i < kTables; ++i) unwrap(catalog_->create_table(ordinary_table(table_name(i))));
    for (int round = 0; round < 2; ++round) {  // what the store itself keeps in memory is there the second time
      const int64_t before = allocated_bytes;
      catalog::Registry registry(storage_->hot(), kTables);
      if (auto warm = registry.warm(); !warm) die(warm.error().message);
      registry_bytes_ = static_cast<double>(allocated_bytes - before);
    }
  }
  ~Database() {
    catalog_.reset();
    storage_.reset();
    std::filesystem::remove_all(directory_);
  }

  std::string directory_;
  platform::RealFileSystem files_;
  platform::SystemClock clock_;
  platform::SystemRandom random_;
  storage::TestEngine engine_;
  std::unique_ptr<storage::Storage> storage_;
  std::unique_ptr<catalog::Catalog> catalog_;
  double registry_bytes_ = 0;
};

void lookup_cached(benchmark::State& state) {
  auto& catalog = Database::get().catalog();
  std::vector<std::string> names;
  for (size_t i = 0; i < kTables; ++i) names.push_back(table_name(i));
  std::shuffle(names.begin(), names.end(), std::mt19937(static_cast<unsigned>(state.thread_index())));
  size_t next = 0;
  for (auto _ : state) {
    benchmark::DoNotOptimize(catalog.find_table("default", names[next]));
    next = next + 1 == names.size() ? 0 : next + 1;
  }
  state.SetItemsProcessed(state.iterations());
  if (state.thread_index() != 0) return;
  const auto counters = catalog.schema_cache_counters();
  state.counters["hit_rate"] =
      static_cast<double>(counters.hits) / static_cast<double>(counters.hits + counters.misses);
  state.counters["kib"] = Database::get().registry_bytes() / 1024;
}
BENCHMARK(lookup_cached)->ThreadRange(1, 2)->UseRealTime();

void lookup_built_from_bytes(benchmark::State& state) {
  const auto table = unwrap(Database::get().catalog().find_table("default", table_name(0)));
  const auto& store = Database::get().storage().hot();
  const std::string record = *unwrap(store.get_record(hot::RecordSpace::kTable, table->qualified_name(), nullptr));
  for (auto _ : state) {
    benchmark::DoNotOptimize(std::make_shared<const model::TableDefinition>(unwrap(model::decode_table(record))));
  }
}
BENCHMARK(lookup_built_from_bytes);

// From the text of a statement that was seen before to what runs it.
void dispatch_cached(benchmark::State& state) {
  query::PreparedCache cache;
  const std::string sql = "SELECT id, author, body FROM app.table_1 WHERE id = $1";
  for (auto _ : state) benchmark::DoNotOptimize(unwrap(cache.single(sql)));
}
BENCHMARK(dispatch_cached);

// From the text of one of our own statements to what runs it.
void dispatch_command(benchmark::State& state) {
  const std::string sql = "FLUSH ALL TABLES IN app";
  for (auto _ : state) {
    query::TokenReader reader(sql, unwrap(duck::tokenize(sql)));
    benchmark::DoNotOptimize(unwrap(query::parse_command(reader)));
  }
}
BENCHMARK(dispatch_command);

// As many parameters as a statement may have.
void validate_parameters(benchmark::State& state) {
  std::vector<model::Value> parameters;
  for (int64_t i = 0; i < 50; ++i) {
    parameters.push_back(i % 2 == 0 ? model::Value(i) : model::Value(std::string(100, 'x')));
  }
  for (auto _ : state) benchmark::DoNotOptimize(protocol::check_params(parameters, 50, 512 << 10));
}
BENCHMARK(validate_parameters);

// A parameter to what its column stores: one of the types that come as text, by turns.
void convert_value(benchmark::State& state) {
  const std::vector<std::pair<model::Value, model::DataType>> inputs = {
      {int64_t{42}, {model::TypeTag::kInt}},
      {std::string("2024-01-02T03:04:05.678+02:00"), {model::TypeTag::kDateTime}},
      {std::string("550e8400-e29b-41d4-a716-446655440000"), {model::TypeTag::kUuid}},
      {std::string("12345.67"), {.tag = model::TypeTag::kDecimal, .precision = 18, .scale = 2}},
      {std::string("{\"a\": [1, 2, 3], \"b\": \"text\"}"), {model::TypeTag::kJson}},
      {std::string("3.14159"), {model::TypeTag::kDouble}},
      {std::string("\\xDEADBEEF"), {model::TypeTag::kBytes}},
      {std::string("[0.1,0.2,0.3,0.4,0.5,0.6,0.7,0.8]"), {.tag = model::TypeTag::kEmbedding, .dimension = 8}},
  };
  size_t next = 0;
  for (auto _ : state) {
    const auto& [value, type] = inputs[next];
    benchmark::DoNotOptimize(unwrap(model::coerce(model::view(value), type)));
    next = (next + 1) % inputs.size();
  }
}
BENCHMARK(convert_value);

// Where the segments of one user in a table lie.
void path_cached(benchmark::State& state) {
  const auto table = unwrap(Database::get().catalog().find_table("default", table_name(0)));
  storage::SegmentFiles files(Database::get().storages());
  const auto scope = storage::segment_scope(*table, UserId("ann"));
  for (auto _ : state) benchmark::DoNotOptimize(unwrap(files.locate(*table, scope)));
}
BENCHMARK(path_cached);

void path_missed(benchmark::State& state) {
  const auto table = unwrap(Database::get().catalog().find_table("default", table_name(0)));
  const auto scope = storage::segment_scope(*table, UserId("ann"));
  for (auto _ : state) {
    storage::SegmentFiles files(Database::get().storages());
    benchmark::DoNotOptimize(unwrap(files.locate(*table, scope)));
  }
}
BENCHMARK(path_missed);

}  // namespace

int main(int argc, char** argv) {
  spdlog::set_level(spdlog::level::err);  // standard output is the result's
  benchmark::Initialize(&argc, argv);
  benchmark::RunSpecifiedBenchmarks();
}
