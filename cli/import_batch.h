// Rows on their way to the table, gathered into INSERT statements.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "cli/import_columns.h"

namespace kalamdb::cli {

// Rows that fill the same columns as the same user. Each row is "(…)" text.
class Batch {
 public:
  Batch(std::string prefix, std::string suffix) : prefix_(std::move(prefix)), suffix_(std::move(suffix)) {}

  // `raw` is the row as in the file; kept only when it is not empty.
  void add(std::string_view row, uint64_t line, std::string_view raw);

  size_t size() const { return lines_.size(); }
  // Of the statement that inserts all rows.
  size_t sql_bytes() const { return prefix_.size() + rows_.size() + suffix_.size(); }
  uint64_t line(size_t row) const { return lines_[row]; }
  std::string_view raw(size_t row) const;
  // The statement that inserts rows [first, last).
  std::string sql(size_t first, size_t last) const;

 private:
  std::string prefix_;
  std::string suffix_;
  std::string rows_;  // joined by commas
  std::string raw_;
  std::vector<uint32_t> ends_;  // of each row in rows_
  std::vector<uint32_t> raw_ends_;
  std::vector<uint64_t> lines_;
};

struct BatchOptions {
  std::string table;
  size_t max_rows = 500;
  bool skip_conflicts = false;
  bool keep_raw = false;
};

// Takes rows cell by cell and hands each full batch on. Rows wait in at most kMaxBuffered bytes.
class BatchBuilder {
 public:
  // The server takes 1 MiB of SQL.
  static constexpr size_t kMaxSqlBytes = (1 << 20) - 1024;
  static constexpr size_t kMaxBuffered = 16 << 20;

  // Borrows `columns`. `full` gets each batch that is complete.
  BatchBuilder(const ImportColumns& columns, BatchOptions options, std::function<void(Batch)> full)
      : columns_(columns), options_(std::move(options)), full_(std::move(full)), cells_(columns.size()) {}

  // One row: start, then the literals in any order, then end.
  void start_row();
  // Where the literal for `column` goes: append to it, then call end_cell(column).
  std::string& cell() { return literals_; }
  void end_cell(size_t column);
  // False when the row is too large for a statement; it is then dropped. `user` empty = as the caller.
  bool end_row(std::string_view user, uint64_t line, std::string_view raw);

  // Hands on what waits.
  void flush();

 private:
  struct Cell {
    size_t start = 0;
    size_t end = 0;  // 0 = not given
  };

  Batch make_batch(std::string_view user) const;

  const ImportColumns& columns_;
  BatchOptions options_;
  std::function<void(Batch)> full_;
  std::string literals_;
  size_t cell_start_ = 0;
  std::vector<Cell> cells_;
  std::string row_;
  std::string key_;
  std::unordered_map<std::string, Batch> open_;
  size_t buffered_ = 0;
};

}  // namespace kalamdb::cli
