#include "cli/import_sender.h"

#include <fmt/format.h>
#include <simdjson.h>

#include <algorithm>
#include <chrono>

#include "cli/json.h"
#include "cli/output.h"

namespace kalamdb::cli {

namespace dom = simdjson::dom;

namespace {

constexpr int kMaxAttempts = 12;  // pauses of 50 ms doubling to 5 s: about 40 s in all
constexpr std::chrono::milliseconds kFirstPause{50};
constexpr std::chrono::milliseconds kLongestPause{5000};

// Whether a refusal is about the whole import and not about the rows.
bool concerns_all_rows(int status, std::string_view code, std::string_view message) {
  return status == 401 || status == 403 || code == "PERMISSION_DENIED" ||
         message.find("Table not found") != std::string_view::npos ||
         message.find("table is not available") != std::string_view::npos;
}

}  // namespace

std::string_view column_in_message(std::string_view message) {
  for (const char quote : {'\'', '"'}) {
    const std::string mark = std::string("olumn ") + quote;
    const size_t start = message.find(mark);
    if (start == std::string_view::npos) continue;
    message.remove_prefix(start + mark.size());
    return message.substr(0, message.find(quote));
  }
  return {};
}

ImportSender::ImportSender(Session& session, ImportReport& report, size_t connections, bool repeatable)
    : session_(session), report_(report), max_queued_(connections * 2), repeatable_(repeatable) {
  for (size_t i = 0; i < connections; ++i) threads_.emplace_back([this] { work(); });
}

ImportSender::~ImportSender() { (void)finish(); }

void ImportSender::send(Batch batch) {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return queue_.size() < max_queued_ || failure_; });
  if (failure_) return;
  queue_.push_back(std::move(batch));
  changed_.notify_all();
}

bool ImportSender::failed() const {
  std::lock_guard lock(mutex_);
  return failure_.has_value();
}

Result<> ImportSender::finish() {
  {
    std::lock_guard lock(mutex_);
    closed_ = true;
    changed_.notify_all();
  }
  threads_.clear();
  if (failure_) return fail(*failure_);
  return {};
}

void ImportSender::set_failure(Error error) {
  std::lock_guard lock(mutex_);
  if (!failure_) failure_ = std::move(error);
  queue_.clear();
  changed_.notify_all();
}

void ImportSender::work() {
  HttpClient client(session_.client().url(), session_.client().timeouts());
  while (true) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return !queue_.empty() || closed_ || failure_; });
    if (queue_.empty()) return;
    const Batch batch = std::move(queue_.front());
    queue_.pop_front();
    changed_.notify_all();
    lock.unlock();
    send_range(client, batch, 0, batch.size());
  }
}

void ImportSender::send_range(HttpClient& client, const Batch& batch, size_t first, size_t last) {
  if (failed()) return;
  const auto answer = execute(client, batch.sql(first, last));
  if (!answer) return set_failure(answer.error());
  if (!answer->refused) return report_.add_sent(last - first, answer->inserted);
  if (last - first > 1) {
    const size_t middle = first + (last - first) / 2;
    send_range(client, batch, first, middle);
    send_range(client, batch, middle, last);
    return;
  }
  std::string_view reason = answer->message;
  constexpr std::string_view kPrefix = "Statement 1 failed: ";
  if (reason.starts_with(kPrefix)) reason.remove_prefix(kPrefix.size());
  report_.add_refused(batch.line(first), column_in_message(reason), reason, batch.raw(first));
}

Result<ImportSender::Answer> ImportSender::execute(HttpClient& client, std::string_view sql) {
  const std::string body = session_.sql_body(sql);
  auto pause = kFirstPause;
  for (int attempt = 1;; ++attempt) {
    auto response = session_.sql_on(client, body);
    const bool is_busy = response && (response->status == 429 || response->status == 503);
    if (!response) {
      const bool unsent = response.error().code == ErrorCode::kUnavailable;
      if (!unsent && !repeatable_) {
        return fail(response.error().code,
                    response.error().message +
                        "; whether the last rows were written is not known. Run it again with --on-conflict skip.");
      }
    }
    if ((!response || is_busy) && attempt < kMaxAttempts && !failed()) {
      std::this_thread::sleep_for(pause);
      pause = std::min(pause * 2, kLongestPause);
      continue;
    }
    if (!response) return fail(std::move(response).error());
    dom::parser parser;
    dom::element root;
    Answer answer;
    if (parser.parse(response->body).get(root) != simdjson::SUCCESS || is_busy) {
      return fail(ErrorCode::kUnavailable, describe_failure(*response));
    }
    if (response->status == 200 && text_member(root, "status") == "success") {
      const auto results = array_member(root, "results");
      if (!results.empty()) answer.inserted = static_cast<uint64_t>(int_member(results[0], "row_count"));
      return answer;
    }
    answer.refused = true;
    dom::element error;
    if (root["error"].get(error) == simdjson::SUCCESS && error.is_object()) {
      answer.code = text_member(error, "code");
      answer.message = text_member(error, "message");
    } else {
      answer.message = text_member(root, "message");
    }
    if (concerns_all_rows(response->status, answer.code, answer.message)) {
      return fail(ErrorCode::kPermissionDenied, fmt::format("{}: {}", answer.code, answer.message));
    }
    return answer;
  }
}

}  // namespace kalamdb::cli
