// Bounds on what DuckDB's parser is given. Its own depth bound keeps it from overflowing the stack, but some constructs
// copy their parts while it builds the tree: nested WITH, nested ARRAY(SELECT …) and CUBE exponentially, lists of CTEs,
// AND chains, multiple assignment and named windows quadratically. Counting tokens first keeps a hostile text from
// taking seconds and gigabytes.
#pragma once

#include <cstddef>
#include <string_view>

#include "base/result.h"

namespace kalamdb::duck {

inline constexpr size_t kMaxNesting = 200;             // ( [ { within each other
inline constexpr size_t kMaxExpressionDepth = 1000;    // operators within each other, as DuckDB counts them
inline constexpr size_t kMaxConditions = 5'000;        // AND and OR together
inline constexpr size_t kMaxCtes = 64;                 // in one statement
inline constexpr size_t kMaxCteNesting = 4;            // WITH within WITH
inline constexpr double kMaxCopiedTokens = 2'000'000;  // about, by all of these but AND chains

// Whether there may be something in it that translate() (dialect.h) has to change. Errors: kInvalidSql, naming the
// bound.
Result<bool> check_parse_bounds(std::string_view sql);

}  // namespace kalamdb::duck
