// The embedded DuckDB, locked down. For the other files of this folder only.
#pragma once

#include <duckdb.hpp>
#include <memory>
#include <mutex>

#include "duck/deadline.h"
#include "duck/engine.h"
#include "duck/segment_file_system.h"

namespace kalamdb::duck {

// Shared by the engine and by results that outlive a call of it.
struct Instance {
  // Opens it in memory, registers what is KalamDB's own, then closes the doors: no file but segments and its own
  // temporary ones, no extension, no setting can be reached any more. Errors: see Engine::create().
  static Result<std::shared_ptr<Instance>> open(
      const EngineOptions& options, std::shared_ptr<SegmentAccess> access = std::make_shared<SegmentAccess>());
  ~Instance();

  duckdb::unique_ptr<duckdb::DuckDB> database;
  SegmentFileSystem* segments = nullptr;  // the database's
  DeadlineTimer timer;
  std::string temp_directory;
};

// The instance for the next query. DuckDB keeps the footers of all files that it has ever read: when they have become
// too many, those who ask get another instance, and the old one ends with its last query. Thread-safe.
class RenewedInstance {
 public:
  // Errors: those of Instance::open().
  static Result<std::unique_ptr<RenewedInstance>> open(EngineOptions options, std::shared_ptr<SegmentAccess> access);

  std::shared_ptr<Instance> get();

 private:
  RenewedInstance(EngineOptions options, std::shared_ptr<SegmentAccess> access)
      : options_(std::move(options)), access_(std::move(access)) {}
  // By one at a time.
  Result<std::shared_ptr<Instance>> open_next();

  const EngineOptions options_;
  const std::shared_ptr<SegmentAccess> access_;
  std::mutex mutex_;
  std::shared_ptr<Instance> current_;
  bool is_renewing_ = false;
  uint64_t opened_ = 0;  // instances
};

}  // namespace kalamdb::duck
