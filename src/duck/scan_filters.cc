#include "duck/scan_filters.h"

#include "duckdb/storage/table/column_segment.hpp"

namespace kalamdb::duck {

std::vector<ScanFilter> prepare_filters(duckdb::ClientContext& context, const duckdb::TableFilterSet* filters) {
  std::vector<ScanFilter> prepared;
  if (!filters) return prepared;
  for (const auto& [index, filter] : filters->filters)
    prepared.push_back({filter.get(), index, duckdb::TableFilterState::Initialize(context, *filter)});
  return prepared;
}

void apply_filters(std::vector<ScanFilter>& filters, duckdb::DataChunk& chunk) {
  if (filters.empty()) return;
  const auto count = chunk.size();
  duckdb::SelectionVector selection(count);
  for (duckdb::idx_t i = 0; i < count; ++i) selection.set_index(i, i);
  duckdb::idx_t approved = count;
  for (ScanFilter& filter : filters) {
    if (approved == 0) break;
    duckdb::Vector& vector = chunk.data[filter.column];
    duckdb::UnifiedVectorFormat format;
    vector.ToUnifiedFormat(count, format);
    duckdb::ColumnSegment::FilterSelection(selection, vector, format, *filter.filter, *filter.state, count, approved);
  }
  if (approved != count) chunk.Slice(selection, approved);
}

}  // namespace kalamdb::duck
