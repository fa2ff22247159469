#include "protocol/error_codes.h"

#include <algorithm>
#include <array>
#include <cctype>

namespace kalamdb::protocol {
namespace {

// Whether callers who are not administrators see the message.
enum class Shown : uint8_t {
  kAlways,
  kNever,
  kWhenRunning,     // not before the statement runs: a parser's words show too much of the inside
  kUnlessOfTables,  // which tables exist is not theirs to learn
  kIfOwnMistake,    // texts about keys, constraints and columns help to repair the statement
};

struct Row {
  ErrorCode error;
  std::string_view code;
  int http_status;
  std::string_view prefix;
  Shown shown;
};

constexpr std::array kTable = {
    Row{ErrorCode::kInvalidInput, "INVALID_INPUT", 400, "", Shown::kAlways},
    Row{ErrorCode::kInvalidSql, "INVALID_SQL", 400, "Invalid SQL: ", Shown::kWhenRunning},
    Row{ErrorCode::kBatchParse, "BATCH_PARSE_ERROR", 400, "", Shown::kNever},
    Row{ErrorCode::kEmptySql, "EMPTY_SQL", 400, "", Shown::kAlways},
    Row{ErrorCode::kInvalidParameter, "INVALID_PARAMETER", 400, "", Shown::kAlways},
    Row{ErrorCode::kParamCountExceeded, "PARAM_COUNT_EXCEEDED", 400, "", Shown::kAlways},
    Row{ErrorCode::kParamCountMismatch, "PARAM_COUNT_MISMATCH", 400, "", Shown::kAlways},
    Row{ErrorCode::kParamSizeExceeded, "PARAM_SIZE_EXCEEDED", 400, "", Shown::kAlways},
    Row{ErrorCode::kParamsWithBatch, "PARAMS_WITH_BATCH", 400, "", Shown::kAlways},
    Row{ErrorCode::kPermissionDenied, "PERMISSION_DENIED", 403, "Permission denied: ", Shown::kAlways},
    Row{ErrorCode::kUnauthorized, "PERMISSION_DENIED", 403, "Unauthorized: ", Shown::kAlways},
    Row{ErrorCode::kNotFound, "SQL_EXECUTION_ERROR", 400, "Not found: ", Shown::kUnlessOfTables},
    Row{ErrorCode::kTableNotFound, "SQL_EXECUTION_ERROR", 400, "Table not found: ", Shown::kNever},
    Row{ErrorCode::kNamespaceNotFound, "SQL_EXECUTION_ERROR", 400, "Not found: ", Shown::kAlways},
    Row{ErrorCode::kAlreadyExists, "SQL_EXECUTION_ERROR", 400, "Already exists: ", Shown::kAlways},
    Row{ErrorCode::kInvalidOperation, "SQL_EXECUTION_ERROR", 400, "Invalid operation: ", Shown::kAlways},
    Row{ErrorCode::kConstraintViolation, "SQL_EXECUTION_ERROR", 400, "Constraint violation: ", Shown::kAlways},
    Row{ErrorCode::kConflict, "SQL_EXECUTION_ERROR", 400, "Conflict: ", Shown::kAlways},
    Row{ErrorCode::kTransactionLeftOpen, "SQL_EXECUTION_ERROR", 400, "", Shown::kAlways},
    Row{ErrorCode::kIdempotentConflict, "SQL_EXECUTION_ERROR", 400, "Idempotent conflict: ", Shown::kAlways},
    Row{ErrorCode::kExecution, "SQL_EXECUTION_ERROR", 400, "Execution error: ", Shown::kIfOwnMistake},
    Row{ErrorCode::kSchema, "SQL_EXECUTION_ERROR", 400, "Schema error: ", Shown::kNever},
    Row{ErrorCode::kCursorTooOld, "CURSOR_TOO_OLD", 410, "", Shown::kAlways},
    Row{ErrorCode::kTimeout, "TIMEOUT", 408, "Timeout: ", Shown::kAlways},
    Row{ErrorCode::kNotImplemented, "NOT_IMPLEMENTED", 501, "Not implemented: ", Shown::kAlways},
    Row{ErrorCode::kResultTooLarge, "RESULT_TOO_LARGE", 422, "", Shown::kAlways},
    Row{ErrorCode::kQueryMemoryExceeded, "QUERY_MEMORY_EXCEEDED", 422, "", Shown::kAlways},
    Row{ErrorCode::kRateLimited, "RATE_LIMIT_EXCEEDED", 429, "", Shown::kAlways},
    Row{ErrorCode::kIo, "INTERNAL_ERROR", 500, "", Shown::kNever},
    Row{ErrorCode::kCorruption, "INTERNAL_ERROR", 500, "", Shown::kNever},
    Row{ErrorCode::kUnavailable, "SERVICE_UNAVAILABLE", 503, "", Shown::kNever},
    Row{ErrorCode::kInternal, "INTERNAL_ERROR", 500, "", Shown::kNever},
};

consteval bool is_in_order() {
  for (size_t i = 0; i < kTable.size(); ++i) {
    if (kTable[i].error != static_cast<ErrorCode>(i)) return false;
  }
  return kTable.size() == static_cast<size_t>(ErrorCode::kInternal) + 1;
}
static_assert(is_in_order(), "one row for each ErrorCode, in the enum's order");

const Row& row_of(ErrorCode code) { return kTable[static_cast<size_t>(code)]; }

bool mentions(std::string_view text, std::string_view lower_word) {
  auto same_letter = [](char a, char b) { return std::tolower(static_cast<unsigned char>(a)) == b; };
  return std::search(text.begin(), text.end(), lower_word.begin(), lower_word.end(), same_letter) != text.end();
}

bool is_shown(const Row& row, std::string_view message, bool running) {
  switch (row.shown) {
    case Shown::kAlways:
      return true;
    case Shown::kNever:
      return false;
    case Shown::kWhenRunning:
      return running;
    case Shown::kUnlessOfTables:
      return !mentions(message, "table");
    case Shown::kIfOwnMistake:
      return mentions(message, "primary key") || mentions(message, "constraint") || mentions(message, "duplicate") ||
             (mentions(message, "column") && mentions(message, "not found"));
  }
  return false;
}

std::string_view shown_instead(std::string_view code) {
  if (code == "BATCH_PARSE_ERROR") return "Failed to parse SQL batch";
  if (code == "SQL_EXECUTION_ERROR") return "SQL statement failed";
  if (code == "INVALID_SQL") return "SQL statement is invalid or not allowed";
  if (code == "TABLE_NOT_FOUND") return "Requested table is not available";
  if (code == "SERVICE_UNAVAILABLE") return "The server cannot serve this request now; try again later";
  return "SQL request failed";
}

// The texts of classification and of access to shared and system tables stand without the prefix.
bool has_prefix(const Error& error, bool running) {
  if (error.code == ErrorCode::kInvalidSql) return running;
  if (error.code == ErrorCode::kPermissionDenied) return running && !error.message.starts_with("Access denied: ");
  return true;
}

}  // namespace

WireError to_wire(const Error& error, bool admin, std::optional<size_t> statement_number) {
  const Row& row = row_of(error.code);
  const bool running = statement_number.has_value();
  WireError wire{row.code, row.http_status, {}};
  // Before anything runs, a missing table can only be the target of an upload, which has a code of its own.
  if (error.code == ErrorCode::kTableNotFound && !running) wire.code = "TABLE_NOT_FOUND";
  if (!admin && !is_shown(row, error.message, running)) {
    wire.message = shown_instead(wire.code);
    return wire;
  }
  if (running) wire.message = "Statement " + std::to_string(*statement_number) + " failed: ";
  if (has_prefix(error, running)) wire.message += row.prefix;
  wire.message += error.message;
  return wire;
}

LiveError to_live_error(const Error& error, bool admin) {
  const Row& row = row_of(error.code);
  std::string message = std::string(row.prefix) + error.message;
  switch (error.code) {
    case ErrorCode::kInvalidSql:
    case ErrorCode::kBatchParse:
    case ErrorCode::kEmptySql:
      return {"INVALID_SQL", "Invalid SQL: " + error.message};
    case ErrorCode::kTableNotFound:
      return {"NOT_FOUND", "Not found: " + message};
    case ErrorCode::kNotFound:
    case ErrorCode::kNamespaceNotFound:
      return {"NOT_FOUND", std::move(message)};
    case ErrorCode::kPermissionDenied:
    case ErrorCode::kUnauthorized:
      return {"UNAUTHORIZED", std::move(message)};
    case ErrorCode::kInvalidOperation:
    case ErrorCode::kNotImplemented:
      return {"UNSUPPORTED", std::move(message)};
    case ErrorCode::kCursorTooOld:
      return {row.code, std::move(message)};
    case ErrorCode::kResultTooLarge:
      return {"RESULT_TOO_LARGE", error.message};
    default:
      break;
  }
  if (!admin && row.http_status >= 500) return {"SUBSCRIPTION_FAILED", "Subscription failed"};
  return {"SUBSCRIPTION_FAILED", std::move(message)};
}

}  // namespace kalamdb::protocol
