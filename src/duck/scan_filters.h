// The filters that DuckDB pushes into a scan, applied to a chunk by readers that cannot do it themselves. For the other
// files of this folder only.
#pragma once

#include <duckdb.hpp>

#include "duckdb/planner/table_filter.hpp"
#include "duckdb/planner/table_filter_state.hpp"

namespace kalamdb::duck {

struct ScanFilter {
  const duckdb::TableFilter* filter;
  size_t column;  // in the chunk
  duckdb::unique_ptr<duckdb::TableFilterState> state;
};

// `filters` (nullptr: none) must outlive what it returns.
std::vector<ScanFilter> prepare_filters(duckdb::ClientContext& context, const duckdb::TableFilterSet* filters);
// Keeps the rows of the chunk that pass all of them.
void apply_filters(std::vector<ScanFilter>& filters, duckdb::DataChunk& chunk);

}  // namespace kalamdb::duck
