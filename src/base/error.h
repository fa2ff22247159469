// Errors as values: what went wrong, in a form that a caller can act on and a person can read.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

namespace kalamdb {

// What kind of failure it is. The protocol layer maps each to a wire code, an HTTP status and a text prefix
// (src/protocol/error_codes.h); nothing else depends on the numbers.
enum class ErrorCode : uint8_t {
  kInvalidInput,         // the request itself is malformed (JSON, envelope)
  kInvalidSql,           // does not parse, or is not a statement that is allowed
  kBatchParse,           // the request could not be split into statements
  kEmptySql,             // there is no statement
  kInvalidParameter,     // a parameter has a wrong type or may not be there
  kParamCountExceeded,   // more parameters than execution.max_parameters
  kParamCountMismatch,   // a $n without a value or a value without a $n
  kParamSizeExceeded,    // a parameter larger than execution.max_parameter_size_bytes
  kParamsWithBatch,      // parameters beside several statements
  kPermissionDenied,     // the caller's role does not allow it
  kUnauthorized,         // the caller is not who they must be (EXECUTE AS USER)
  kNotFound,             // a named thing other than a table or namespace is missing
  kTableNotFound,        // the table is missing or invisible to the caller
  kNamespaceNotFound,    // the namespace is missing
  kAlreadyExists,        // a name or primary key is taken
  kInvalidOperation,     // understood, but not possible on this object
  kConstraintViolation,  // NOT NULL and the like
  kConflict,             // a concurrent change won; running again may succeed
  kTransactionLeftOpen,  // a request ended between BEGIN and COMMIT
  kIdempotentConflict,   // a job with the same idempotency key is live
  kExecution,            // failed while running
  kSchema,               // a value does not fit its column
  kCursorTooOld,         // a subscriber resumes from before what is still known of deletions
  kTimeout,              // took longer than allowed
  kNotImplemented,       // honestly not there
  kResultTooLarge,       // more rows or bytes than limits.max_result_* allow
  kQueryMemoryExceeded,  // the query needs more memory than limits.query_memory_bytes
  kRateLimited,          // too many requests
  kIo,                   // the operating system or disk refused
  kCorruption,           // stored bytes are not what was written
  kUnavailable,          // cannot be served now (shutting down, log failed); try later
  kInternal,             // a bug or an unclassified library failure
};

// Copyable and cheap to move. `message` is one sentence that names the thing, the reason and the remedy, without the
// text prefix that belongs to the code.
struct Error {
  ErrorCode code = ErrorCode::kInternal;
  std::string message;

  Error(ErrorCode error_code, std::string text) : code(error_code), message(std::move(text)) {}
};

}  // namespace kalamdb
