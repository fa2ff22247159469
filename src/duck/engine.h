// The embedded SQL engine. The only door to DuckDB's planner: everything that comes in is a Statement, which is already
// parsed and checked, and every table it reads comes from a SourceResolver. DuckDB runs with external access off but
// for segments, extensions and configuration locked.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "duck/source.h"
#include "duck/statement.h"
#include "model/table.h"

namespace kalamdb::duck {

// Where volatile functions of SQL get their values; each is called from several threads. One left out is not offered.
struct ValueGenerators {
  std::function<int64_t()> snowflake_id;
  std::function<model::Uuid()> uuid_v7;
  std::function<std::string()> ulid;
};

struct EngineOptions {
  unsigned threads = 0;        // 0: one a core
  uint64_t memory_bytes = 0;   // for all queries together; 0: a quarter of the machine's
  std::string temp_directory;  // where large sorts and joins spill; made if missing
  // Of segments that have been read, about: past it, all are forgotten.
  uint64_t segment_metadata_bytes = 64 << 20;
  ValueGenerators generators;
};

// What a statement runs with, besides its tables.
struct QueryContext {
  std::string current_user;
  std::string current_role;                  // "user", "dba"
  int64_t now_us = 0;                        // NOW(): one value for the whole statement
  std::span<const model::Value> parameters;  // NULL, bool, int64_t, double, string, or a float vector
  int64_t timeout_ms = 30'000;               // 0: none; past it the query stops with kTimeout
  std::function<bool()> is_abandoned;        // asked from another thread, may be empty; once true it stops likewise
  // Answer a plain scan in primary-key order, as clients of 0.4 are used to, if it reads at most this many rows.
  uint64_t key_order_max_rows = 10'000;
};

struct ResultColumn {
  std::string name;
  model::DataType type;
  // The stored column that it shows, unless it is computed; valid as long as the result.
  const model::ColumnDefinition* source = nullptr;
  // JSON that goes to the client as an object rather than as text.
  bool inline_json = false;
};

// Rows of a result, column by column. Valid until the next call of next().
class ResultBatch {
 public:
  virtual ~ResultBatch() = default;
  virtual size_t row_count() const = 0;
  // The cell as its ResultColumn's type says (see model/value.h). DuckDB types without a KalamDB type come as TEXT.
  virtual model::ValueView cell(size_t row, size_t column) const = 0;
};

// A running query. Rows are computed as they are asked for. Not thread-safe, but for cancel().
class QueryResult {
 public:
  virtual ~QueryResult() = default;
  virtual const std::vector<ResultColumn>& columns() const = 0;
  // The next rows (at least one), or nullptr at the end. Errors: kTimeout, kQueryMemoryExceeded, kExecution, kSchema, …
  virtual Result<const ResultBatch*> next() = 0;
  // Stops it from any thread; next() then fails with kTimeout.
  virtual void cancel() = 0;
};

// One row that an UPDATE or DELETE touches.
struct TouchedRow {
  model::Row current;   // `current[i]` belongs to `table.columns[i]`; `_seq` and `_deleted` filled
  model::Row assigned;  // UPDATE: the new value of each SET column, in the order of ChangeShape::set
  Seq seq = 0;
  // Where it lies when it is cold.
  bool cold = false;
  uint64_t segment_id = 0;
  uint32_t position = 0;
};

struct TouchedRows {
  std::vector<model::DataType> assigned_types;  // as computed, not yet those of the columns
  std::vector<TouchedRow> rows;
};

// A row that is there and the one that an INSERT wanted to put in its place; both as `table.columns`.
struct ConflictRow {
  model::Row current;  // `_seq` and `_deleted` filled
  model::Row excluded;
};

// Expressions evaluated over rows in memory: `rows[i]` belongs to the i-th of these.
struct EvaluatedRows {
  std::vector<ResultColumn> columns;  // without `source`
  std::vector<model::Row> rows;
};

// A row found in a segment by its key.
struct SegmentRow {
  uint64_t segment_id = 0;
  uint32_t position = 0;
  Seq seq = 0;
  UserId user;  // by read_segment() of one that users share: whose it is
  std::string key;
  std::string row;  // encoded by the current schema
};

// The live rows of one segment, one after another in the order of the file. Not thread-safe.
class SegmentRows {
 public:
  virtual ~SegmentRows() = default;
  // The next row, valid until the next call; nullptr at the end. Errors: kIo, kCorruption.
  virtual Result<const SegmentRow*> next() = 0;
};

struct WrittenSegment {
  uint64_t row_count = 0;
  uint64_t size_bytes = 0;
  uint64_t checksum = 0;                    // XXH3 of the file
  std::vector<model::ColumnStats> columns;  // of all but `_seq` and `_deleted`, ascending by slot
};

// Evaluates the WHERE of a subscription, or a CHECK, over stored rows, by DuckDB's own expression executor, so that it
// means exactly what it means in a SELECT. Not thread-safe.
class Predicate {
 public:
  virtual ~Predicate() = default;
  // `matches` gets one element for each row: 1 where the predicate is true. `rows` are of the table it was bound to.
  virtual Result<> evaluate(std::span<const model::RowRecord> rows, std::vector<char>& matches) = 0;
  // The columns that it looks at, of the table it was bound to.
  virtual const std::vector<const model::ColumnDefinition*>& columns() const = 0;
  // It means the same at any time and for any user.
  virtual bool is_deterministic() const = 0;
  virtual bool depends_on_time() const = 0;
  // A column and a value that it must have where the predicate is true, so that rows can be looked up by it; nullopt if
  // none is found.
  struct Equality {
    const model::ColumnDefinition* column;  // of the table it was bound to, stored, of a type whose values are equal as
    model::Value value;                     // they are stored (model::same)
  };
  virtual const std::optional<Equality>& equality() const = 0;
};

// What the result of a live query is made from (LiveKind::kTop and kAggregate), evaluated over stored rows likewise.
// Not thread-safe.
class RowExpressions {
 public:
  virtual ~RowExpressions() = default;
  // `values[i]` gets the values over `rows[i]`, which is of the table that it was bound to.
  virtual Result<> evaluate(std::span<const model::RowRecord> rows, std::vector<model::Row>& values) = 0;
  virtual const std::vector<model::DataType>& types() const = 0;
};

// Thread-safe.
class Engine {
 public:
  // Errors: kIo for folders that cannot be made, kInternal for what DuckDB refuses.
  static Result<std::unique_ptr<Engine>> create(EngineOptions options);
  virtual ~Engine() = default;

