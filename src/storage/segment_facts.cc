#include "storage/segment_facts.h"

#include <algorithm>

#include "cold/bloom.h"
#include "model/row_codec.h"
#include "storage/segment_scope.h"

namespace kalamdb::storage {

SegmentFacts::SegmentFacts(const model::TableDefinition& table) : table_(table) {
  for (const auto& column : table.columns) {
    if (column.is_system() && column.name != model::kHiddenKeyColumn) continue;
    builders_.emplace_back(column);
    columns_.push_back(&column);
  }
}

Result<> SegmentFacts::add(const duck::SegmentRow& row) {
  std::string key = segment_key(table_, row.user, row.key);
  if (!keys_.empty() && key <= keys_.back()) return fail(ErrorCode::kCorruption, "A segment is out of order");
  keys_.push_back(std::move(key));
  users_.add_row(row.user);
  KALAM_TRY(const auto view, model::RowView::open(row.row));
  for (size_t i = 0; i < columns_.size(); ++i) {
    KALAM_TRY(const auto value, view.get(*columns_[i]));
    builders_[i].add(value);
  }
  return {};
}

std::vector<model::ColumnStats> SegmentFacts::columns() const {
  std::vector<model::ColumnStats> columns;
  for (const auto& builder : builders_) columns.push_back(builder.finish());
  std::ranges::sort(columns, {}, &model::ColumnStats::slot);
  return columns;
}

std::string SegmentFacts::filter_record() const { return cold::BloomFilter::build(keys_).record(); }

}  // namespace kalamdb::storage
