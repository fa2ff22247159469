// kalam import: loads a file of JSON lines or CSV into a table.
#pragma once

#include <optional>
#include <string>

#include "cli/session.h"

namespace kalamdb::cli {

struct ImportOptions {
  std::string table;                  // "ns.t" or "t"
  std::string path;                   // "-" = standard input
  std::optional<std::string> format;  // "jsonl" or "csv"; by the file's name when left out
  std::string on_conflict = "fail";   // or "skip": a row whose key is there already is left out, not refused
  size_t batch_rows = 500;
  size_t connections = 4;
  std::string as_user_column;  // empty = all rows as the caller
  std::string rejects_path;    // empty = none
};

// Streams the file in bounded memory into INSERT statements on several connections, reports each refused row with line,
// column and reason on standard error, and prints a summary. Rows that are in flight together reach the table in any
// order. Returns the exit code: 0 when every row was read and none was refused.
int run_import(Session& session, const ImportOptions& options);

}  // namespace kalamdb::cli