  // Before the first query: who reads segments that lie elsewhere. It must outlive the queries; nullptr: nobody.
  virtual void set_remote_files(RemoteFiles* files) = 0;

  // Runs a SELECT or EXPLAIN. The result keeps what it reads from alive.
  virtual Result<std::unique_ptr<QueryResult>> query(const Statement& statement, SourceResolver& tables,
                                                     const QueryContext& context) = 0;

  // The columns of a SELECT, without running it: what a view of it has. Names are those by which a query around it
  // refers to them: repeated ones have a suffix. `source` is nullptr in all of them.
  virtual Result<std::vector<ResultColumn>> describe(const Statement& select, SourceResolver& tables,
                                                     const QueryContext& context) = 0;

  // The rows that an INSERT wants to insert: columns of the result are those of `columns` in that order (each must be
  // of `table`), not yet coerced.
  virtual Result<std::unique_ptr<QueryResult>> insert_rows(const Statement& insert,
                                                           const std::vector<std::string>& columns,
                                                           SourceResolver& tables, const QueryContext& context) = 0;

  // The rows that an UPDATE or DELETE touches, each once, with their new values.
  virtual Result<TouchedRows> changes(const Statement& change, SourceResolver& tables, const QueryContext& context) = 0;

  // The expressions of a RETURNING (its items of kExpression, in their order) over rows of `table`: `rows[i][j]`
  // belongs to `table->columns[j]`. `_seq` is not known yet: the parser has refused expressions that use it.
  virtual Result<EvaluatedRows> returning(const Statement& change, const model::TablePtr& table,
                                          std::vector<model::Row> rows, SourceResolver& tables,
                                          const QueryContext& context) = 0;
  // ON CONFLICT DO UPDATE: its SET expressions in their order and, with a WHERE, what that gives (BOOLEAN) at the end.
  virtual Result<EvaluatedRows> conflict_updates(const Statement& insert, const model::TablePtr& table,
                                                 std::vector<ConflictRow> rows, SourceResolver& tables,
                                                 const QueryContext& context) = 0;

