// Who does the jobs of a type, and what comes of an attempt.
#pragma once

#include <cstdint>
#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <stop_token>
#include <string>

#include "jobs/job.h"

namespace kalamdb::jobs {

struct Decision {
  enum class Kind : uint8_t { kCompleted, kSkipped, kMore, kRetry, kFailed, kCancelled };

  Kind kind = Kind::kCompleted;
  std::string message;              // JSON, or of an error plain text
  std::string position;             // kMore
  std::optional<int64_t> delay_ms;  // kRetry without one: as is configured

  static Decision completed(std::string json) { return {Kind::kCompleted, std::move(json), "", std::nullopt}; }
  // There was nothing to do.
  static Decision skipped(std::string json) { return {Kind::kSkipped, std::move(json), "", std::nullopt}; }
  // A batch is done and there is more: it goes on from `position` when it is its turn again, which is no retry. `json`
  // tells how far it has come.
  static Decision more(std::string position, std::string json) {
    return {Kind::kMore, std::move(json), std::move(position), 0};
  }
  static Decision retry(std::string reason, std::optional<int64_t> delay_ms = std::nullopt) {
    return {Kind::kRetry, std::move(reason), "", delay_ms};
  }
  static Decision failed(std::string reason) { return {Kind::kFailed, std::move(reason), "", std::nullopt}; }
  static Decision cancelled(std::string reason) { return {Kind::kCancelled, std::move(reason), "", std::nullopt}; }
};

struct Executor {
  // Does a job's work, or a batch of it from Job::position on. An error that may pass (a disk or a service that can't
  // be reached, a conflict) is a retry, any other a failure, as is an exception. It is to return soon once `stop` is
  // requested, with whatever: the job has then been killed, or goes on at the next start. Called on several threads.
  std::function<Result<Decision>(const Job& job, const std::stop_token& stop)> run;
  // Whether a job with such parameters can be accepted. Errors: kInvalidInput. May be empty.
  std::function<Result<>(const nlohmann::json& parameters)> validate;
  // Whether it may run again when the server has stopped in the middle of it.
  bool repeatable = true;
};

}  // namespace kalamdb::jobs
