// Cuts SQL text into statements the way the server's tokenizer sees them: a ';' inside quotes, comments or dollar
// quotes does not end a statement.
#pragma once

#include <string_view>
#include <vector>

namespace kalamdb::cli {

// One statement, or one backslash command (a line that starts with '\' where a statement could start). `text` is a view
// into the source without leading blanks and comments and without the closing ';'.
struct SqlPiece {
  std::string_view text;
  size_t line = 1;       // 1-based line on which `text` starts
  bool complete = true;  // false for a last statement whose ';' has not come yet
  bool meta = false;
};

// Pieces in order; empty statements are left out.
std::vector<SqlPiece> split_sql(std::string_view sql);

// Joins BEGIN … COMMIT (or ROLLBACK) into one piece, since a transaction lives within one request. A transaction that
// is still open at the end stays incomplete. `pieces` are views into `sql`, as split_sql made them.
std::vector<SqlPiece> join_transactions(std::string_view sql, const std::vector<SqlPiece>& pieces);

}  // namespace kalamdb::cli
