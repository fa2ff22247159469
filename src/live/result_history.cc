#include "live/result_history.h"

namespace kalamdb::live {

size_t ResultHistory::bytes_of(const Change& change) {
  constexpr size_t kNodes = 160;  // of the list and the map, about
  return kNodes + 2 * change.key.size() + (change.gone != nullptr ? change.gone->size() : 0);
}

void ResultHistory::restart(Seq from) {
  from_ = from;
  changes_.clear();
  by_key_.clear();
  bytes_ = 0;
}

void ResultHistory::add(const std::string& key, Seq seq, RowPtr gone) {
  if (const auto before = by_key_.find(key); before != by_key_.end()) erase(before->second);
  changes_.push_back({key, seq, std::move(gone)});
  by_key_[key] = std::prev(changes_.end());
  bytes_ += bytes_of(changes_.back());
  while (bytes_ > max_bytes_) {
    from_ = changes_.front().seq;
    erase(changes_.begin());
  }
}

void ResultHistory::erase(std::list<Change>::iterator change) {
  bytes_ -= bytes_of(*change);
  by_key_.erase(change->key);
  changes_.erase(change);
}

bool ResultHistory::has(Seq seq) const {
  const auto changes = since(seq - 1);
  return !changes.empty() && changes.front().seq == seq;
}

std::vector<ResultHistory::Change> ResultHistory::since(Seq cursor) const {
  auto first = changes_.end();
  while (first != changes_.begin() && std::prev(first)->seq > cursor) --first;
  return {first, changes_.end()};
}

}  // namespace kalamdb::live
