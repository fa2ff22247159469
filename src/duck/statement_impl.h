// What a Statement holds, for the other files of this folder only.
#pragma once

#include "duck/statement.h"
#include "duckdb.hpp"
#include "duckdb/parser/sql_statement.hpp"

namespace kalamdb::duck {

// Immutable once parse() has returned. The engine copies `tree` with Copy() and rewrites the copy.
struct Statement::Impl {
  // As DuckDB's parser built it: a SelectStatement, InsertStatement, UpdateStatement, DeleteStatement or, for kExplain,
  // an ExplainStatement around one of these. Every node of it has passed the allow-lists.
  duckdb::unique_ptr<duckdb::SQLStatement> tree;
  StatementKind kind = StatementKind::kSelect;
  std::vector<TableName> tables;
  uint32_t parameter_count = 0;
  bool uses_current_user = false;
  std::shared_ptr<const Statement> explained;  // kExplain
  std::optional<PointSelect> point_select;
  std::optional<InsertShape> insert;
  std::optional<ChangeShape> change;
  std::vector<ReturningItem> returning;
};

}  // namespace kalamdb::duck
