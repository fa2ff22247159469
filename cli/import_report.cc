#include "cli/import_report.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "cli/text.h"

namespace kalamdb::cli {

namespace {

// 1234567 as 1,234,567.
std::string grouped(uint64_t number) {
  std::string text = std::to_string(number);
  for (size_t at = text.size(); at > 3; at -= 3) text.insert(at - 3, 1, ',');
  return text;
}

}  // namespace

ImportReport::~ImportReport() {
  stop_progress();
  if (rejects_ != nullptr) std::fclose(rejects_);
}

Result<> ImportReport::open_rejects(const std::string& path) {
  rejects_ = std::fopen(path.c_str(), "w");
  if (rejects_ != nullptr) return {};
  return fail(ErrorCode::kIo, fmt::format("cannot write {}: {}", path, std::strerror(errno)));
}

void ImportReport::start_progress(uint64_t bytes_total) {
  if (isatty(STDERR_FILENO) != 1) return;
  progress_ = std::jthread([this, bytes_total](std::stop_token stop) {
    std::unique_lock lock(mutex_);
    while (!stop.stop_requested()) {
      draw_progress(bytes_total);
      wake_.wait_for(lock, stop, std::chrono::milliseconds(200), [] { return false; });
    }
    fmt::print(stderr, "\r\x1b[K");
  });
}

void ImportReport::stop_progress() {
  if (!progress_.joinable()) return;
  progress_.request_stop();
  progress_.join();
}

double ImportReport::seconds() const {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
}

void ImportReport::draw_progress(uint64_t bytes_total) const {
  constexpr size_t kWidth = 30;
  const uint64_t done = inserted_ + skipped_ + refused_;
  const double rate = static_cast<double>(done) / std::max(seconds(), 1e-3);
  std::string line;
  if (bytes_total > 0) {
    // What waits to be sent counts as not done, or the bar would stand at its end for long.
    const uint64_t read = std::max<uint64_t>(read_, 1);
    const double part = std::min(1.0, static_cast<double>(bytes_read_) / static_cast<double>(bytes_total) *
                                          static_cast<double>(done) / static_cast<double>(read));
    const auto filled = static_cast<size_t>(part * kWidth);
    line = fmt::format("[{}{}] {:3.0f}%  ", std::string(filled, '='), std::string(kWidth - filled, ' '), part * 100);
    if (part > 0.01 && part < 1) {
      line += fmt::format("{:.0f} s left  ", seconds() * (1 - part) / part);
    }
  }
  fmt::print(stderr, "\r\x1b[K{}{} rows  {} rows/s", line, grouped(done), grouped(static_cast<uint64_t>(rate)));
  std::fflush(stderr);
}

void ImportReport::add_sent(uint64_t sent, uint64_t inserted) {
  inserted_.fetch_add(inserted, std::memory_order_relaxed);
  skipped_.fetch_add(sent - std::min(sent, inserted), std::memory_order_relaxed);
}

void ImportReport::add_refused(uint64_t line, std::string_view column, std::string_view reason, std::string_view raw) {
  const uint64_t before = refused_.fetch_add(1);
  std::lock_guard lock(mutex_);
  if (before < kShown) {
    std::string text = fmt::format("line {}", line);
    if (!column.empty()) {
      text += ", column ";
      append_printable(text, column);
    }
    text += ": ";
    append_printable(text, reason);
    fmt::print(stderr, "{}{}\n", progress_.joinable() ? "\r\x1b[K" : "", text);
  } else if (before == kShown) {
    fmt::print(stderr, "{}… further refused rows are {}\n", progress_.joinable() ? "\r\x1b[K" : "",
               keeps_rejects() ? "in the file of rejects only" : "only counted (--rejects FILE keeps them all)");
  }
  if (rejects_ == nullptr) return;
  std::string json = fmt::format("{{\"line\":{},\"column\":", line);
  if (column.empty()) {
    json += "null";
  } else {
    append_json_string(json, column);
  }
  json += ",\"reason\":";
  append_json_string(json, reason);
  json += ",\"row\":";
  append_json_string(json, raw);
  fmt::print(rejects_, "{}}}\n", json);
}

void ImportReport::print_summary() const {
  const double elapsed = seconds();
  fmt::print("{} rows read: {} inserted, {} skipped (already there), {} refused, in {:.2f} s ({} rows/s)\n",
             grouped(read_), grouped(inserted_), grouped(skipped_), grouped(refused_), elapsed,
             grouped(static_cast<uint64_t>(static_cast<double>(read_) / std::max(elapsed, 1e-3))));
}

}  // namespace kalamdb::cli
