// KalamDB's own scalar functions. For the other files of this folder only.
#pragma once

#include <duckdb.hpp>

#include "duck/engine.h"

namespace kalamdb::duck {

// Registers them in DuckDB's system catalog, in place of its own functions of the same names.
void register_functions(duckdb::DatabaseInstance& database, const ValueGenerators& generators);

}  // namespace kalamdb::duck
