// Box tables on the terminal.
#pragma once

#include <string>
#include <vector>

namespace kalamdb::cli {

// Cells are UTF-8 without control characters.
struct Table {
  std::vector<std::string> headers;
  std::vector<bool> align_right;  // one a column
  std::vector<std::vector<std::string>> rows;
};

// The table with its borders and a closing newline. A column is as wide as its widest cell.
std::string render_table(const Table& table);

// One "column │ value" line for each cell, with a heading for each row: for rows wider than the terminal (\x).
std::string render_expanded(const Table& table);

}  // namespace kalamdb::cli
