#include "live/top_result.h"

#include <algorithm>

#include "model/key_codec.h"
#include "model/row_codec.h"

namespace kalamdb::live {

namespace {

constexpr uint64_t kFewestFurther = 1000;

}  // namespace

TopResult::TopResult(uint64_t limit, model::TablePtr table, ResultSource source)
    : LiveResult(std::move(table), std::move(source)),
      limit_(std::min<uint64_t>(limit, INT64_MAX / 2)),
      most_further_(std::max(limit_, kFewestFurther)) {}

size_t TopResult::bytes_of(const std::string& place, const ResultRow& row) {
  constexpr size_t kNodes = 256;  // of the two maps, about
  return kNodes + 2 * (place.size() + row.key.size()) + row.row->size();
}

Result<> TopResult::load_row(model::Row values) {
  std::string order = std::get<std::string>(values.back());
  values.pop_back();
  values.resize(table_->columns.size());  // rows of system tables are read without `_seq`
  std::string key = model::encode_key(*table_, values);
  std::string place = std::move(order) + key;
  insert(std::move(place), {std::move(key), std::make_shared<const std::string>(model::encode_row(*table_, values))});
  return {};
}

Result<> TopResult::loaded() {
  is_complete_ = first_.size() + further_.size() < load_limit();
  return {};
}

void TopResult::add(const storage::RowChange& change, model::Row values) {
  std::string place = std::get<std::string>(std::move(values[0])) + change.key;
  if (!is_complete_) {
    // Of what lies behind the last one that is here nothing is known.
    const Places& last = further_.empty() ? first_ : further_;
    if (last.empty() || place > last.rbegin()->first) return;
  }
  insert(std::move(place), {change.key, std::make_shared<const std::string>(change.row)});
}

void TopResult::insert(std::string place, ResultRow row) {
  bytes_ += bytes_of(place, row);
  place_of_[row.key] = place;
  if (first_.size() >= limit_ && place > first_.rbegin()->first) {
    further_.emplace(std::move(place), std::move(row));
  } else {
    note_shown(row.key);
    first_.emplace(std::move(place), std::move(row));
    if (first_.size() > limit_) {
      const auto last = std::prev(first_.end());
      note_shown(last->second.key);
      further_.insert(first_.extract(last));
    }
  }
  if (further_.size() > most_further_) {
    erase(further_, std::prev(further_.end()));
    is_complete_ = false;
  }
}

void TopResult::erase(Places& from, Places::iterator at) {
  bytes_ -= bytes_of(at->first, at->second);
  place_of_.erase(at->second.key);
  from.erase(at);
}

void TopResult::remove(const storage::RowChange& change, model::Row /*values*/) {
  const auto place = place_of_.find(change.key);
  if (place == place_of_.end()) return;
  if (const auto at = further_.find(place->second); at != further_.end()) return erase(further_, at);
  note_shown(change.key);
  erase(first_, first_.find(place->second));
  if (further_.empty()) return;
  note_shown(further_.begin()->second.key);
  first_.insert(further_.extract(further_.begin()));
}

RowPtr TopResult::shown(const std::string& key) const {
  const auto place = place_of_.find(key);
  if (place == place_of_.end()) return nullptr;
  const auto row = first_.find(place->second);
  return row == first_.end() ? nullptr : row->second.row;
}

std::vector<ResultRow> TopResult::rows() const {
  std::vector<ResultRow> rows;
  rows.reserve(first_.size());
  for (const auto& [place, row] : first_) rows.push_back(row);
  return rows;
}

}  // namespace kalamdb::live
