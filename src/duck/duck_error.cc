#include "duck/duck_error.h"

#include <regex>

#include "base/log.h"

namespace kalamdb::duck {

namespace {

// The first sentence or two, without "Did you mean", candidate lists and excerpts of the statement.
std::string first_part(std::string text) {
  for (const char* end : {"\n", "Candidate ", "Did you mean", "LINE 1:", " Use ::", " Try ", "(key "}) {
    if (const auto at = text.find(end); at != std::string::npos) text.resize(at);
  }
  while (!text.empty() && (text.back() == ' ' || text.back() == '!' || text.back() == '.')) text.pop_back();
  return text;
}

Error binder_error(const std::string& raw) {
  // The texts that tests of older clients look for.
  static const std::regex column(R"re(^Referenced (?:update )?column "([^"]*)" (?:was )?not found)re");
  static const std::regex table_column(R"re(^(?:Table|Values list) "[^"]*" does not have a column named "([^"]*)")re");
  static const std::regex table(R"re(^Referenced table "([^"]*)" not found)re");
  static const std::regex function(R"re(^\w* ?\w* ?[Ff]unction with name "?([^" ]*)"? does not exist)re");
  std::smatch match;
  if (std::regex_search(raw, match, column) || std::regex_search(raw, match, table_column))
    return {ErrorCode::kInvalidOperation, "Column '" + match[1].str() + "' does not exist"};
  if (std::regex_search(raw, match, table))
    return {ErrorCode::kInvalidSql, "Table or alias '" + match[1].str() + "' is not in the FROM clause"};
  if (std::regex_search(raw, match, function))
    return {ErrorCode::kInvalidSql, "Function '" + match[1].str() + "' does not exist"};
  return {ErrorCode::kInvalidSql, first_part(raw)};
}

}  // namespace

Error to_error(const duckdb::ErrorData& error) {
  const std::string& raw = error.RawMessage();
  switch (error.Type()) {
    case duckdb::ExceptionType::PARSER:
    case duckdb::ExceptionType::SYNTAX:
    case duckdb::ExceptionType::BINDER:
    case duckdb::ExceptionType::CATALOG:
    case duckdb::ExceptionType::EXPRESSION:
    case duckdb::ExceptionType::PARAMETER_NOT_ALLOWED:
    case duckdb::ExceptionType::PARAMETER_NOT_RESOLVED:
      return binder_error(raw);
    case duckdb::ExceptionType::INTERRUPT:
      return {ErrorCode::kTimeout, "The query was stopped because it ran too long or was cancelled"};
    case duckdb::ExceptionType::OUT_OF_MEMORY:
      return {
          ErrorCode::kQueryMemoryExceeded,
          "The query needs more memory than limits.query_memory_bytes allows, or computes a value that is too large; "
          "select fewer rows or columns"};
    case duckdb::ExceptionType::NOT_IMPLEMENTED:
      return {ErrorCode::kNotImplemented, first_part(raw)};
    case duckdb::ExceptionType::PERMISSION:
      return {ErrorCode::kInvalidSql, "Files and settings cannot be reached from SQL"};
    case duckdb::ExceptionType::CONNECTION:  // SegmentFileSystem's
      return {ErrorCode::kUnavailable, raw};
    case duckdb::ExceptionType::IO:
    case duckdb::ExceptionType::HTTP:
      log::error("reading or writing a segment failed: {}", raw);
      return {ErrorCode::kIo, "Reading or writing stored rows failed; the server's log says which file"};
    case duckdb::ExceptionType::INTERNAL:
    case duckdb::ExceptionType::FATAL:
      log::error("the SQL engine failed: {}", raw);
      return {ErrorCode::kInternal, "The SQL engine failed on this statement"};
    default:
      return {ErrorCode::kExecution, first_part(raw)};
  }
}

Error to_error(const std::exception& exception) {
  if (dynamic_cast<const std::bad_alloc*>(&exception))
    return {ErrorCode::kQueryMemoryExceeded, "The server is out of memory for this query"};
  return to_error(duckdb::ErrorData(exception));
}

}  // namespace kalamdb::duck
