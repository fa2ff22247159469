// For COUNT(*), which needs no rows. For the other files of this folder only.
#pragma once

#include <duckdb.hpp>

#include "duckdb/common/multi_file/base_file_reader.hpp"

namespace kalamdb::duck {

// Stands for a segment, or the hot rows, of which nothing but their number is asked.
class RowCounter : public duckdb::BaseFileReader {
 public:
  RowCounter(duckdb::OpenFileInfo file, uint64_t rows) : BaseFileReader(std::move(file)), rows_(rows) {}

  bool TryInitializeScan(duckdb::ClientContext&, duckdb::GlobalTableFunctionState&,
                         duckdb::LocalTableFunctionState&) override {
    return !std::exchange(started_, true);
  }
  void Scan(duckdb::ClientContext&, duckdb::GlobalTableFunctionState&, duckdb::LocalTableFunctionState&,
            duckdb::DataChunk& chunk) override {
    const auto count = std::min<uint64_t>(rows_, STANDARD_VECTOR_SIZE);
    chunk.SetCardinality(count);
    rows_ -= count;
  }
  duckdb::string GetReaderType() const override { return "Count"; }

 private:
  bool started_ = false;
  uint64_t rows_;
};

}  // namespace kalamdb::duck
