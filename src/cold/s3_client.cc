#include "cold/s3_client.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <chrono>
#include <thread>

#include "cold/object_store.h"

namespace kalamdb::cold {
namespace {

bool is_made_of(std::string_view text, std::string_view others) {
  return std::ranges::all_of(text, [&](unsigned char c) { return std::isalnum(c) != 0 || others.contains(c); });
}

std::unexpected<Error> invalid(std::string_view option, std::string_view rule) {
  return fail(ErrorCode::kInvalidInput, "The S3 " + std::string(option) + " " + std::string(rule));
}

Result<> check(const S3Options& options) {
  const std::string& bucket = options.bucket;
  // They become parts of URLs and headers.
  if (bucket.size() < 3 || bucket.size() > 63 || !is_made_of(bucket, ".-_") || bucket.front() == '.' ||
      bucket.contains("..")) {
    return invalid("bucket", "must be a name of 3 to 63 letters, digits, '.', '-' and '_'");
  }
  if (options.region.empty() || options.region.size() > 63 || !is_made_of(options.region, "-_")) {
    return invalid("region", "must be a name such as us-east-1");
  }
  if (!options.prefix.empty()) {
    if (auto valid = check_object_name(options.prefix); !valid) return invalid("prefix", valid.error().message);
  }
  const auto& [access_key, secret_key, token] = options.credentials;
  if (access_key.empty() || secret_key.empty()) return invalid("credentials", "need an access key and a secret key");
  const auto is_graphic = [](unsigned char c) { return c > ' ' && c < '\x7f'; };
  if (!std::ranges::all_of(access_key, is_graphic) || !std::ranges::all_of(token, is_graphic)) {
    return invalid("credentials", "may not have spaces or control characters in the access key or session token");
  }
  return {};
}

Result<Endpoint> resolve(const S3Options& options) {
  const bool is_dotted = options.bucket.contains('.');
  const bool path_style = options.path_style.value_or(!options.endpoint.empty() || is_dotted);
  Endpoint endpoint;
  if (options.endpoint.empty()) {
    endpoint = {"https", "s3." + options.region + ".amazonaws.com", ""};
    if (options.region.starts_with("cn-")) endpoint.host += ".cn";
  } else {
    KALAM_TRY(endpoint, parse_endpoint(options.endpoint));
  }
  if (path_style) {
    endpoint.path += "/" + options.bucket;
  } else {
    endpoint.host = options.bucket + "." + endpoint.host;
  }
  return endpoint;
}

bool may_pass(int status) { return status == 408 || status == 429 || (status >= 500 && status != 501); }

// Refusals of status 400 that say the same as 401 or 301.
constexpr std::array<std::string_view, 4> kCredentialErrors = {"AuthorizationHeaderMalformed", "ExpiredToken",
                                                               "InvalidToken", "TokenRefreshRequired"};

}  // namespace

Result<std::unique_ptr<S3Client>> S3Client::create(S3Options options, platform::Clock& clock,
                                                   platform::Random& random) {
  KALAM_CHECK(check(options));
  KALAM_TRY(auto endpoint, resolve(options));
  return std::unique_ptr<S3Client>(new S3Client(std::move(options), std::move(endpoint), clock, random));
}

S3Client::S3Client(S3Options options, Endpoint endpoint, platform::Clock& clock, platform::Random& random)
    : options_(std::move(options)),
      endpoint_(std::move(endpoint)),
      clock_(clock),
      random_(random),
      http_(options_.http) {}

std::expected<HttpAnswer, HttpFailure> S3Client::send_once(const S3Request& request, int64_t timeout_ms) {
  RequestToSign to_sign{.method = request.method,
                        .path = encoded_path(endpoint_.path + "/" + request.key),
                        .query = request.query,
                        .headers = request.headers,
                        .payload_sha256 = sha256_hex(request.body)};
  to_sign.headers.emplace_back("host", endpoint_.host);
  sign(to_sign, options_.credentials, options_.region, clock_.now_us());
  const std::string query = request.query.empty() ? "" : "?" + encoded_query(request.query);
  return http_.send({.method = request.method,
                     .url = endpoint_.scheme + "://" + endpoint_.host + to_sign.path + query,
                     .headers = std::move(to_sign.headers),
                     .body = request.body,
                     .max_answer_bytes = request.max_answer_bytes,
                     .timeout_ms = timeout_ms});
}

Result<S3Answer> S3Client::send(const S3Request& request, std::string_view action) {
  const int64_t begin_us = clock_.monotonic_us();
  const auto left_ms = [&] { return options_.request_timeout_ms - (clock_.monotonic_us() - begin_us) / 1000; };
  std::string reason;
  for (int attempt = 1;; ++attempt) {
    auto sent = send_once(request, std::max<int64_t>(left_ms(), 1));
    bool again = false;
    if (sent) {
      S3Answer answer{.http = std::move(*sent), .error = std::nullopt};
      // A long operation answers 200 before it knows how it ends.
      if (answer.http.status / 100 != 2 || request.method == "POST") answer.error = parse_s3_error(answer.http.body);
      again = may_pass(answer.http.status) || (answer.http.status == 200 && answer.has("InternalError")) ||
              answer.has("RequestTimeout");
      if (!again) return answer;
      reason = told(answer);
    } else {
      again = sent.error().may_pass;
      reason = std::move(sent).error().reason;
    }
    if (!again || attempt >= options_.max_attempts || left_ms() <= 0) {
      return fail(ErrorCode::kUnavailable,
                  cannot(action, request.key) + ": " + reason +
                      (attempt > 1 ? " (after " + std::to_string(attempt) + " attempts)" : ""));
    }
    back_off(attempt, left_ms());
  }
}

void S3Client::back_off(int attempt, int64_t longest_ms) {
  const int64_t bound_ms = std::min(options_.max_backoff_ms, options_.backoff_ms << std::min(attempt - 1, 20));
  const auto wait_ms = static_cast<int64_t>(platform::random_u64(random_) % (static_cast<uint64_t>(bound_ms) + 1));
  // In short steps, so that a server that stops need not wait.
  constexpr int64_t kStepMs = 100;
  for (int64_t left_ms = std::min(wait_ms, longest_ms); left_ms > 0 && !options_.http.is_stopped();
       left_ms -= kStepMs) {
    std::this_thread::sleep_for(std::chrono::milliseconds(std::min(left_ms, kStepMs)));
  }
}

std::string S3Client::cannot(std::string_view action, const std::string& key) const {
  return "Cannot " + std::string(action) + " s3://" + options_.bucket + "/" + key;
}

std::string S3Client::told(const S3Answer& answer) const {
  std::string text = "HTTP status " + std::to_string(answer.http.status);
  if (answer.error) text = answer.error->code + ": " + answer.error->message;
  if (const auto region = answer.http.headers.find("x-amz-bucket-region");
      answer.http.status == 301 && region != answer.http.headers.end()) {
    text += " (the bucket is in the region " + region->second.substr(0, 63) + ")";
  }
  for (const std::string& secret : {options_.credentials.secret_key, options_.credentials.session_token}) {
    for (size_t at; !secret.empty() && (at = text.find(secret)) != std::string::npos;) {
      text.replace(at, secret.size(), "…");
    }
  }
  return text;
}

std::unexpected<Error> S3Client::refused(const S3Request& request, std::string_view action,
                                         const S3Answer& answer) const {
  const int status = answer.http.status;
  std::string message = cannot(action, request.key) + ": " + told(answer);
  const bool is_about_credentials =
      status == 401 || status == 403 ||
      (answer.error && std::ranges::find(kCredentialErrors, answer.error->code) != kCredentialErrors.end());
  if (is_about_credentials) message += "; check the storage's credentials, region and the server's clock";
  const bool is_to_be_mended = is_about_credentials || status / 100 == 3 || answer.has("NoSuchBucket");
  return fail(is_to_be_mended || status / 100 == 5 ? ErrorCode::kUnavailable : ErrorCode::kIo, std::move(message));
}

}  // namespace kalamdb::cold
