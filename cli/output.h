// Shows what the server answered: tables, JSON or CSV.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "cli/http_client.h"

namespace kalamdb::cli {

enum class Format { kTable, kJson, kCsv };

// "table", "json" or "csv"; nothing for any other name.
std::optional<Format> parse_format(std::string_view name);

struct OutputOptions {
  Format format = Format::kTable;
  bool color = false;
  bool expanded = false;  // one line a cell instead of one line a row
  std::string user;       // who is logged in: "[As: …]" is shown for anybody else
};

// What to print where. `ok` = the server reports success.
struct Rendered {
  bool ok = true;
  std::string out;
  std::string error;
};

// Renders the answer to /v1/api/sql. A failed batch shows the results of what ran before the failure.
Rendered render_response(const HttpResponse& response, const OutputOptions& options);

// "ERROR {code}: {message}" for a SQL error; "Server error ({status}): {message}" for every other failure.
std::string describe_failure(const HttpResponse& response);

// render_response to standard output and standard error; returns whether it was a success.
bool print_response(const HttpResponse& response, const OutputOptions& options);

// A microsecond timestamp since the epoch as RFC 3339 in UTC; fractions only where there are any.
std::string format_timestamp(int64_t micros);

}  // namespace kalamdb::cli
