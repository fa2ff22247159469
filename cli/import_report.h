// What became of the rows of an import: counts, refused rows, progress.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <cstdio>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>

#include "base/result.h"

namespace kalamdb::cli {

// Thread-safe.
class ImportReport {
 public:
  ImportReport() = default;
  ~ImportReport();
  ImportReport(const ImportReport&) = delete;
  ImportReport& operator=(const ImportReport&) = delete;

  // Opens the file for refused rows: one JSON object a line, with line, column, reason and row (the text as read).
  Result<> open_rejects(const std::string& path);
  bool keeps_rejects() const { return rejects_ != nullptr; }

  // Shows progress on standard error until stop_progress(), where that is a terminal. `bytes_total` 0 = unknown.
  void start_progress(uint64_t bytes_total);
  void stop_progress();
  void set_bytes_read(uint64_t bytes) { bytes_read_.store(bytes, std::memory_order_relaxed); }

  void add_read() { read_.fetch_add(1, std::memory_order_relaxed); }
  void add_sent(uint64_t sent, uint64_t inserted);
  // The first kShown are printed. `column` may be empty.
  void add_refused(uint64_t line, std::string_view column, std::string_view reason, std::string_view raw);

  uint64_t refused() const { return refused_.load(std::memory_order_relaxed); }
  // The last line: rows read, inserted, skipped, refused, seconds, rows a second.
  void print_summary() const;

 private:
  static constexpr uint64_t kShown = 20;

  double seconds() const;
  void draw_progress(uint64_t bytes_total) const;

  const std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
  std::atomic<uint64_t> read_{0};
  std::atomic<uint64_t> inserted_{0};
  std::atomic<uint64_t> skipped_{0};
  std::atomic<uint64_t> refused_{0};
  std::atomic<uint64_t> bytes_read_{0};
  std::mutex mutex_;  // for the two outputs
  std::FILE* rejects_ = nullptr;
  std::condition_variable_any wake_;
  std::jthread progress_;
};

}  // namespace kalamdb::cli
