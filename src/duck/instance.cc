#include "duck/instance.h"

#include <unistd.h>

#include <filesystem>

#include "base/log.h"
#include "duck/casts.h"
#include "duck/duck_error.h"
#include "duck/functions.h"
#include "duck/guards.h"
#include "duck/plan_hook.h"
#include "duck/table_scan.h"
#include "duckdb/main/config.hpp"

namespace kalamdb::duck {

namespace {

Result<> make_directory(const std::string& path) {
  std::error_code error;
  std::filesystem::create_directories(path, error);
  if (error) return fail(ErrorCode::kIo, "Cannot make the folder " + path + ": " + error.message());
  return {};
}

void lock_down(duckdb::DBConfig& config, const EngineOptions& options) {
  const auto set = [&](const char* name, duckdb::Value value) { config.SetOptionByName(name, std::move(value)); };
  if (!options.temp_directory.empty()) set("temp_directory", duckdb::Value(options.temp_directory));
  set("autoinstall_known_extensions", duckdb::Value::BOOLEAN(false));
  set("autoload_known_extensions", duckdb::Value::BOOLEAN(false));
  if (options.threads > 0) set("threads", duckdb::Value::BIGINT(options.threads));
  const uint64_t machine_bytes = static_cast<uint64_t>(sysconf(_SC_PHYS_PAGES)) * sysconf(_SC_PAGE_SIZE);
  const uint64_t memory_bytes = options.memory_bytes > 0 ? options.memory_bytes : machine_bytes / 4;
  set("memory_limit", duckdb::Value(std::to_string(memory_bytes) + "B"));
  bound_vector_memory(memory_bytes);
}

}  // namespace

Result<std::shared_ptr<Instance>> Instance::open(const EngineOptions& options, std::shared_ptr<SegmentAccess> access) {
  if (!options.temp_directory.empty()) KALAM_CHECK(make_directory(options.temp_directory));
  return guarded([&]() -> Result<std::shared_ptr<Instance>> {
    duckdb::DBConfig config;
    lock_down(config, options);
    auto instance = std::make_shared<Instance>();
    instance->temp_directory = options.temp_directory;
    instance->database = duckdb::make_uniq<duckdb::DuckDB>(nullptr, &config);
    auto& database = *instance->database->instance;
    auto segments = duckdb::make_uniq<SegmentFileSystem>(std::move(access));
    instance->segments = segments.get();
    database.GetFileSystem().RegisterSubSystem(std::move(segments));
    database.config.AddAllowedDirectory(segment_prefix());
    if (!options.temp_directory.empty()) database.config.AddAllowedDirectory(options.temp_directory);
    register_plan_hook(database.config);
    register_table_scan(database);
    register_functions(database, options.generators);
    register_casts(database.config);
    guard_functions(*instance->database);
    duckdb::Connection setup(*instance->database);
    for (const char* setting : {"SET GLOBAL TimeZone = 'UTC'", "SET GLOBAL parquet_metadata_cache = true",
                                "SET GLOBAL enable_external_access = false", "SET GLOBAL lock_configuration = true"}) {
      if (auto result = setup.Query(setting); result->HasError())
        return fail(ErrorCode::kInternal, "DuckDB refuses \"" + std::string(setting) + "\": " + result->GetError());
    }
    return instance;
  });
}

Instance::~Instance() {
  database.reset();
  std::error_code ignored;
  if (!temp_directory.empty()) std::filesystem::remove(temp_directory, ignored);
}

Result<std::unique_ptr<RenewedInstance>> RenewedInstance::open(EngineOptions options,
                                                               std::shared_ptr<SegmentAccess> access) {
  std::unique_ptr<RenewedInstance> renewed(new RenewedInstance(std::move(options), std::move(access)));
  KALAM_TRY(renewed->current_, renewed->open_next());
  return renewed;
}

std::shared_ptr<Instance> RenewedInstance::get() {
  {
    const std::lock_guard lock(mutex_);
    const bool is_full = current_->segments->metadata_bytes() > options_.segment_metadata_bytes;
    if (!is_full || is_renewing_) return current_;
    is_renewing_ = true;
  }
  // Others go on with the old one meanwhile.
  auto next = open_next();
  if (!next) log::error("DuckDB cannot begin anew: {}", next.error().message);
  const std::lock_guard lock(mutex_);
  is_renewing_ = false;
  if (next) std::swap(current_, *next);
  return current_;
}

Result<std::shared_ptr<Instance>> RenewedInstance::open_next() {
  EngineOptions options = options_;
  // Each has a folder of its own: they would use the same names.
  if (!options.temp_directory.empty()) options.temp_directory += "/" + std::to_string(opened_++);
  return Instance::open(options, access_);
}

}  // namespace kalamdb::duck
