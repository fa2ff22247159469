// Values of one column type as another: what ALTER TABLE makes of what is stored, hot or cold.
#pragma once

#include "model/table.h"

namespace kalamdb::model {

enum class Conversion : uint8_t {
  kNone,     // means nothing: refused
  kAlways,   // every value converts
  kChecked,  // some values do not
};
Conversion conversion(const DataType& from, const DataType& to);

// A value of `from` as one of `to`, between which there is a conversion; NULL stays NULL. Errors: kSchema, as coerce().
Result<Value> convert(const ValueView& value, const DataType& from, const DataType& to);

// What a row from before a change of the column's type holds, a value of `column.older_rows->former[former]`, as the
// column's: by way of each type that it has had since. Errors: kConflict, see RowView::get().
Result<Value> convert_former(const ValueView& value, const ColumnDefinition& column, size_t former);

}  // namespace kalamdb::model
