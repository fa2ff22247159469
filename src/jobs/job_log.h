// jobs.log: a line for everything that happens to a job, "[FL-0123456789ab] 2026-01-31T12:00:00.000Z started".
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "jobs/job.h"

namespace spdlog {
class logger;
}

namespace kalamdb::jobs {

// Thread-safe.
class JobLog {
 public:
  // Appends to `path`, which is renamed when it has 16 MiB, and five old ones are kept; empty: writes nothing. Throws
  // spdlog::spdlog_ex when it can't be written.
  explicit JobLog(const std::string& path);

  void write(const Job& job, std::string_view event, int64_t now_us);

 private:
  std::shared_ptr<spdlog::logger> logger_;
};

}  // namespace kalamdb::jobs
