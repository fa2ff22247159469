// The columns of the table that an import fills, and how a value of the file becomes an SQL literal for one.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace kalamdb::cli {

// As much of a column's type as decides how its literals are written.
enum class ColumnClass : uint8_t { kInteger, kNumber, kBoolean, kBytes, kTime, kText };

// By the SQL name of a type, as information_schema has it. kTime is dates, times and timestamps; kText all that
// remains.
ColumnClass column_class(std::string_view sql_type);

struct ImportColumn {
  std::string name;
  ColumnClass type = ColumnClass::kText;
};

class ImportColumns {
 public:
  explicit ImportColumns(std::vector<ImportColumn> columns) : columns_(std::move(columns)) {}

  size_t size() const { return columns_.size(); }
  const ImportColumn& operator[](size_t index) const { return columns_[index]; }
  // The position of `name`, exactly or else without regard to case. `hint` is tried first: columns tend to come in
  // order.
  std::optional<size_t> find(std::string_view name, size_t hint) const;

 private:
  std::vector<ImportColumn> columns_;
};

// Appends the literal for a value that is text in the file (a CSV field, a JSON string); false when `text` cannot be a
// value of the column, which then is left as it was.
bool append_text_literal(std::string& out, ColumnClass type, std::string_view text);

// Appends the literal for a JSON number, by its text in the file; false as above.
bool append_number_literal(std::string& out, ColumnClass type, std::string_view number);

// Appends the literal for a JSON array of numbers from 0 to 255, which is how results show bytes; false as above.
bool append_bytes_literal(std::string& out, std::string_view json_array);

bool is_integer(std::string_view text);
// A decimal number with optional fraction and exponent. NaN and infinities are not.
bool is_number(std::string_view text);

}  // namespace kalamdb::cli
