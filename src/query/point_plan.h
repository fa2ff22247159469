// The fast lane: statements that read or write by full primary key, and plain INSERT … VALUES, never enter DuckDB's
// planner. A PointPlan is what such a statement means for the tables as they are now.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "query/prepared.h"

namespace kalamdb::query {

// Immutable; valid for one catalog version and one default namespace.
struct PointPlan {
  uint64_t catalog_version = 0;
  std::string namespace_id;
  model::TablePtr table;  // nullptr: the statement is not for the fast lane
  // SELECT, UPDATE, DELETE: the operand of each key column, in key order.
  std::vector<duck::Operand> key;
  // SELECT: what it returns.
  std::vector<duck::ResultColumn> columns;
  // UPDATE: the columns of ChangeShape::set, in its order.
  std::vector<const model::ColumnDefinition*> assigned;
  // INSERT: the column of each value, in the order of the values.
  std::vector<const model::ColumnDefinition*> inserted;
  // Its RETURNING or ON CONFLICT has expressions: not for a thread that may not block.
  bool needs_engine = false;
};

// The plan of a standard statement, made or taken from `prepared`; never nullptr.
std::shared_ptr<const PointPlan> point_plan(const Services& services, const Prepared& prepared,
                                            const std::string& namespace_id);

// The encoded key that the operands name. nullopt where only the planner knows what the comparison means (a number
// against a text column, a value that does not fit the type, NULL).
std::optional<std::string> point_key(const PointPlan& plan, std::span<const model::Value> parameters);

// `table`'s columns that INSERT fills when it names none: all but the system columns.
std::vector<const model::ColumnDefinition*> insertable_columns(const model::TableDefinition& table);

}  // namespace kalamdb::query
