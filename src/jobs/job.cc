#include "jobs/job.h"

#include <array>
#include <nlohmann/json.hpp>

namespace kalamdb::jobs {

namespace {

struct TypeNames {
  std::string_view name;
  std::string_view prefix;
};
constexpr std::array<TypeNames, 7> kTypes{{{"flush", "FL"},
                                           {"cleanup", "CL"},
                                           {"compact", "CO"},
                                           {"vacuum", "VA"},
                                           {"analyze", "AN"},
                                           {"backup", "BK"},
                                           {"restore", "RS"}}};
constexpr std::array<std::string_view, 4> kStatuses{"queued", "running", "completed", "failed"};

}  // namespace

std::string_view name(JobType type) { return kTypes[static_cast<size_t>(type)].name; }
std::string_view prefix(JobType type) { return kTypes[static_cast<size_t>(type)].prefix; }
std::string_view name(JobStatus status) { return kStatuses[static_cast<size_t>(status)]; }

std::string encode(const Job& job) {
  return nlohmann::json{{"id", job.id},
                        {"type", name(job.type)},
                        {"status", name(job.status)},
                        {"parameters", job.parameters},
                        {"message", job.message},
                        {"idempotency_key", job.idempotency_key},
                        {"created_at_us", job.created_at_us},
                        {"started_at_us", job.started_at_us},
                        {"finished_at_us", job.finished_at_us}}
      .dump();
}

Result<Job> decode_job(std::string_view text) {
  try {
    const auto json = nlohmann::json::parse(text);
    Job job;
    job.id = json.at("id");
    const std::string type = json.at("type");
    const std::string status = json.at("status");
    size_t t = 0;
    while (t < kTypes.size() && kTypes[t].name != type) ++t;
    size_t s = 0;
    while (s < kStatuses.size() && kStatuses[s] != status) ++s;
    if (t == kTypes.size() || s == kStatuses.size()) {
      return fail(ErrorCode::kCorruption, "The stored job '" + job.id + "' has an unknown type or status.");
    }
    job.type = static_cast<JobType>(t);
    job.status = static_cast<JobStatus>(s);
    job.parameters = json.at("parameters");
    job.message = json.at("message");
    job.idempotency_key = json.at("idempotency_key");
    job.created_at_us = json.at("created_at_us");
    job.started_at_us = json.at("started_at_us");
    job.finished_at_us = json.at("finished_at_us");
    return job;
  } catch (const nlohmann::json::exception& error) {
    return fail(ErrorCode::kCorruption, std::string("A stored job cannot be read: ") + error.what());
  }
}

}  // namespace kalamdb::jobs
