// What a statement from outside may name. Everything is refused unless it is listed in allow_list.cc, so that a
// function that a new DuckDB brings stays closed until somebody has looked at it. Listed is what is computed from its
// arguments alone (and the clock, and randomness): nothing that reads or writes files, the network, settings,
// variables, extensions, secrets, sequences, DuckDB's catalogs or other queries, or that runs SQL given as text.
#pragma once

#include <span>
#include <string_view>

namespace kalamdb::duck {

// All names are in lower case. Thread-safe.
bool is_allowed_function(std::string_view name);        // scalar, aggregate and window functions, and operators
bool is_aggregate_function(std::string_view name);      // of the allowed ones
bool is_allowed_table_function(std::string_view name);  // in FROM
bool is_allowed_type(std::string_view name);            // that DuckDB's parser itself does not know, in a cast
// Views that DuckDB has in every database; they are its own catalog, not KalamDB's.
bool is_duckdb_view(std::string_view name);
// A name that DuckDB reads as a function call when no column has it, and that shows DuckDB's catalog.
bool is_catalog_keyword(std::string_view name);

// All allowed functions, for documentation and tests.
std::span<const std::string_view> allowed_functions();

}  // namespace kalamdb::duck
