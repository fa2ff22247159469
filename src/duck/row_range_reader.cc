#include "duck/row_range_reader.h"

namespace kalamdb::duck {

duckdb::shared_ptr<duckdb::BaseFileReader> RowRangeReader::in_place_of(duckdb::ClientContext& context,
                                                                       duckdb::BaseFileReader& reader,
                                                                       PositionRange range) {
  auto in_range = duckdb::make_shared_ptr<RowRangeReader>(context, dynamic_cast<const ParquetReader&>(reader), range);
  in_range->file_list_idx = reader.file_list_idx;
  return in_range;
}

bool RowRangeReader::TryInitializeScan(duckdb::ClientContext& context, duckdb::GlobalTableFunctionState&,
                                       duckdb::LocalTableFunctionState&) {
  return !std::exchange(started_, true) && begin_group(context);
}

bool RowRangeReader::begin_group(duckdb::ClientContext& context) {
  const auto& all = GetFileMetadata()->row_groups;
  while (next_group_ < all.size()) {
    const uint64_t begin = next_group_begin_;
    const duckdb::idx_t group = next_group_++;
    next_group_begin_ += static_cast<uint64_t>(all[group].num_rows);
    if (begin >= range_.end) return false;
    if (next_group_begin_ <= range_.begin) continue;
    // One at a time, as DuckDB itself does it: a state does not outlive a group that statistics rule out.
    InitializeScan(context, state_, {group});
    return true;
  }
  return false;
}

void RowRangeReader::Scan(duckdb::ClientContext& context, duckdb::GlobalTableFunctionState&,
                          duckdb::LocalTableFunctionState&, duckdb::DataChunk& chunk) {
  do {
    ParquetReader::Scan(context, state_, chunk);
  } while (chunk.size() == 0 && begin_group(context));
}

}  // namespace kalamdb::duck
