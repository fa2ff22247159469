#include "cli/import_batch.h"

#include <algorithm>
#include <utility>

#include "cli/text.h"

namespace kalamdb::cli {

void Batch::add(std::string_view row, uint64_t line, std::string_view raw) {
  if (!lines_.empty()) rows_ += ',';
  rows_ += row;
  ends_.push_back(static_cast<uint32_t>(rows_.size()));
  lines_.push_back(line);
  if (!raw.empty()) raw_ += raw;
  raw_ends_.push_back(static_cast<uint32_t>(raw_.size()));
}

std::string_view Batch::raw(size_t row) const {
  const size_t start = row == 0 ? 0 : raw_ends_[row - 1];
  return std::string_view(raw_).substr(start, raw_ends_[row] - start);
}

std::string Batch::sql(size_t first, size_t last) const {
  const size_t start = first == 0 ? 0 : ends_[first - 1] + 1;
  std::string sql;
  sql.reserve(prefix_.size() + ends_[last - 1] - start + suffix_.size());
  sql += prefix_;
  sql.append(rows_, start, ends_[last - 1] - start);
  sql += suffix_;
  return sql;
}

void BatchBuilder::start_row() {
  literals_.clear();
  cell_start_ = 0;
  std::fill(cells_.begin(), cells_.end(), Cell());
}

void BatchBuilder::end_cell(size_t column) {
  cells_[column] = {cell_start_, literals_.size()};
  cell_start_ = literals_.size();
}

bool BatchBuilder::end_row(std::string_view user, uint64_t line, std::string_view raw) {
  key_.clear();
  row_ = "(";
  for (const Cell& cell : cells_) {
    key_ += cell.end != 0 ? '1' : '0';
    if (cell.end == 0) continue;
    if (row_.size() > 1) row_ += ',';
    row_.append(literals_, cell.start, cell.end - cell.start);
  }
  row_ += ')';
  key_ += user;
  auto found = open_.find(key_);
  if (found == open_.end()) found = open_.emplace(key_, make_batch(user)).first;
  if (found->second.size() > 0 && found->second.sql_bytes() + row_.size() + 1 > kMaxSqlBytes) {
    buffered_ -= std::min(buffered_, found->second.sql_bytes());
    full_(std::exchange(found->second, make_batch(user)));
  }
  Batch& batch = found->second;
  if (batch.sql_bytes() + row_.size() > kMaxSqlBytes) return false;
  const size_t before = batch.size() == 0 ? 0 : batch.sql_bytes();
  batch.add(row_, line, options_.keep_raw ? raw : std::string_view());
  buffered_ += batch.sql_bytes() - before;
  if (batch.size() >= options_.max_rows) {
    buffered_ -= std::min(buffered_, batch.sql_bytes());
    Batch complete = std::move(batch);
    // With a kind of rows for each user, entries that are empty would pile up.
    open_.erase(found);
    full_(std::move(complete));
  } else if (buffered_ > kMaxBuffered) {
    flush();
  }
  return true;
}

void BatchBuilder::flush() {
  for (auto& [key, batch] : open_) {
    if (batch.size() > 0) full_(std::move(batch));
  }
  open_.clear();
  buffered_ = 0;
}

Batch BatchBuilder::make_batch(std::string_view user) const {
  std::string prefix;
  std::string suffix = options_.skip_conflicts ? " ON CONFLICT DO NOTHING" : "";
  if (!user.empty()) {
    prefix = "EXECUTE AS USER ";
    append_sql_string(prefix, user);
    prefix += " (";
    suffix += ')';
  }
  prefix += "INSERT INTO " + options_.table + " (";
  bool first = true;
  for (size_t i = 0; i < columns_.size(); ++i) {
    if (cells_[i].end == 0) continue;
    if (!std::exchange(first, false)) prefix += ',';
    append_sql_identifier(prefix, columns_[i].name);
  }
  return Batch(prefix + ") VALUES ", std::move(suffix));
}

}  // namespace kalamdb::cli
