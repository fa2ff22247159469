// One standard SQL statement, parsed by DuckDB's parser and checked against the allow-lists, as the layers above see
// it: its kind, its tables, and the simple shapes that need no planner.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "model/value.h"

namespace kalamdb::duck {

enum class StatementKind : uint8_t { kSelect, kInsert, kUpdate, kDelete, kExplain };

// A table as it was written; `schema` is empty when it was not qualified. Always in lower case, as the names of all
// tables and namespaces are.
struct TableName {
  std::string schema;
  std::string name;
  bool operator==(const TableName&) const = default;
};

// A value that needs no planner.
struct Operand {
  enum class Kind : uint8_t { kLiteral, kParameter, kDefault, kFunction, kExcluded };
  Kind kind = Kind::kLiteral;
  // kLiteral: NULL, bool, int64_t, double or string. As text, which model::coerce() reads, come numbers that none of
  // these holds exactly (DECIMAL among them), dates, times, UUIDs, bytes ("\\xDEAD") and lists of numbers ("[1, 0.5]").
  model::Value literal;
  uint32_t parameter = 0;  // kParameter: n of $n, from 1
  // kFunction: NOW, SNOWFLAKE_ID, UUID_V7, ULID or CURRENT_USER (upper case, no arguments); kExcluded, in ON CONFLICT
  // DO UPDATE only: the column c of excluded.c.
  std::string name;
};

struct Assignment {
  std::string column;
  std::optional<Operand> value;  // nullopt: an expression, which the engine evaluates
};

// One item of a RETURNING list.
struct ReturningItem {
  enum class Kind : uint8_t {
    kStar,        // all columns that SELECT * shows
    kColumn,      // a column of the table that is written
    kExpression,  // what Engine::returning() evaluates
  };
  Kind kind = Kind::kStar;
  std::string column;  // kColumn: as written
  std::string name;    // kColumn: the alias, else the column as written
};

struct Equality {
  std::string column;
  Operand value;
};

// SELECT columns FROM one table WHERE c1 = v1 AND c2 = v2 …, without any other clause but a LIMIT of at least 1.
struct PointSelect {
  TableName table;
  bool star = false;  // SELECT *; `columns` is empty then
  struct Item {
    std::string column;
    std::string name;  // the alias, else the column as written
  };
  std::vector<Item> columns;
  std::vector<Equality> where;
};

struct InsertShape {
  TableName table;
  std::vector<std::string> columns;  // empty: not given
  // INSERT … VALUES with nothing but operands; empty when the rows must be computed by Engine::insert_rows(). All rows
  // are equally long, which need not be the length of `columns`.
  std::vector<std::vector<Operand>> rows;
  bool default_values = false;  // INSERT INTO t DEFAULT VALUES: one row of defaults; `rows` is empty
  enum class OnConflict : uint8_t { kFail, kNothing, kUpdate };
  OnConflict on_conflict = OnConflict::kFail;
  std::vector<std::string> conflict_target;  // columns, if given
  std::vector<Assignment> conflict_set;      // kUpdate
  bool conflict_has_where = false;           // kUpdate: DO UPDATE SET … WHERE
};

struct ChangeShape {  // UPDATE or DELETE
  TableName table;
  std::vector<Assignment> set;  // UPDATE
  bool has_where = false;
  // The WHERE as equalities, if it is nothing else and there is one table only.
  std::optional<std::vector<Equality>> where;
};

// How the result of a live query follows from its table.
enum class LiveKind : uint8_t {
  kRows,       // each row that the WHERE takes
  kTop,        // the first of them: ORDER BY … LIMIT n
  kAggregate,  // one row for each group, or for all of them
};

// One column of a kAggregate.
struct LiveItem {
  enum class Kind : uint8_t { kKey, kCount, kSum, kAvg, kMin, kMax };
  Kind kind = Kind::kKey;  // kKey: one of the GROUP BY
  std::string name;
};

// A SELECT of one table that may be subscribed to.
struct LiveShape {
  LiveKind kind = LiveKind::kRows;
  TableName table;
  std::vector<std::string> columns;  // kRows, kTop; empty: *
  uint64_t limit = 0;                // kTop
  std::vector<LiveItem> items;       // kAggregate: the SELECT list
  bool has_where = false;
  // The same text for statements that mean the same but for white space, comments and letter case of keywords.
  std::string normalized;
  bool uses_current_user = false;  // means something else for every user
};

// Immutable; reading it from several threads is safe.
class Statement {
 public:
  // Parses exactly one statement. Everything that is not SELECT (with VALUES, FROM-first, WITH), INSERT, UPDATE, DELETE
  // or EXPLAIN of one of these is refused, and so is every function, table function, construct or name that is not on
  // the allow-lists (src/duck/allow_list.h): files, network, extensions, settings, DuckDB's own catalogs. Bounded time
  // and stack for any text (src/duck/parse_bounds.h).
  // Errors: kInvalidSql, naming what is refused or where parsing failed.
  static Result<std::shared_ptr<const Statement>> parse(std::string_view sql);
  ~Statement();

  StatementKind kind() const;
  // Every table named anywhere in it (subqueries, CTEs, EXPLAIN), each once; CTE names are not among them.
  const std::vector<TableName>& tables() const;
  // The highest n of $n (or the number of ?), 0 without parameters.
  uint32_t parameter_count() const;

  // Each is empty when the statement is not of that shape.
  const std::optional<PointSelect>& point_select() const;
  const std::optional<InsertShape>& insert() const;  // always there for kInsert
  const std::optional<ChangeShape>& change() const;  // always there for kUpdate and kDelete
  // RETURNING of an INSERT, UPDATE or DELETE; empty when it has none.
  const std::vector<ReturningItem>& returning() const;
  // kExplain: the statement that is explained, with its shapes; else nullptr.
  const std::shared_ptr<const Statement>& explained() const;
  // Why it may not be subscribed to, as the protocol words it: kInvalidSql.
  Result<LiveShape> live() const;

  struct Impl;  // DuckDB's tree; for src/duck only
  const Impl& impl() const { return *impl_; }

 private:
  Statement();
  std::unique_ptr<Impl> impl_;
};

}  // namespace kalamdb::duck
