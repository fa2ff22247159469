#include "jobs/job_log.h"

#include <spdlog/sinks/rotating_file_sink.h>
#include <spdlog/spdlog.h>

#include <algorithm>

#include "platform/utc_text.h"

namespace kalamdb::jobs {

namespace {

constexpr size_t kFileBytes = 16 << 20;
constexpr size_t kFiles = 5;

std::string utc(int64_t time_us) {
  return fmt::format("{}.{:03}Z", platform::utc_text(time_us, "%Y-%m-%dT%H:%M:%S"), time_us / 1000 % 1000);
}

}  // namespace

JobLog::JobLog(const std::string& path) {
  if (path.empty()) return;
  logger_ = std::make_shared<spdlog::logger>(
      "jobs", std::make_shared<spdlog::sinks::rotating_file_sink_mt>(path, kFileBytes, kFiles));
  logger_->set_pattern("%v");
  logger_->flush_on(spdlog::level::info);
}

void JobLog::write(const Job& job, std::string_view event, int64_t now_us) {
  if (logger_ == nullptr) return;
  std::string line = fmt::format("[{}] {} {}", job.id, utc(now_us), event);
  // One event, one line, whatever an error says.
  std::ranges::replace_if(
      line, [](char c) { return static_cast<unsigned char>(c) < ' '; }, ' ');
  logger_->info("{}", line);
}

}  // namespace kalamdb::jobs
