// The embedded DuckDB, locked down. For the other files of this folder only.
#pragma once

#include <duckdb.hpp>

#include "duck/deadline.h"
#include "duck/engine.h"
#include "duck/segment_file_system.h"

namespace kalamdb::duck {

// Shared by the engine and by results that outlive a call of it.
struct Instance {
  // Opens it in memory, registers what is KalamDB's own, then closes the doors: no file but segments and its own
  // temporary ones, no extension, no setting can be reached any more. Errors: see Engine::create().
  static Result<std::shared_ptr<Instance>> open(const EngineOptions& options);

  duckdb::unique_ptr<duckdb::DuckDB> database;
  SegmentFileSystem* segments = nullptr;  // the database's
  DeadlineTimer timer;
};

}  // namespace kalamdb::duck
