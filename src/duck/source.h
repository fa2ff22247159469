// What the SQL engine reads from: a table at one snapshot and in one scope, or rows computed on the spot. The scope is
// bound here, outside any SQL text, and that is what keeps one user's rows from another.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/position_set.h"
#include "base/result.h"
#include "model/column_stats.h"
#include "model/row_codec.h"
#include "model/table.h"

namespace kalamdb::duck {

struct TableName;
class Statement;
class SourceResolver;

// One Parquet file as of a snapshot. Positions count its rows from 0.
struct Segment {
  uint64_t id = 0;   // unique within the table and scope
  std::string path;  // absolute, or what RemoteFiles knows it by, which does not begin with '/'
  uint64_t row_count = 0;
  // Nobody sees rows at other positions: all of them, but for segments that users share.
  PositionRange visible;
  uint64_t size_bytes = 0;
  uint64_t checksum = 0;  // XXH3 of the file; 0: not known
  uint32_t schema_version = 1;
  int64_t created_at_us = 0;
  Seq min_seq = 0;
  Seq max_seq = 0;
  std::string min_key;  // encoded by model/key_codec.h; empty: not known
  std::string max_key;
  // Ascending by slot; a column that is not among them may hold anything. nullptr: nothing is known of any.
  std::shared_ptr<const std::vector<model::ColumnStats>> columns;
  std::shared_ptr<const PositionSet> deleted;  // the deletion vector; nullptr: nothing deleted

  bool is_all_visible() const { return visible.size() == row_count; }
  uint64_t live_rows() const {
    return visible.size() - (deleted != nullptr ? deleted->count(visible.begin, visible.end) : 0);
  }
};

// Reads segments that do not lie on a disk of this machine. Thread-safe.
class RemoteFiles {
 public:
  virtual ~RemoteFiles() = default;
  // Fills `out` with the bytes from `offset` on of a file that has `size_bytes` and never changes. `is_cancelled` is
  // asked from time to time. Errors: kTimeout when it says so; kUnavailable as the user of a query is to see it.
  virtual Result<> read(const std::string& path, uint64_t size_bytes, uint64_t offset, std::span<char> out,
                        const std::function<bool()>& is_cancelled) = 0;
};

// Bounds on encoded primary keys: begin ≤ key < end; an empty `end` is no bound.
struct KeyRange {
  std::string begin;
  std::string end;
};

// Hot ∪ (segments − deletion vectors) of one table, one scope, one snapshot. Thread-safe; keeps its snapshot alive.
class TableScan {
 public:
  virtual ~TableScan() = default;
  virtual const model::TablePtr& table() const = 0;
  // Hot rows in key order, live ones, or with tombstones too. Rows stay valid until the next call of next().
  virtual std::unique_ptr<model::RowCursor> hot(const KeyRange& range, bool with_tombstones) const = 0;
  // How many live hot rows there are, if that is known without reading them; whoever has read them all may then say.
  virtual std::optional<uint64_t> known_hot_rows() const { return std::nullopt; }
  virtual void learn_hot_rows(uint64_t) const {}
  // About how many hot rows there are, for the optimiser.
  virtual uint64_t hot_row_estimate() const = 0;
  virtual const std::vector<Segment>& segments() const = 0;
};

// Rows computed for this query (system tables, information_schema). `rows[r][i]` belongs to `table->columns[i]`.
struct ComputedRows {
  model::TablePtr table;
  std::shared_ptr<const std::vector<model::Row>> rows;
};

// A view: a SELECT that stands for a table, its tables opened by a resolver of its own (its namespace, the caller's
// rights).
struct ViewSource {
  model::TablePtr view;  // its columns, and under which names `select` gives them
  std::shared_ptr<const Statement> select;
  std::shared_ptr<SourceResolver> tables;
};

struct TableSource {
  // One of the three.
  std::shared_ptr<const TableScan> scan;
  std::optional<ComputedRows> computed;
  std::optional<ViewSource> view;
};

// Opens the tables of one statement for one caller: resolves the name in the request's namespace, authorises, and
// binds scope and snapshot. Called on the thread that runs the query. Errors go to the caller as they are.
class SourceResolver {
 public:
  virtual ~SourceResolver() = default;
  virtual Result<TableSource> open(const TableName& name) = 0;
};

}  // namespace kalamdb::duck
