#include "protocol/sql_response.h"

#include <algorithm>
#include <utility>

namespace kalamdb::protocol {
namespace {

constexpr std::string_view kSuccessStart = R"({"status":"success","results":[)";
// A streamed response tells its status at the end, when it is known.
constexpr std::string_view kStreamStart = R"({"results":[)";
constexpr std::string_view kErrorStart = R"({"status":"error","results":[)";

void append_error(std::string& out, std::string_view code, std::string_view message,
                  std::optional<std::string_view> details) {
  out.append(",\"error\":{\"code\":");
  append_json_string(out, code);
  out.append(",\"message\":");
  append_json_string(out, message);
  if (details) {
    out.append(",\"details\":");
    append_json_string(out, *details);
  }
  out.push_back('}');
}

void append_took(std::string& out, int64_t took_us) {
  out.append("],\"took\":");
  append_milliseconds(out, took_us);
}

}  // namespace

SqlResponseWriter::SqlResponseWriter() : out_(kSuccessStart), complete_size_(kSuccessStart.size()) {}

void SqlResponseWriter::begin_result_object() {
  if (result_count_++ > 0) out_.push_back(',');
  rows_in_result_ = 0;
}

void SqlResponseWriter::begin_result(std::span<const Field> fields) {
  begin_result_object();
  in_result_ = true;
  fields_.assign(fields.begin(), fields.end());
  not_finite_.assign(fields.size(), false);
  out_.push_back('{');
  if (!fields.empty()) {
    out_.append("\"schema\":");
    append_schema(out_, fields);
    out_.push_back(',');
  }
  out_.append("\"rows\":[");
}

void SqlResponseWriter::end_result(std::string_view as_user, std::optional<uint64_t> row_count) {
  out_.append("],\"row_count\":");
  append_integer(out_, row_count.value_or(rows_in_result_));
  out_.append(",\"as_user\":");
  append_json_string(out_, as_user);
  if (std::ranges::find(not_finite_, true) != not_finite_.end()) {
    char before = '[';
    out_.append(",\"warnings\":");
    for (size_t column = 0; column < fields_.size(); ++column) {
      if (!not_finite_[column]) continue;
      out_.push_back(before);
      append_json_string(out_, "Column '" + std::string(fields_[column].name) +
                                   "' holds NaN or infinite values, which JSON cannot show; they are null here");
      before = ',';
    }
    out_.push_back(']');
  }
  out_.push_back('}');
  in_result_ = false;
  complete_size_ = out_.size();
}

void SqlResponseWriter::add_message_result(uint64_t row_count, std::string_view message, std::string_view as_user) {
  begin_result_object();
  out_.append("{\"row_count\":");
  append_integer(out_, row_count);
  out_.append(",\"message\":");
  append_json_string(out_, message);
  out_.append(",\"as_user\":");
  append_json_string(out_, as_user);
  out_.push_back('}');
  complete_size_ = out_.size();
}

void SqlResponseWriter::finish(int64_t took_us) {
  append_took(out_, took_us);
  out_.append(streamed_ ? R"(,"status":"success","error":null})" : "}");
}

void SqlResponseWriter::finish_error(const WireError& error, int64_t took_us, std::optional<std::string_view> details) {
  if (streamed_) {
    if (in_result_) end_result({});
    append_took(out_, took_us);
    out_.append(R"(,"status":"error")");
  } else {
    out_.resize(complete_size_);
    out_.replace(0, kSuccessStart.size(), kErrorStart);
    append_took(out_, took_us);
  }
  append_error(out_, error.code, error.message, details);
  out_.push_back('}');
}

std::string SqlResponseWriter::take_part() {
  if (!streamed_) out_.replace(0, kSuccessStart.size(), kStreamStart);
  streamed_ = true;
  return std::exchange(out_, {});
}

std::string sql_error_body(std::string_view code, std::string_view message, int64_t took_us) {
  std::string out(kErrorStart);
  append_took(out, took_us);
  append_error(out, code, message, std::nullopt);
  out.push_back('}');
  return out;
}

}  // namespace kalamdb::protocol
