#include "query/stored_row.h"

namespace kalamdb::query {

Result<model::Row> decode_row(const model::TableDefinition& table, std::string_view row, Seq seq, bool deleted) {
  KALAM_TRY(const auto view, model::RowView::open(row));
  model::Row values;
  values.reserve(table.columns.size());
  for (const auto& column : table.columns) {
    if (column.name == model::kSeqColumn) {
      values.emplace_back(seq);
    } else if (column.name == model::kDeletedColumn) {
      values.emplace_back(deleted);
    } else {
      KALAM_TRY(const model::ValueView value, view.get(column));
      values.push_back(model::to_value(value));
    }
  }
  return values;
}

}  // namespace kalamdb::query
