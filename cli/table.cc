#include "cli/table.h"

#include <fmt/format.h>

#include <algorithm>

#include "cli/text.h"

namespace kalamdb::cli {

namespace {

void append_repeated(std::string& out, std::string_view text, size_t times) {
  for (size_t i = 0; i < times; ++i) out += text;
}

void append_rule(std::string& out, const std::vector<size_t>& widths, std::string_view left, std::string_view middle,
                 std::string_view right) {
  for (size_t i = 0; i < widths.size(); ++i) {
    out += i == 0 ? left : middle;
    append_repeated(out, "─", widths[i] + 2);
  }
  out += right;
  out += '\n';
}

void append_padded(std::string& out, std::string_view text, size_t width, bool right) {
  const size_t padding = width - display_width(text);
  if (right) out.append(padding, ' ');
  out += text;
  if (!right) out.append(padding, ' ');
}

void append_row(std::string& out, const std::vector<std::string>& cells, const std::vector<size_t>& widths,
                const std::vector<bool>& align_right) {
  for (size_t i = 0; i < widths.size(); ++i) {
    out += "│ ";
    append_padded(out, cells[i], widths[i], align_right[i]);
    out += ' ';
  }
  out += "│\n";
}

}  // namespace

std::string render_table(const Table& table) {
  std::vector<size_t> widths;
  for (const std::string& header : table.headers) widths.push_back(display_width(header));
  for (const auto& row : table.rows) {
    for (size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], display_width(row[i]));
  }
  std::string out;
  append_rule(out, widths, "┌", "┬", "┐");
  append_row(out, table.headers, widths, std::vector<bool>(widths.size(), false));
  append_rule(out, widths, "├", "┼", "┤");
  for (const auto& row : table.rows) append_row(out, row, widths, table.align_right);
  append_rule(out, widths, "└", "┴", "┘");
  return out;
}

std::string render_expanded(const Table& table) {
  size_t width = 0;
  for (const std::string& header : table.headers) width = std::max(width, display_width(header));
  std::string out;
  for (size_t row = 0; row < table.rows.size(); ++row) {
    out += fmt::format("─[ row {} ]─\n", row + 1);
    for (size_t i = 0; i < table.headers.size(); ++i) {
      append_padded(out, table.headers[i], width, false);
      out += " │ " + table.rows[row][i] + '\n';
    }
  }
  return out;
}

}  // namespace kalamdb::cli
