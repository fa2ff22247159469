#include "jobs/job.h"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

namespace kalamdb::jobs {

namespace {

struct TypeFacts {
  std::string_view name;
  std::string_view prefix;
  Queue queue;
};
constexpr std::array<TypeFacts, 14> kTypes{{{"flush", "FL", Queue::kFlush},
                                            {"cleanup", "CL", Queue::kMaintenance},
                                            {"compact", "CO", Queue::kMaintenance},
                                            {"vacuum", "VA", Queue::kMaintenance},
                                            {"analyze", "AN", Queue::kMaintenance},
                                            {"backup", "BK", Queue::kMaintenance},
                                            {"restore", "RS", Queue::kMaintenance},
                                            {"retention", "RT", Queue::kHousekeeping},
                                            {"stream_eviction", "SE", Queue::kHousekeeping},
                                            {"user_cleanup", "UC", Queue::kMaintenance},
                                            {"job_cleanup", "JC", Queue::kHousekeeping},
                                            {"manifest_eviction", "ME", Queue::kHousekeeping},
                                            {"user_export", "UE", Queue::kMaintenance},
                                            {"register", "RG", Queue::kMaintenance}}};

struct StatusFacts {
  std::string_view name;
  std::string_view title;
};
constexpr std::array<StatusFacts, kJobStatuses> kStatuses{{{"new", "New"},
                                                           {"queued", "Queued"},
                                                           {"running", "Running"},
                                                           {"retrying", "Retrying"},
                                                           {"completed", "Completed"},
                                                           {"skipped", "Skipped"},
                                                           {"failed", "Failed"},
                                                           {"cancelled", "Cancelled"}}};
constexpr std::array<std::string_view, kQueues> kQueueNames{"housekeeping", "flush", "maintenance"};

constexpr uint8_t to(std::initializer_list<JobStatus> statuses) {
  uint8_t bits = 0;
  for (const JobStatus status : statuses) bits |= 1U << static_cast<unsigned>(status);
  return bits;
}
using enum JobStatus;
// By status: what may follow it.
constexpr std::array<uint8_t, kJobStatuses> kTransitions{
    to({kQueued, kCancelled}),                                   // new
    to({kRunning, kCancelled}),                                  // queued
    to({kRetrying, kCompleted, kSkipped, kFailed, kCancelled}),  // running
    to({kRunning, kCancelled}),                                  // retrying
    0,                                                           // completed
    0,                                                           // skipped
    to({kQueued}),                                               // failed: once more, after a restart
    0,                                                           // cancelled
};

template <typename Facts, size_t kCount>
std::optional<size_t> find(const std::array<Facts, kCount>& all, const std::string& wanted) {
  const auto found = std::ranges::find(all, wanted, &Facts::name);
  if (found == all.end()) return std::nullopt;
  return found - all.begin();
}

// They once were arrays, of pairs or of bare values.
std::string as_object(std::string parameters) {
  const auto json = nlohmann::json::parse(parameters, nullptr, false);
  if (!json.is_array()) return parameters;
  auto object = nlohmann::json::object();
  for (size_t i = 0; i < json.size(); ++i) {
    const auto& element = json[i];
    if (element.is_array() && element.size() == 2 && element[0].is_string()) {
      object[element[0].get<std::string>()] = element[1];
    } else {
      object[std::to_string(i)] = element;
    }
  }
  return object.dump();
}

}  // namespace

std::string_view name(JobType type) { return kTypes[static_cast<size_t>(type)].name; }
std::string_view prefix(JobType type) { return kTypes[static_cast<size_t>(type)].prefix; }
Queue queue(JobType type) { return kTypes[static_cast<size_t>(type)].queue; }
std::string_view name(JobStatus status) { return kStatuses[static_cast<size_t>(status)].name; }
std::string_view title(JobStatus status) { return kStatuses[static_cast<size_t>(status)].title; }
std::string_view name(Queue queue) { return kQueueNames[static_cast<size_t>(queue)]; }

bool is_live(JobStatus status) {
  return status == kNew || status == kQueued || status == kRunning || status == kRetrying;
}

bool may_become(JobStatus from, JobStatus to) {
  return (kTransitions[static_cast<size_t>(from)] >> static_cast<unsigned>(to) & 1U) != 0;
}

Result<Job> with_status(Job job, JobStatus status, int64_t now_us) {
  if (!may_become(job.status, status)) {
    return fail(ErrorCode::kInvalidOperation, "Job " + job.id + " cannot go from " + std::string(name(job.status)) +
                                                  " to " + std::string(name(status)));
  }
  job.status = status;
  job.updated_at_us = now_us;
  job.finished_at_us = is_live(status) ? 0 : now_us;
  if (status == kQueued) job.queued_at_us = now_us;
  if (status == kRunning && job.started_at_us == 0) job.started_at_us = now_us;
  if (status != kRunning) job.cancel_requested = false;
  return job;
}

std::string encode(const Job& job) {
  const nlohmann::json json{{"id", job.id},
                            {"type", name(job.type)},
                            {"status", name(job.status)},
                            {"parameters", job.parameters},
                            {"message", job.message},
                            {"exception_trace", job.exception_trace},
                            {"idempotency_key", job.idempotency_key},
                            {"started_by", job.started_by.value},
                            {"priority", job.priority},
                            {"retry_count", job.retry_count},
                            {"max_retries", job.max_retries},
                            {"restarts", job.restarts},
                            {"position", job.position},
                            {"cancel_requested", job.cancel_requested},
                            {"cpu_us", job.cpu_us},
                            {"node_number", job.node_number},
                            {"created_at_us", job.created_at_us},
                            {"updated_at_us", job.updated_at_us},
                            {"queued_at_us", job.queued_at_us},
                            {"started_at_us", job.started_at_us},
                            {"finished_at_us", job.finished_at_us}};
  // What an exception says need not be UTF-8.
  return json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

Result<Job> decode_job(std::string_view text) {
  try {
    const auto json = nlohmann::json::parse(text);
    Job job;
    job.id = json.at("id");
    const auto type = find(kTypes, json.at("type"));
    const auto status = find(kStatuses, json.at("status"));
    if (!type || !status) {
      return fail(ErrorCode::kCorruption, "The stored job '" + job.id + "' has an unknown type or status.");
    }
    job.type = static_cast<JobType>(*type);
    job.status = static_cast<JobStatus>(*status);
    job.parameters = as_object(json.at("parameters"));
    job.message = json.at("message");
    job.exception_trace = json.value("exception_trace", "");
    job.idempotency_key = json.at("idempotency_key");
    job.started_by = UserId(json.value("started_by", ""));
    job.priority = json.value("priority", 0);
    job.retry_count = json.value("retry_count", 0U);
    job.max_retries = json.value("max_retries", 0U);
    job.restarts = json.value("restarts", 0U);
    job.position = json.value("position", "");
    job.cancel_requested = json.value("cancel_requested", false);
    job.cpu_us = json.value("cpu_us", int64_t{0});
    job.node_number = json.value("node_number", int64_t{0});
    job.created_at_us = json.at("created_at_us");
    job.started_at_us = json.at("started_at_us");
    job.finished_at_us = json.at("finished_at_us");
    job.updated_at_us =
        json.value("updated_at_us", std::max({job.created_at_us, job.started_at_us, job.finished_at_us}));
    job.queued_at_us = json.value("queued_at_us", job.created_at_us);
    return job;
  } catch (const nlohmann::json::exception& error) {
    return fail(ErrorCode::kCorruption, std::string("A stored job cannot be read: ") + error.what());
  }
}

}  // namespace kalamdb::jobs
