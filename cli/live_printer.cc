#include "cli/live_printer.h"

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <simdjson.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstdio>
#include <ctime>
#include <vector>

#include "cli/json.h"
#include "cli/text.h"

namespace kalamdb::cli {

namespace dom = simdjson::dom;

struct LivePrinter::Message {
  dom::parser parser;
  dom::element root;

  std::string_view text(std::string_view name) const { return text_member(root, name); }
};

namespace {

// A sequence number, which may be a number or a decimal string; 0 when it is neither.
int64_t to_seq(simdjson::simdjson_result<dom::element> value) {
  int64_t seq = 0;
  std::string_view text;
  if (value.get(seq) == simdjson::SUCCESS) return seq;
  if (value.get(text) == simdjson::SUCCESS) std::from_chars(text.data(), text.data() + text.size(), seq);
  return seq;
}

std::string printable_json(dom::element value) {
  std::string text;
  append_printable(text, simdjson::minify(value));
  return text;
}

std::string clock_time() {
  const auto now = std::chrono::system_clock::now();
  const auto millis = std::chrono::duration_cast<std::chrono::milliseconds>(now.time_since_epoch()).count() % 1000;
  return fmt::format("{:%H:%M:%S}.{:03}", fmt::localtime(std::chrono::system_clock::to_time_t(now)), millis);
}

}  // namespace

void LivePrinter::print_line(std::string_view text) const {
  if (options_.format == Format::kJson) return;
  fmt::print("[{}] {}\n", clock_time(), text);
}

std::string LivePrinter::subscribe_message() const {
  std::string message = R"({"type":"subscribe","subscription":{"id":)";
  append_json_string(message, id_);
  message += ",\"sql\":";
  append_json_string(message, subscription_.sql);
  message += ",\"options\":";
  if (resume_seq_ == 0) {
    message += subscription_.options;
  } else {
    // last_rows was about the first snapshot; batch_size still holds.
    dom::parser parser;
    int64_t batch_size = 0;
    message += fmt::format("{{\"from\":{}", resume_seq_);
    if (parser.parse(subscription_.options)["batch_size"].get(batch_size) == simdjson::SUCCESS) {
      message += fmt::format(",\"batch_size\":{}", batch_size);
    }
    message += '}';
  }
  return message + "}}";
}

std::string LivePrinter::next_batch_message() const {
  std::string message = R"({"type":"next_batch","subscription_id":)";
  append_json_string(message, id_);
  return message + fmt::format(",\"last_seq_id\":{}}}", batch_cursor_);
}

LiveAction LivePrinter::handle(std::string_view json) {
  Message message;
  if (message.parser.parse(json.data(), json.size()).get(message.root) != simdjson::SUCCESS) {
    fmt::print(stderr, "ERROR [{}] PROTOCOL: the server sent something that is not JSON\n", id_);
    return LiveAction::kFailed;
  }
  const std::string_view type = message.text("type");
  if (options_.format == Format::kJson && type != "auth_success") {
    fmt::print("{}\n", json);
  }
  LiveAction action = LiveAction::kNone;
  if (type == "auth_success") {
    action = LiveAction::kSubscribe;
  } else if (type == "auth_error") {
    std::string text;
    append_printable(text, message.text("message"));
    fmt::print(stderr, "ERROR [{}] AUTH: {}\n", id_, text);
    action = LiveAction::kFailed;
  } else if (type == "error") {
    action = handle_error(message);
  } else if (message.text("subscription_id") != id_) {
    return LiveAction::kNone;
  } else if (type == "subscription_ack" || type == "initial_data_batch") {
    action = handle_batch(message);
  } else if (type == "change") {
    action = handle_change(message);
  }
  std::fflush(stdout);
  return action;
}

LiveAction LivePrinter::handle_batch(const Message& message) {
  dom::element control;
  if (message.root["batch_control"].get(control) != simdjson::SUCCESS) return LiveAction::kNone;
  const bool has_more = bool_member(control, "has_more");
  const int64_t number = int_member(control, "batch_num");
  const std::string_view status = text_member(control, "status");
  if (message.text("type") == "subscription_ack") {
    print_line(fmt::format("✓ SUBSCRIBED [{}] {} total rows, batch {} ({}), {} columns", id_,
                           int_member(message.root, "total_rows"), number + 1, status,
                           array_member(message.root, "schema").size()));
    return status == "ready" ? LiveAction::kReady : LiveAction::kNone;
  }
  const std::vector<dom::element> rows = array_member(message.root, "rows");
  print_line(
      fmt::format("BATCH {} [{}] {} rows ({})", number + 1, id_, rows.size(), has_more ? "more pending" : "complete"));
  for (dom::element row : rows) {
    const int64_t seq = to_seq(row["_seq"]);
    if (seq != 0 && seq <= resume_seq_) continue;
    last_seq_ = std::max(last_seq_, seq);
    if (options_.format != Format::kJson) fmt::print("  {}\n", printable_json(row));
  }
  batch_cursor_ = to_seq(control["last_seq_id"]);
  last_seq_ = std::max(last_seq_, batch_cursor_);
  return has_more ? LiveAction::kNextBatch : LiveAction::kReady;
}

LiveAction LivePrinter::handle_change(const Message& message) {
  const std::string_view kind = message.text("change_type");
  const std::vector<dom::element> rows = array_member(message.root, "rows");
  const std::vector<dom::element> old_rows = array_member(message.root, "old_values");
  const bool is_delete = kind == "delete";
  const std::vector<dom::element>& shown = is_delete ? old_rows : rows;
  for (size_t i = 0; i < shown.size(); ++i) {
    const dom::element row = shown[i];
    const int64_t seq = to_seq(row["_seq"]);
    // A deleted STREAM row carries the number it was inserted with, so deletes are never taken for repetitions.
    if (!is_delete && seq != 0 && seq <= resume_seq_) continue;
    last_seq_ = std::max(last_seq_, seq);
    ++changes_;
    if (is_delete) {
      print_line(fmt::format("DELETE [{}] {}", id_, printable_json(row)));
    } else if (kind == "update") {
      const std::string old = i < old_rows.size() ? printable_json(old_rows[i]) : "{}";
      print_line(fmt::format("UPDATE [{}] {} => {}", id_, old, printable_json(row)));
    } else {
      print_line(fmt::format("INSERT [{}] {}", id_, printable_json(row)));
    }
  }
  return options_.max_changes > 0 && changes_ >= options_.max_changes ? LiveAction::kDone : LiveAction::kNone;
}

LiveAction LivePrinter::handle_error(const Message& message) {
  const std::string_view code = message.text("code");
  std::string line = fmt::format("ERROR [{}] {}: ", message.text("subscription_id"), code);
  append_printable(line, message.text("message"));
  fmt::print(stderr, "{}\n", line);
  // After LAGGED the server replays by itself; a message too many costs nothing but the message.
  if (code == "LAGGED" || code == "RATE_LIMIT_EXCEEDED") return LiveAction::kNone;
  if (code == "CURSOR_TOO_OLD") return LiveAction::kRestart;
  return LiveAction::kFailed;
}

}  // namespace kalamdb::cli
