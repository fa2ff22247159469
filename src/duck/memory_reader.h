// Rows that are in memory or in the hot store as one "file" of a scan, beside the Parquet files of its segments: one
// scan with one set of filters reads both. For the other files of this folder only.
#pragma once

#include <duckdb.hpp>

#include "duck/query_state.h"
#include "duck/scan_filters.h"
#include "duckdb/common/multi_file/base_file_reader.hpp"

namespace kalamdb::duck {

// A stored column as DuckDB's file readers describe it: found by its slot.
duckdb::MultiFileColumnDefinition scan_column(const model::ColumnDefinition& column);

class MemoryReader : public duckdb::BaseFileReader {
 public:
  MemoryReader(duckdb::OpenFileInfo file, std::shared_ptr<const ScanTarget> target);

  // Hands itself to the first thread that asks: rows come in their order, from one thread.
  bool TryInitializeScan(duckdb::ClientContext& context, duckdb::GlobalTableFunctionState& global,
                         duckdb::LocalTableFunctionState& local) override;
  void Scan(duckdb::ClientContext& context, duckdb::GlobalTableFunctionState& global,
            duckdb::LocalTableFunctionState& local, duckdb::DataChunk& chunk) override;
  duckdb::string GetReaderType() const override { return "Hot"; }

 private:
  void prepare(duckdb::ClientContext& context);
  duckdb::idx_t fill(duckdb::ClientContext& context, duckdb::DataChunk& chunk);
  duckdb::idx_t fill_from_cursor(duckdb::ClientContext& context, duckdb::DataChunk& chunk);
  duckdb::idx_t fill_from_rows(duckdb::DataChunk& chunk);
  void write_row(duckdb::ClientContext& context, duckdb::DataChunk& chunk, duckdb::idx_t row,
                 const model::RowRecord& record);

  std::shared_ptr<const ScanTarget> target_;
  bool started_ = false;
  bool finished_ = false;
  std::vector<const model::ColumnDefinition*> chunk_columns_;
  std::vector<ScanFilter> filters_;
  std::unique_ptr<model::RowCursor> owned_cursor_;
  model::RowCursor* cursor_ = nullptr;
  uint64_t hot_rows_ = 0;  // that were read
  size_t next_row_ = 0;    // of computed rows
};

}  // namespace kalamdb::duck
