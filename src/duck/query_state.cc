#include "duck/query_state.h"

namespace kalamdb::duck {

bool ScanTarget::is_visible(const model::ColumnDefinition& column) const {
  if (cursor) return true;
  if (column.name == model::kHiddenKeyColumn) return false;
  return !(column.is_system() && (hide_system_columns || table->type == model::TableType::kSystem));
}

uint64_t ScanTarget::memory_row_estimate() const {
  if (source.computed) return source.computed->rows->size();
  return source.scan ? source.scan->hot_row_estimate() : 0;
}

uint64_t ScanTarget::row_estimate() const {
  uint64_t rows = memory_row_estimate();
  for (const Segment& segment : all_segments()) rows += segment.visible.size();
  return rows;
}

QueryState& QueryState::of(duckdb::ClientContext& context) {
  auto state = context.registered_state->Get<QueryState>(kKey);
  if (!state) throw duckdb::InvalidInputException("no table may be read here");
  return *state;  // the connection keeps it alive
}

size_t QueryState::add(ScanTarget target) {
  targets_.push_back(std::make_shared<const ScanTarget>(std::move(target)));
  return targets_.size() - 1;
}

const std::shared_ptr<const ScanTarget>& QueryState::target(size_t slot) const {
  if (slot >= targets_.size()) throw duckdb::InvalidInputException("no such table");
  return targets_[slot];
}

void QueryState::raise(Error error) {
  {
    std::lock_guard lock(mutex_);
    if (!error_) error_ = std::move(error);
  }
  throw duckdb::InvalidInputException("reading a table failed");
}

std::optional<Error> QueryState::take_error() {
  std::lock_guard lock(mutex_);
  return std::exchange(error_, std::nullopt);
}

}  // namespace kalamdb::duck
