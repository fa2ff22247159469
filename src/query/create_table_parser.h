// The grammar of CREATE TABLE:
//
//   CREATE [USER|SHARED|STREAM] TABLE [IF NOT EXISTS] [ns.]t ( element, … )
//     [PARTITION BY (columns)] [USING kalamdb] [WITH (option = value, …)] [FLUSH …] [COMMENT 'text']
//   element: column type [constraint …] | [CONSTRAINT name] PRIMARY KEY (columns) | [CONSTRAINT name] CHECK
//   (expression) FLUSH:   POLICY 'rows:N,interval:S' | ROW_THRESHOLD n | ROWS n | INTERVAL seconds | SECONDS n
#pragma once

#include <optional>
#include <set>

#include "model/table.h"
#include "query/token_reader.h"

namespace kalamdb::query {

struct CreateTableAst {
  QualifiedName name;
  bool if_not_exists = false;
  std::optional<model::TableType> type;          // from the prefix or the TYPE option
  std::vector<model::ColumnDefinition> columns;  // with ordinals and key positions
  std::vector<model::CheckConstraint> checks;    // not yet bound
  model::TableOptions options;
  std::set<std::string, std::less<>> given;  // names of the options that were given
  std::string eviction_strategy;             // "time", "size" or "hybrid", if given
  std::string comment;
};

// The reader stands behind CREATE; reads to the end. Checks names, types, options and their combination; what depends
// on the catalog (namespace, storage, role) is left to the caller. Errors: kInvalidSql, kInvalidOperation,
// kNotImplemented.
Result<CreateTableAst> parse_create_table(TokenReader& reader);

// `(a, b, …)`: names as written. Errors: kInvalidSql.
Result<std::vector<std::string>> read_column_list(TokenReader& reader);
// Makes the columns of these names the PRIMARY KEY, in that order; without names the one that is so already. Errors:
// kInvalidSql for names that are no columns or come twice, and for types that keys cannot have.
Result<> settle_primary_key(std::vector<model::ColumnDefinition>& columns, const std::vector<std::string>& names);

// "rows:N", "interval:S", "rows:N,interval:S"; keys in any letter case, spaces allowed; 0 < N < 1,000,000,
// 0 < S < 86,400. Errors: kInvalidOperation.
Result<model::FlushPolicy> parse_flush_policy(std::string_view text);

// `(option = value, …)`: names in lower case, values as text. Errors: kInvalidSql.
using OptionValues = std::vector<std::pair<std::string, std::string>>;
Result<OptionValues> read_option_values(TokenReader& reader);
// Applies one option. `name` is in lower case. Errors: kInvalidOperation for an unknown option or a value that does not
// fit.
Result<> apply_table_option(CreateTableAst& ast, std::string_view name, std::string_view value);
// Whether the options are ones of that type of table. Errors: kInvalidOperation, kNotFound for a storage.
Result<> check_table_options(const CreateTableAst& ast, model::TableType type);
// What rows of a STREAM table go by, from EVICTION_STRATEGY and the options beside it: their age, the table's size, or
// both. Without EVICTION_STRATEGY an existing table keeps its own, as far as its bounds allow, and a new one goes by
// the bounds that it has. Errors: kInvalidOperation for bounds that do not fit the strategy.
Result<> settle_eviction(CreateTableAst& ast, bool is_new, uint64_t default_ttl_seconds);

}  // namespace kalamdb::query
