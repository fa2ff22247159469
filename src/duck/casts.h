// Texts as values of a column's type, where DuckDB reads them in another way than KalamDB does when it stores them. For
// the other files of this folder only.
#pragma once

#include "duckdb/main/config.hpp"

namespace kalamdb::duck {

// Replaces DuckDB's casts: a TIMESTAMP with an offset is that moment in UTC (DuckDB drops the offset), '\xDEADBEEF' as
// BYTES is four bytes and BYTES as text looks so again (DuckDB wants \x before each), whole numbers are dates and times
// in the unit of results, and BYTES and UUIDs compare with arrays of numbers.
void register_casts(duckdb::DBConfig& config);

}  // namespace kalamdb::duck