  // The rows of a subscription's snapshot: its columns and, unless among them, `_seq` as the last column; rows with
  // after < _seq; ascending by `_seq`. With `newest` > 0 only that many with the highest `_seq`, ascending.
  virtual Result<std::unique_ptr<QueryResult>> live_rows(const Statement& select, SourceResolver& tables,
                                                         const QueryContext& context, Seq after, uint64_t newest) = 0;
  // The rows with after < _seq that the subscription's WHERE does not take, with all columns that `*` shows; ascending
  // by `_seq`. Tombstones may be among them. `select` must have a WHERE.
  virtual Result<std::unique_ptr<QueryResult>> other_rows(const Statement& select, SourceResolver& tables,
                                                          const QueryContext& context, Seq after) = 0;

  // Binds the WHERE of a subscription to its table. nullptr if it has none. Errors: kInvalidSql for what cannot be
  // evaluated on a single row (subqueries, aggregates, volatile functions).
  virtual Result<std::unique_ptr<Predicate>> bind_predicate(const Statement& select, const model::TablePtr& table,
                                                            const QueryContext& context) = 0;

  // The expressions that a result is made from. kTop: the key of the order, bytes that compare as its rows are ordered;
  // kRows, as a result of all rows: the same, and they are equal in it; kAggregate: the argument of each item (of
  // COUNT(*) one that is never NULL; NULL for what a FILTER leaves out), then for each MIN and MAX bytes that compare
  // as its arguments do. Errors: kInvalidSql for what depends on more than the row, the time included.
  virtual Result<std::unique_ptr<RowExpressions>> bind_result(const Statement& select, const model::TablePtr& table,
                                                              const QueryContext& context) = 0;
  // The same of the rows that the WHERE takes. kTop, kRows: the first `limit` ones in their order, rows that are equal
  // in it by their primary key; every column of the table, then the key. kAggregate: all of them, in no order.
  virtual Result<std::unique_ptr<QueryResult>> result_rows(const Statement& select, SourceResolver& tables,
                                                           const QueryContext& context, uint64_t limit) = 0;

  // Writes a segment to the absolute `path`: every column of `table` plus `_seq` and `_deleted`, and before them
  // `_user_id` if users share the table's segments, in the order in which
  // the cursor gives rows, field ids being the slots of the columns. `metadata` goes into the file's key-value
  // metadata. Not synced to disk.
  virtual Result<WrittenSegment> write_segment(const std::string& path, const model::TablePtr& table,
                                               model::RowCursor& rows,
                                               const std::vector<std::pair<std::string, std::string>>& metadata) = 0;

  // The live rows of `segments` that have one of `keys` (encoded primary keys of `table`), in no order.
  virtual Result<std::vector<SegmentRow>> find_in_segments(const model::TablePtr& table,
                                                           std::span<const Segment> segments,
                                                           std::span<const std::string> keys) = 0;

  // Reads `segment`, which `table`'s current or an older schema wrote, as the current one, in bounded memory. Several
  // may be read at once.
  virtual Result<std::unique_ptr<SegmentRows>> read_segment(const model::TablePtr& table, const Segment& segment) = 0;

  // The columns that Parquet files have at the absolute `paths`, whoever wrote them: of all of them, by name, with the
  // types that they get in a table (TEXT where no other fits); `source` is nullptr. Errors: kInvalidInput with the file
  // that cannot be read, kTimeout once `is_abandoned` says so.
  virtual Result<std::vector<ResultColumn>> parquet_columns(std::span<const std::string> paths,
                                                            std::function<bool()> is_abandoned) = 0;
  // Their rows with those of these columns that are asked for, ascending by the first `key_columns` of them, NULLs
  // first; without those whose `_deleted` is true. Sorts on the disk what is too large for memory. Errors: the same.
  virtual Result<std::unique_ptr<QueryResult>> read_parquet(std::span<const std::string> paths,
                                                            std::span<const std::string> columns, size_t key_columns,
                                                            std::function<bool()> is_abandoned) = 0;
};

}  // namespace kalamdb::duck
