// The body of an answer of POST /v1/api/sql, written in one pass: whole, or in parts while rows are still computed.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "protocol/cells.h"
#include "protocol/error_codes.h"

namespace kalamdb::protocol {

// Calls come in this order: for each statement either add_message_result(), or begin_result(), add_rows() as often as
// needed and end_result(); last finish() or finish_error(). Not thread-safe.
//
//   SqlResponseWriter writer;
//   writer.begin_result(fields);
//   writer.add_rows(batch.row_count(), [&](size_t row, size_t column) { return batch.cell(row, column); });
//   writer.end_result("alice");
//   writer.finish(took_us);
//   exchange->respond({.body = writer.take()});
class SqlResponseWriter {
 public:
  SqlResponseWriter();

  // Starts a row set. `fields` are copied but for what their names point to, which must live until end_result().
  void begin_result(std::span<const Field> fields);

  // `cell(row, column)` gives a model::ValueView of that field's type.
  template <typename Cell>
  void add_rows(size_t row_count, const Cell& cell) {
    for (size_t row = 0; row < row_count; ++row) {
      out_.append(rows_in_result_ == 0 ? "[" : ",[");
      for (size_t column = 0; column < fields_.size(); ++column) {
        if (column > 0) out_.push_back(',');
        const model::ValueView value = cell(row, column);
        if (fields_[column].inline_json && !model::is_null(value)) [[unlikely]] {
          out_.append(std::get<std::string_view>(value));
        } else if (!append_cell(out_, value, fields_[column].type)) [[unlikely]] {
          not_finite_[column] = true;
        }
      }
      out_.push_back(']');
      ++rows_in_result_;
    }
  }

  // Ends it. `as_user` is the effective user; `row_count` is the number of rows written unless given (RETURNING).
  void end_result(std::string_view as_user, std::optional<uint64_t> row_count = std::nullopt);

  // The result of a statement that returns no rows.
  void add_message_result(uint64_t row_count, std::string_view message, std::string_view as_user);

  // Ends a response of status "success". One that was handed out in parts has its status, and "error":null, at the end.
  void finish(int64_t took_us);

  // Turns the response into one of status "error" that keeps the results that are complete; a row set that was begun is
  // dropped, or ended where it is when a part of it has been handed out. `details`, the offending SQL, is for
  // administrators only.
  void finish_error(const WireError& error, int64_t took_us, std::optional<std::string_view> details = std::nullopt);

  // Rows of the result that is being written.
  uint64_t rows_in_result() const { return rows_in_result_; }
  // Bytes written since the last take_part().
  size_t size() const { return out_.size(); }
  // Hands over what is written so far, to be sent before what comes later.
  std::string take_part();
  // Hands over the finished response, or its last part.
  std::string take() { return std::move(out_); }

 private:
  void begin_result_object();

  std::string out_;
  std::vector<Field> fields_;
  std::vector<bool> not_finite_;  // columns that hold a NaN or an infinity, for the warnings
  uint64_t rows_in_result_ = 0;
  size_t result_count_ = 0;
  size_t complete_size_ = 0;  // where the last complete result ends
  bool in_result_ = false;
  bool streamed_ = false;  // a part was handed out
};

// A response that is nothing but an error.
std::string sql_error_body(std::string_view code, std::string_view message, int64_t took_us);

}  // namespace kalamdb::protocol
