#include "duck/memory_reader.h"

#include "duck/pushed_filters.h"
#include "duck/types.h"
#include "duckdb/parser/expression/constant_expression.hpp"

namespace kalamdb::duck {

duckdb::MultiFileColumnDefinition scan_column(const model::ColumnDefinition& column) {
  const auto type = to_duck_type(column.type);
  duckdb::MultiFileColumnDefinition definition(column.name, type);
  definition.identifier = duckdb::Value::INTEGER(static_cast<int32_t>(column.slot()));
  definition.default_expression = duckdb::make_uniq<duckdb::ConstantExpression>(
      to_duck_value(model::view(column.older_rows->missing), column.type));
  return definition;
}

MemoryReader::MemoryReader(duckdb::OpenFileInfo file, std::shared_ptr<const ScanTarget> target)
    : BaseFileReader(std::move(file)), target_(std::move(target)) {
  for (const auto& column : target_->table->columns) columns.push_back(scan_column(column));
}

bool MemoryReader::TryInitializeScan(duckdb::ClientContext& context, duckdb::GlobalTableFunctionState&,
                                     duckdb::LocalTableFunctionState&) {
  if (started_) return false;
  started_ = true;
  prepare(context);
  return true;
}

void MemoryReader::prepare(duckdb::ClientContext& context) {
  for (size_t i = 0; i < column_ids.size(); ++i)
    chunk_columns_.push_back(&target_->table->columns[column_ids[duckdb::MultiFileLocalIndex(i)].GetId()]);
  filters_ = prepare_filters(context, filters.get());
  if (target_->cursor) cursor_ = target_->cursor;
  if (!target_->source.scan) return;
  const ScanBounds bounds = scan_bounds(*target_->table, [&](const model::ColumnDefinition& column) {
    for (const ScanFilter& filter : filters_)
      if (chunk_columns_[filter.column] == &column) return filter.filter;
    return static_cast<const duckdb::TableFilter*>(nullptr);
  });
  owned_cursor_ = target_->source.scan->hot(bounds.keys, bounds.with_tombstones);
  cursor_ = owned_cursor_.get();
}

void MemoryReader::Scan(duckdb::ClientContext& context, duckdb::GlobalTableFunctionState&,
                        duckdb::LocalTableFunctionState&, duckdb::DataChunk& chunk) {
  while (!finished_) {
    chunk.Reset();
    const auto count = fill(context, chunk);
    chunk.SetCardinality(count);
    if (count == 0) break;
    apply_filters(filters_, chunk);
    if (chunk.size() > 0) return;
    if (context.interrupted) throw duckdb::InterruptException();
  }
  finished_ = true;
  chunk.SetCardinality(0);
}

duckdb::idx_t MemoryReader::fill(duckdb::ClientContext& context, duckdb::DataChunk& chunk) {
  if (cursor_) return fill_from_cursor(context, chunk);
  return target_->source.computed ? fill_from_rows(chunk) : 0;
}

duckdb::idx_t MemoryReader::fill_from_cursor(duckdb::ClientContext& context, duckdb::DataChunk& chunk) {
  duckdb::idx_t count = 0;
  while (count < STANDARD_VECTOR_SIZE) {
    auto record = cursor_->next();
    if (!record) QueryState::of(context).raise(std::move(record).error());
    if (!*record) {
      finished_ = true;
      break;
    }
    write_row(context, chunk, count++, **record);
  }
  hot_rows_ += count;
  if (finished_ && owned_cursor_ && filters_.empty()) target_->source.scan->learn_hot_rows(hot_rows_);
  return count;
}

void MemoryReader::write_row(duckdb::ClientContext& context, duckdb::DataChunk& chunk, duckdb::idx_t row,
                             const model::RowRecord& record) {
  if (chunk_columns_.empty()) return;
  auto view = model::RowView::open(record.row);
  if (!view) QueryState::of(context).raise(std::move(view).error());
  for (size_t i = 0; i < chunk_columns_.size(); ++i) {
    const auto& column = *chunk_columns_[i];
    if (column.is_system() && column.name == model::kSeqColumn) {
      duckdb::FlatVector::GetData<int64_t>(chunk.data[i])[row] = record.seq;
    } else if (column.is_system() && column.name == model::kDeletedColumn) {
      duckdb::FlatVector::GetData<bool>(chunk.data[i])[row] = record.deleted;
    } else if (column.is_system() && column.name == model::kUserColumn) {
      write_cell(chunk.data[i], row, std::string_view(record.user->value), column.type);
    } else {
      auto value = view->get(column);
      if (!value) QueryState::of(context).raise(std::move(value).error());
      if (target_->stats) (*target_->stats)[&column - target_->table->columns.data()].add(*value);
      write_cell(chunk.data[i], row, *value, column.type);
    }
  }
}

duckdb::idx_t MemoryReader::fill_from_rows(duckdb::DataChunk& chunk) {
  const auto& rows = *target_->source.computed->rows;
  const size_t count = std::min<size_t>(STANDARD_VECTOR_SIZE, rows.size() - next_row_);
  for (size_t i = 0; i < chunk_columns_.size(); ++i) {
    const size_t index = chunk_columns_[i] - target_->table->columns.data();
    for (size_t row = 0; row < count; ++row)
      write_cell(chunk.data[i], row, model::view(rows[next_row_ + row][index]), chunk_columns_[i]->type);
  }
  next_row_ += count;
  return count;
}

}  // namespace kalamdb::duck
