// DuckDB's exceptions as Errors. For the other files of this folder only.
#pragma once

#include <duckdb.hpp>
#include <exception>

#include "base/result.h"

namespace kalamdb::duck {

// A message never carries candidates, SQL text or paths: its reader may not be allowed to see them.
Error to_error(const duckdb::ErrorData& error);
Error to_error(const std::exception& exception);

// Runs `body` (which returns a Result) and turns what it throws into an Error.
template <typename Body>
auto guarded(Body&& body) -> decltype(body()) {
  try {
    return body();
  } catch (const std::exception& exception) {
    return fail(to_error(exception));
  }
}

}  // namespace kalamdb::duck
