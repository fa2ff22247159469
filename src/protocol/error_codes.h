// Errors as clients see them: the one table of wire codes, HTTP statuses and text prefixes, and what callers who are
// not administrators are not told.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/error.h"

namespace kalamdb::protocol {

struct WireError {
  std::string_view code;  // "SQL_EXECUTION_ERROR"; has static lifetime
  int http_status = 400;
  std::string message;
};

// `statement_number` (from 1) is there once the statement runs, and absent while the request is still parsed,
// classified and authorised: the same error has other words then ("Statement 1 failed: Already exists: …"), and for
// callers other than `admin` (roles dba and system) other rules of redaction.
WireError to_wire(const Error& error, bool admin, std::optional<size_t> statement_number = std::nullopt);

// What a message of type `error` on the WebSocket says of a subscription that failed.
struct LiveError {
  std::string_view code;  // "NOT_FOUND"; has static lifetime
  std::string message;
};
LiveError to_live_error(const Error& error, bool admin);

}  // namespace kalamdb::protocol
