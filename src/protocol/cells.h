// Cells, rows and schemas as HTTP results and live queries show them.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "model/table.h"
#include "model/value.h"
#include "protocol/json_text.h"

namespace kalamdb::protocol {

// Appends a cell: BIGINT and DECIMAL as decimal strings, JSON and FILE as strings that hold JSON text, BYTES and
// EMBEDDING as arrays of numbers, dates and times as numbers. False if a NaN or an infinity had to become null.
bool append_cell(std::string& out, const model::ValueView& value, const model::DataType& type);

// What a stored column says about itself; a set of bits. Computed columns have none.
using FieldFlags = uint8_t;
inline constexpr FieldFlags kPrimaryKeyFlag = 1;
inline constexpr FieldFlags kNotNullFlag = 2;
inline constexpr FieldFlags kUniqueFlag = 4;
FieldFlags flags_of(const model::ColumnDefinition& column);

// A column of a result.
struct Field {
  std::string_view name;  // borrowed
  model::DataType type;
  FieldFlags flags = 0;
  bool inline_json = false;  // a JSON column whose text is written as JSON, not as a string
};

// "BigInt", {"Embedding":384}: the `data_type` of a schema field.
void append_data_type(std::string& out, const model::DataType& type);
// {"name":"id","data_type":"BigInt","index":0,"flags":["pk","nn","uq"]}
void append_schema_field(std::string& out, std::string_view name, const model::DataType& type, size_t index,
                         FieldFlags flags);
// The array of all of them.
void append_schema(std::string& out, std::span<const Field> fields);

// Writes rows as objects keyed by column name, with the names escaped once. Immutable, so safe to share.
class RowObjectEncoder {
 public:
  explicit RowObjectEncoder(std::span<const Field> fields);

  // Appends {"name":cell,…}. `cell(column)` gives std::optional<model::ValueView>; columns without one are left out.
  template <typename Cell>
  void append(std::string& out, const Cell& cell) const {
    char before = '{';
    for (size_t column = 0; column < columns_.size(); ++column) {
      const std::optional<model::ValueView> value = cell(column);
      if (!value) continue;
      out.push_back(before);
      out.append(columns_[column].key);
      append_cell(out, *value, columns_[column].type);
      before = ',';
    }
    if (before == '{') out.push_back('{');
    out.push_back('}');
  }

 private:
  struct Column {
    std::string key;  // "name": with quotes and colon
    model::DataType type;
  };
  std::vector<Column> columns_;
};

}  // namespace kalamdb::protocol
