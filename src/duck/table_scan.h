// The table function scan(slot): a table of the statement's QueryState, hot rows and segments in one scan.
//
// It is DuckDB's parquet_scan with a MultiFileReader of ours, as DuckDB's own lake formats do it (ducklake, iceberg,
// delta): the list of files is a pseudo file with the hot rows and then the segments, columns are matched by field id
// (the column's slot), and deletion vectors are DeleteFilters. For the other files of this folder only.
#pragma once

#include <duckdb.hpp>

#include "duck/query_state.h"

namespace kalamdb::duck {

inline constexpr const char* kScanFunction = "kalamdb_scan";

void register_table_scan(duckdb::DatabaseInstance& database);

// What a scan in a plan reads; nullptr when it is no scan of ours.
const ScanTarget* scan_target(const duckdb::LogicalGet& get);
// The stored column behind a column id of such a scan, or nullptr.
const model::ColumnDefinition* scan_column_definition(const ScanTarget& target, duckdb::column_t column_id);
// The column id under which such a scan offers a stored column.
duckdb::column_t scan_column_id(const ScanTarget& target, const model::ColumnDefinition& column);
// Lets the optimiser read the columns that only a query's result needs for the rows of the result alone, where that
// pays: rows are told apart by where they lie. (DuckDB's late materialisation.)
void allow_late_materialization(duckdb::LogicalGet& get);
// Names that `*` leaves out but that can be selected.
std::vector<std::string> hidden_columns(const ScanTarget& target);

}  // namespace kalamdb::duck
