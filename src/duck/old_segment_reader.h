// Reads a segment that was written by an older schema as the current one: columns that it does not have read as their
// `missing` value, and what it holds as a former type is converted as stored rows are (model/convert.h). Filters are
// applied behind that, so they are not used to skip parts of the file. For the other files of this folder only.
#pragma once

#include <duckdb.hpp>

#include "duck/query_state.h"
#include "duck/scan_filters.h"
#include "duckdb/common/multi_file/base_file_reader.hpp"

namespace kalamdb::duck {

// Whether one of `columns` cannot be read from the file as it is.
bool needs_conversion(const duckdb::BaseFileReader& file, std::span<const model::ColumnDefinition* const> columns);

// Threads scan it at once, each a part of the file of its own, as `file`, which it wraps, lets them.
class OldSegmentReader : public duckdb::BaseFileReader {
 public:
  OldSegmentReader(duckdb::shared_ptr<duckdb::BaseFileReader> file, std::shared_ptr<const ScanTarget> target);

  void AddVirtualColumn(duckdb::column_t id) override;
  void PrepareReader(duckdb::ClientContext& context, duckdb::GlobalTableFunctionState& global) override;
  bool TryInitializeScan(duckdb::ClientContext& context, duckdb::GlobalTableFunctionState& global,
                         duckdb::LocalTableFunctionState& local) override {
    return file_->TryInitializeScan(context, global, local);
  }
  void Scan(duckdb::ClientContext& context, duckdb::GlobalTableFunctionState& global,
            duckdb::LocalTableFunctionState& local, duckdb::DataChunk& chunk) override;
  void FinishFile(duckdb::ClientContext& context, duckdb::GlobalTableFunctionState& global) override {
    file_->FinishFile(context, global);
  }
  double GetProgressInFile(duckdb::ClientContext& context) override { return file_->GetProgressInFile(context); }
  duckdb::string GetReaderType() const override { return file_->GetReaderType(); }

 private:
  // Where one column of a chunk comes from.
  struct Origin {
    const model::ColumnDefinition* column = nullptr;  // nullptr: one that the file's reader makes, passed on
    std::optional<size_t> former;                     // which of its former slots it is stored in, if in one
    std::optional<size_t> position;                   // in what the file gives; nullopt: not there
  };
  void fill(duckdb::ClientContext& context, const Origin& origin, duckdb::DataChunk& stored, duckdb::Vector& result);

  duckdb::shared_ptr<duckdb::BaseFileReader> file_;
  std::shared_ptr<const ScanTarget> target_;
  size_t made_columns_ = 0;      // behind the table's own
  std::vector<Origin> origins_;  // of each column of a chunk
  duckdb::vector<duckdb::LogicalType> stored_types_;
};

}  // namespace kalamdb::duck
