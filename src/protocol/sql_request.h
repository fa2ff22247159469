// The body of POST /v1/api/sql.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "model/value.h"

namespace kalamdb::protocol {

struct SqlRequest {
  std::string sql;
  // Absent when the request has none or null.
  std::optional<std::vector<model::Value>> params;
  std::optional<std::string> namespace_id;
};

// Parses the JSON body. Unknown fields are ignored. A body with a few spare bytes of capacity is parsed in place.
// Errors: kInvalidInput "Invalid JSON payload: …", kInvalidParameter "Parameter $N invalid: …".
Result<SqlRequest> parse_sql_request(const std::string& body, size_t max_nesting = 64);

// Parses the `params` part of a multipart body. null stays null, booleans bool, integers int64_t, other numbers double,
// strings string; an array of numbers becomes a float vector, other arrays and objects their JSON text.
// Errors: kInvalidParameter.
Result<std::vector<model::Value>> parse_params(std::string_view json, size_t max_nesting = 64);

// Errors: kParamCountExceeded, kParamSizeExceeded, with the texts that clients know.
Result<> check_params(const std::vector<model::Value>& params, size_t max_parameters, size_t max_parameter_bytes);

}  // namespace kalamdb::protocol
