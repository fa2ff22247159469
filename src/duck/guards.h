// Bounds on what one call of a function may take. DuckDB bounds the memory of its operators and stops them between two
// vectors of rows; values that a function computes (a list of a billion numbers, a text repeated a billion times) are
// outside of both. For the other files of this folder only.
#pragma once

#include <duckdb.hpp>

namespace kalamdb::duck {

inline constexpr uint64_t kMaxVectorBytes = 128 << 20;  // one vector's values of one kind, or one text

// Makes vectors of all queries together take at most `bytes`, and each at most kMaxVectorBytes; a query that needs more
// ends with DuckDB's OutOfMemoryException. Holds for the process; the latest call counts.
void bound_vector_memory(uint64_t bytes);

// Makes every scalar function of the database look, before it starts on a vector of rows, whether its query has been
// interrupted, and those whose work or result can be far larger than their arguments, whether it would be.
void guard_functions(duckdb::DuckDB& database);

}  // namespace kalamdb::duck
