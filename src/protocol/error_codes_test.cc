#include "protocol/error_codes.h"

#include <gtest/gtest.h>

namespace kalamdb::protocol {
namespace {

TEST(ErrorCodes, RunningStatementsSayWhichOneFailed) {
  const WireError wire = to_wire({ErrorCode::kAlreadyExists, "Table app.t already exists"}, true, 1);
  EXPECT_EQ(wire.code, "SQL_EXECUTION_ERROR");
  EXPECT_EQ(wire.http_status, 400);
  EXPECT_EQ(wire.message, "Statement 1 failed: Already exists: Table app.t already exists");
}

TEST(ErrorCodes, ClassificationTextsStandAlone) {
  const WireError denied = to_wire(
      {ErrorCode::kPermissionDenied, "Admin privileges (DBA or System role) required for namespace operations"}, false);
  EXPECT_EQ(denied.code, "PERMISSION_DENIED");
  EXPECT_EQ(denied.http_status, 403);
  EXPECT_EQ(denied.message, "Admin privileges (DBA or System role) required for namespace operations");
  EXPECT_EQ(to_wire({ErrorCode::kInvalidSql, "Unsupported statement type: COPY"}, true).message,
            "Unsupported statement type: COPY");
  EXPECT_EQ(to_wire({ErrorCode::kUnauthorized, "EXECUTE AS USER is not authorized"}, false).message,
            "Unauthorized: EXECUTE AS USER is not authorized");
}

TEST(ErrorCodes, AccessTextsKeepTheirOwnPrefix) {
  EXPECT_EQ(
      to_wire({ErrorCode::kPermissionDenied, "Access denied: Role 'User' cannot access table 'a.t'"}, false, 2).message,
      "Statement 2 failed: Access denied: Role 'User' cannot access table 'a.t'");
}

TEST(ErrorCodes, StatusesThatAreNot400) {
  EXPECT_EQ(to_wire({ErrorCode::kTimeout, "x"}, true, 1).http_status, 408);
  EXPECT_EQ(to_wire({ErrorCode::kNotImplemented, "x"}, true, 1).http_status, 501);
  EXPECT_EQ(to_wire({ErrorCode::kResultTooLarge, "x"}, true, 1).http_status, 422);
  EXPECT_EQ(to_wire({ErrorCode::kQueryMemoryExceeded, "x"}, true, 1).http_status, 422);
  EXPECT_EQ(to_wire({ErrorCode::kRateLimited, "x"}, true).http_status, 429);
  EXPECT_EQ(to_wire({ErrorCode::kInternal, "x"}, true).http_status, 500);
  EXPECT_EQ(to_wire({ErrorCode::kUnavailable, "x"}, true).http_status, 503);
}

TEST(ErrorCodes, OthersThanAdministratorsAreToldLess) {
  auto shown = [](ErrorCode code, std::string text, std::optional<size_t> statement = 1) {
    return to_wire({code, std::move(text)}, false, statement).message;
  };
  EXPECT_EQ(shown(ErrorCode::kBatchParse, "Unterminated quoted string", std::nullopt), "Failed to parse SQL batch");
  EXPECT_EQ(shown(ErrorCode::kInvalidSql, "near x", std::nullopt), "SQL statement is invalid or not allowed");
  EXPECT_EQ(shown(ErrorCode::kTableNotFound, "a.t"), "SQL statement failed");
  EXPECT_EQ(shown(ErrorCode::kTableNotFound, "a.t", std::nullopt), "Requested table is not available");
  EXPECT_EQ(shown(ErrorCode::kNotFound, "Table 't' not found in namespace 'a'"), "SQL statement failed");
  EXPECT_EQ(shown(ErrorCode::kInternal, "bug at /secret/path"), "SQL request failed");
  EXPECT_EQ(shown(ErrorCode::kIo, "cannot write /secret/path"), "SQL request failed");
  EXPECT_EQ(shown(ErrorCode::kUnavailable, "the log at /secret/path failed").find("secret"), std::string::npos);
  EXPECT_EQ(shown(ErrorCode::kExecution, "division by zero in row"), "SQL statement failed");
}

TEST(ErrorCodes, WhatHelpsToRepairAStatementIsKept) {
  auto shown = [](ErrorCode code, std::string text) { return to_wire({code, std::move(text)}, false, 1).message; };
  EXPECT_EQ(shown(ErrorCode::kInvalidSql, "near x"), "Statement 1 failed: Invalid SQL: near x");
  EXPECT_EQ(shown(ErrorCode::kNotFound, "User 'x' not found"), "Statement 1 failed: Not found: User 'x' not found");
  EXPECT_EQ(shown(ErrorCode::kExecution, "Duplicate key"), "Statement 1 failed: Execution error: Duplicate key");
  EXPECT_EQ(shown(ErrorCode::kExecution, "Column x not found"),
            "Statement 1 failed: Execution error: Column x not found");
  EXPECT_EQ(shown(ErrorCode::kConstraintViolation, "c is NULL"), "Statement 1 failed: Constraint violation: c is NULL");
}

TEST(ErrorCodes, LiveErrorsHaveCodesOfTheirOwn) {
  EXPECT_EQ(to_live_error({ErrorCode::kTableNotFound, "ns:t"}, false).message, "Not found: Table not found: ns:t");
  EXPECT_EQ(to_live_error({ErrorCode::kTableNotFound, "ns:t"}, false).code, "NOT_FOUND");
  EXPECT_EQ(to_live_error({ErrorCode::kInvalidSql, "JOIN"}, false).message, "Invalid SQL: JOIN");
  EXPECT_EQ(to_live_error({ErrorCode::kPermissionDenied, "no"}, false).code, "UNAUTHORIZED");
  EXPECT_EQ(to_live_error({ErrorCode::kInvalidOperation, "Maximum subscriptions (100)"}, false).message,
            "Invalid operation: Maximum subscriptions (100)");
  EXPECT_EQ(to_live_error({ErrorCode::kInternal, "/secret"}, false).message, "Subscription failed");
  EXPECT_EQ(to_live_error({ErrorCode::kInternal, "/secret"}, true).message, "/secret");
}

}  // namespace
}  // namespace kalamdb::protocol
