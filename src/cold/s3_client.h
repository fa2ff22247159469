// Signed requests to one bucket of an S3 service, tried again as long as that may help.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "cold/endpoint.h"
#include "cold/http_client.h"
#include "cold/s3_xml.h"
#include "cold/sigv4.h"
#include "platform/clock.h"
#include "platform/random.h"

namespace kalamdb::cold {

struct S3Options {
  std::string bucket;
  std::string prefix;  // before each object's name, without slashes around it; "" for none
  std::string region = "us-east-1";
  std::string endpoint;  // a URL; "" for AWS
  // Whether the bucket stands in the path rather than in the host name. If not set: with an endpoint, or when the
  // bucket's name has a dot, which certificates do not cover.
  std::optional<bool> path_style;
  S3Credentials credentials;
  HttpOptions http;

  // Trying again, what may pass: after a random wait of up to `backoff_ms`, doubled each time up to `max_backoff_ms`.
  int max_attempts = 5;
  int64_t backoff_ms = 100;
  int64_t max_backoff_ms = 5'000;
  // For a request with all its attempts.
  int64_t request_timeout_ms = 60'000;

  // A file that is larger goes up in parts, each of that size or more. S3 takes parts of 5 MiB and more.
  uint64_t part_bytes = 16 << 20;
};

struct S3Request {
  std::string method;
  std::string key = {};  // "" for the bucket itself
  NamesAndValues query = {};
  NamesAndValues headers = {};  // names in lower case
  std::string_view body = {};
  uint64_t max_answer_bytes = 1 << 20;
};

struct S3Answer {
  HttpAnswer http;
  std::optional<S3Error> error;  // of an answer that is no success

  // Also false for one that begins as a success and tells an error in its body.
  bool ok() const { return http.status / 100 == 2 && !error; }
  bool has(std::string_view code) const { return error && error->code == code; }
};

// Thread-safe.
class S3Client {
 public:
  // Errors: kInvalidInput with the option that can't be. `clock` and `random` must outlive it.
  static Result<std::unique_ptr<S3Client>> create(S3Options options, platform::Clock& clock, platform::Random& random);

  // The service's last word: a success, or a refusal that trying again does not change. Errors: kUnavailable when
  // there is none after all attempts; `action` ("read", "write") says what could not be done.
  Result<S3Answer> send(const S3Request& request, std::string_view action);

  // The error that such a refusal is: kUnavailable where it is the bucket or the credentials that are to be mended, or
  // the service; else kIo.
  std::unexpected<Error> refused(const S3Request& request, std::string_view action, const S3Answer& answer) const;

  const S3Options& options() const { return options_; }

 private:
  S3Client(S3Options options, Endpoint endpoint, platform::Clock& clock, platform::Random& random);

  std::expected<HttpAnswer, HttpFailure> send_once(const S3Request& request, int64_t timeout_ms);
  // "Cannot read s3://bucket/key".
  std::string cannot(std::string_view action, const std::string& key) const;
  // What the service says, without what is secret even if it repeats it.
  std::string told(const S3Answer& answer) const;
  // Waits before the attempt after number `attempt`.
  void back_off(int attempt, int64_t longest_ms);

  const S3Options options_;
  const Endpoint endpoint_;  // its path ends in the bucket if that stands there
  platform::Clock& clock_;
  platform::Random& random_;
  HttpClient http_;
};

}  // namespace kalamdb::cold
