// Result<T>: a value or an Error. Functions that can fail return one; exceptions stop where a library is wrapped.
#pragma once

#include <expected>
#include <string>
#include <utility>

#include "base/error.h"

namespace kalamdb {

template <typename T = void>
using Result = std::expected<T, Error>;

// `return fail(ErrorCode::kNotFound, "…");` from any function that returns a Result.
[[nodiscard]] inline std::unexpected<Error> fail(ErrorCode code, std::string message) {
  return std::unexpected<Error>(std::in_place, code, std::move(message));
}

// Passes an error on: `return fail(std::move(result).error());`
[[nodiscard]] inline std::unexpected<Error> fail(Error error) { return std::unexpected<Error>(std::move(error)); }

}  // namespace kalamdb

// Unwraps a Result into a declaration or returns its error: `KALAM_TRY(auto rows, read_rows(key));`
// A macro because only a macro can return from its caller.
#define KALAM_TRY(declaration, expression) \
  KALAM_TRY_IMPL(declaration, expression, KALAM_CONCAT(kalam_try_, __COUNTER__))
#define KALAM_TRY_IMPL(declaration, expression, name)                           \
  auto name = (expression);                                                     \
  if (!name) return std::unexpected<::kalamdb::Error>(std::move(name).error()); \
  declaration = *std::move(name)
// The same for a Result<void>.
#define KALAM_CHECK(expression)                                                        \
  do {                                                                                 \
    if (auto kalam_check_result = (expression); !kalam_check_result)                   \
      return std::unexpected<::kalamdb::Error>(std::move(kalam_check_result).error()); \
  } while (false)
#define KALAM_CONCAT(a, b) KALAM_CONCAT_IMPL(a, b)
#define KALAM_CONCAT_IMPL(a, b) a##b
