// KalamDB's own functions and operators on JSON. For the other files of this folder only.
#pragma once

#include <vector>

#include "duckdb/function/scalar_function.hpp"

namespace kalamdb::duck {

// json_get and its kin, json_length, json_object_keys, json_contains, -> and ->>. Each takes JSON, or TEXT that holds
// JSON, and any number of keys (text) and indexes (whole numbers; negative ones count from the end), and gives NULL
// where the path leads nowhere, the value is of another type, or the text is no JSON.
std::vector<duckdb::ScalarFunction> json_functions();

}  // namespace kalamdb::duck
