// A user's rows in a segment that several users share. For the other files of this folder only.
#pragma once

#include <duckdb.hpp>

#include "base/position_set.h"
#include "parquet_reader.hpp"

namespace kalamdb::duck {

// Reads of a Parquet file only the row groups in which a range of positions lies; which of their rows are in it is the
// deletion filter's to say. One thread reads it.
class RowRangeReader : public duckdb::ParquetReader {
 public:
  // Of the same file as `reader`, a ParquetReader that has just been made.
  static duckdb::shared_ptr<duckdb::BaseFileReader> in_place_of(duckdb::ClientContext& context,
                                                                duckdb::BaseFileReader& reader, PositionRange range);

  RowRangeReader(duckdb::ClientContext& context, const ParquetReader& whole, PositionRange range)
      : ParquetReader(context, whole.file, whole.parquet_options, whole.metadata), range_(range) {}

  bool TryInitializeScan(duckdb::ClientContext& context, duckdb::GlobalTableFunctionState& global,
                         duckdb::LocalTableFunctionState& local) override;
  void Scan(duckdb::ClientContext& context, duckdb::GlobalTableFunctionState& global,
            duckdb::LocalTableFunctionState& local, duckdb::DataChunk& chunk) override;

 private:
  // The next row group in which rows of the range lie; false if there is none.
  bool begin_group(duckdb::ClientContext& context);

  const PositionRange range_;
  bool started_ = false;
  duckdb::idx_t next_group_ = 0;
  uint64_t next_group_begin_ = 0;  // the position of its first row
  duckdb::ParquetReaderScanState state_;
};

}  // namespace kalamdb::duck
