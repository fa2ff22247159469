// What one statement carries into DuckDB: the tables that it may read, bound to their scope, and the values that are
// fixed for it. Hangs on the statement's own connection. For the other files of this folder only.
#pragma once

#include <duckdb.hpp>
#include <mutex>
#include <optional>

#include "duck/engine.h"
#include "duckdb/main/client_context_state.hpp"

namespace kalamdb::duck {

// One table that a statement reads, as scan(slot) sees it.
struct ScanTarget {
  model::TablePtr table;
  TableSource source;
  // Instead of `source`: rows given out once (write_segment), borrowed.
  model::RowCursor* cursor = nullptr;
  // Beside `cursor`: where what is given out is noted, one for each of the table's columns; borrowed.
  std::vector<model::ColumnStatsBuilder>* stats = nullptr;
  // Instead of `source`: these segments and no hot rows (find_in_segments).
  std::vector<Segment> segments;
  // Leaves `_seq` and `_deleted` out of `*`; they can still be named.
  bool hide_system_columns = false;
  // Offers the columns kSegmentIdColumn and kPositionColumn.
  bool with_position = false;

  // EXPLAIN: how many segments the WHERE leaves, noted when the plan is made.
  mutable std::optional<size_t> kept_segments;

  const std::vector<Segment>& all_segments() const { return source.scan ? source.scan->segments() : segments; }
  // Whether `column` shows in `*`.
  bool is_visible(const model::ColumnDefinition& column) const;
  uint64_t memory_row_estimate() const;
  uint64_t row_estimate() const;
};

inline constexpr const char* kSegmentIdColumn = "_segment_id";
inline constexpr const char* kPositionColumn = "_position";

class QueryState : public duckdb::ClientContextState {
 public:
  static constexpr const char* kKey = "kalamdb";
  // The state of the connection. Throws when there is none, which is a bug.
  static QueryState& of(duckdb::ClientContext& context);

  explicit QueryState(const QueryContext& context)
      : current_user(context.current_user),
        current_role(context.current_role),
        now_us(context.now_us),
        key_order_max_rows(context.key_order_max_rows) {}

  // Adds a table and returns its slot.
  size_t add(ScanTarget target);
  const std::shared_ptr<const ScanTarget>& target(size_t slot) const;

  // Remembers the first error of our own that happens within DuckDB and throws what stops the query.
  [[noreturn]] void raise(Error error);
  std::optional<Error> take_error();

  const std::string current_user;
  const std::string current_role;
  const int64_t now_us;
  const uint64_t key_order_max_rows;

  // Filled while the statement is planned: the stored column behind each result column, if any.
  std::vector<const model::ColumnDefinition*> result_sources;
  bool planned = false;
  size_t views = 0;  // expanded so far
  // Set when an expression that was bound depends on the time or on who asks.
  bool mentions_request = false;
  bool mentions_time = false;  // on the time
  // Not to be reordered or traced (segment writing, EXPLAIN).
  bool plain = false;

 private:
  std::vector<std::shared_ptr<const ScanTarget>> targets_;
  std::mutex mutex_;
  std::optional<Error> error_;
};

}  // namespace kalamdb::duck
