// What is done to every plan between binding and optimising. For the other files of this folder only.
#pragma once

#include <duckdb.hpp>

namespace kalamdb::duck {

// Keeps DuckDB from simplifications that are wrong. Notes the stored column behind each result column in the
// QueryState, puts small plain scans into key order, and for EXPLAIN counts the segments that scans will read.
void register_plan_hook(duckdb::DBConfig& config);

}  // namespace kalamdb::duck
