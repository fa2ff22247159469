#include "duck/old_segment_reader.h"

#include "duck/memory_reader.h"
#include "duck/types.h"
#include "duckdb/common/vector_operations/vector_operations.hpp"
#include "model/convert.h"

namespace kalamdb::duck {

namespace {

std::optional<size_t> find_slot(const duckdb::BaseFileReader& file, uint32_t slot) {
  for (size_t i = 0; i < file.columns.size(); ++i) {
    const auto& identifier = file.columns[i].identifier;
    if (!identifier.IsNull() && identifier.GetValue<uint32_t>() == slot) return i;
  }
  return std::nullopt;
}

// Rows `stored` in one of the column's former slots, as the column's.
void convert_rows(duckdb::ClientContext& context, duckdb::Vector& stored, const model::ColumnDefinition& column,
                  size_t former, duckdb::idx_t count, duckdb::Vector& result) {
  const ColumnView view(stored, count, column.older_rows->former[former].type);
  for (duckdb::idx_t row = 0; row < count; ++row) {
    auto value = model::convert_former(view.cell(row), column, former);
    if (!value) QueryState::of(context).raise(std::move(value).error());
    write_cell(result, row, model::view(*value), column.type);
  }
}

}  // namespace

bool needs_conversion(const duckdb::BaseFileReader& file, std::span<const model::ColumnDefinition* const> columns) {
  return std::any_of(columns.begin(), columns.end(),
                     [&](const auto* column) { return !find_slot(file, column->slot()); });
}

OldSegmentReader::OldSegmentReader(duckdb::shared_ptr<duckdb::BaseFileReader> file,
                                   std::shared_ptr<const ScanTarget> target)
    : BaseFileReader(file->file), file_(std::move(file)), target_(std::move(target)) {
  for (const auto& column : target_->table->columns) columns.push_back(scan_column(column));
}

void OldSegmentReader::AddVirtualColumn(duckdb::column_t id) {
  // The caller has put it behind our columns; it goes behind the file's likewise.
  file_->columns.push_back(columns.back());
  file_->AddVirtualColumn(id);
  ++made_columns_;
}

void OldSegmentReader::PrepareReader(duckdb::ClientContext& context, duckdb::GlobalTableFunctionState& global) {
  const auto& table_columns = target_->table->columns;
  const auto read = [&](size_t local) {
    file_->column_ids.push_back(duckdb::MultiFileLocalColumnId(local));
    file_->column_indexes.emplace_back(local);
    stored_types_.push_back(file_->columns[local].type);
    return file_->column_ids.size() - 1;
  };
  for (size_t i = 0; i < column_ids.size(); ++i) {
    const size_t id = column_ids[duckdb::MultiFileLocalIndex(i)].GetId();
    Origin origin;
    if (id >= table_columns.size()) {
      origin.position = read(file_->columns.size() - made_columns_ + (id - table_columns.size()));
      origins_.push_back(origin);
      continue;
    }
    origin.column = &table_columns[id];
    auto local = find_slot(*file_, origin.column->slot());
    for (size_t former = 0; !local && former < origin.column->older_rows->former.size(); ++former) {
      local = find_slot(*file_, origin.column->older_rows->former[former].slot);
      origin.former = former;
    }
    if (local) origin.position = read(*local);
    origins_.push_back(origin);
  }
  file_->PrepareReader(context, global);
}

void OldSegmentReader::Scan(duckdb::ClientContext& context, duckdb::GlobalTableFunctionState& global,
                            duckdb::LocalTableFunctionState& local, duckdb::DataChunk& chunk) {
  duckdb::DataChunk stored;
  stored.Initialize(context, stored_types_);
  // Filters keep a state: one for each thread that scans.
  auto scan_filters = prepare_filters(context, filters.get());
  do {
    stored.Reset();
    chunk.Reset();
    file_->Scan(context, global, local, stored);
    for (size_t i = 0; i < origins_.size(); ++i) fill(context, origins_[i], stored, chunk.data[i]);
    chunk.SetCardinality(stored.size());
    apply_filters(scan_filters, chunk);
    if (context.interrupted) throw duckdb::InterruptException();
  } while (chunk.size() == 0 && stored.size() > 0);
}

void OldSegmentReader::fill(duckdb::ClientContext& context, const Origin& origin, duckdb::DataChunk& stored,
                            duckdb::Vector& result) {
  const auto count = stored.size();
  if (!origin.position) {
    result.Reference(to_duck_value(model::view(origin.column->older_rows->missing), origin.column->type));
    return;
  }
  duckdb::Vector& values = stored.data[*origin.position];
  if (!origin.former) {
    if (values.GetType() == result.GetType()) {
      result.Reference(values);
    } else {
      duckdb::VectorOperations::Cast(context, values, result, count);
    }
    return;
  }
  duckdb::Vector former(to_duck_type(origin.column->older_rows->former[*origin.former].type), count);
  if (values.GetType() == former.GetType()) {
    former.Reference(values);
  } else {
    duckdb::VectorOperations::Cast(context, values, former, count);
  }
  convert_rows(context, former, *origin.column, *origin.former, count, result);
}

}  // namespace kalamdb::duck
