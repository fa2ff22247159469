// What the filters that DuckDB pushes into a scan say about values, keys, `_seq` and tombstones, so that rows and
// segments that cannot match are not read. The filters themselves are applied elsewhere. For the other files of this
// folder only.
#pragma once

#include <duckdb.hpp>
#include <functional>

#include "duck/source.h"
#include "duckdb/planner/table_filter.hpp"

namespace kalamdb::duck {

// The filter pushed for a stored column, or nullptr.
using FilterLookup = std::function<const duckdb::TableFilter*(const model::ColumnDefinition&)>;

// What a row's value in one column must be for the row to pass. Bounds are encoded by model/key_codec.h; empty: none.
struct ColumnBounds {
  uint32_t slot = 0;
  std::string low;
  std::string high;
  bool low_open = false;  // the bound itself does not pass
  bool high_open = false;
  bool is_null = false;   // it must be NULL
  bool not_null = false;  // it must not
};

struct ScanBounds {
  KeyRange keys;
  std::vector<ColumnBounds> columns;  // those that a filter says something about
  Seq min_seq = INT64_MIN;            // inclusive, both
  Seq max_seq = INT64_MAX;
  bool with_tombstones = false;  // a filter asks for `_deleted` rows
};

// Bounds that every row that passes the filters lies within.
ScanBounds scan_bounds(const model::TableDefinition& table, const FilterLookup& filter_of);

// Whether a segment can hold rows within the bounds.
bool may_match(const Segment& segment, const ScanBounds& bounds);

}  // namespace kalamdb::duck
