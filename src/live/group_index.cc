#include "live/group_index.h"

#include <algorithm>

namespace kalamdb::live {

std::string GroupIndex::key_of(const model::ValueView& value, const model::ColumnDefinition& column) {
  std::string key;
  model::append_wire(key, value, column.type);
  return key;
}

void GroupIndex::add(Group* group) {
  const auto* const equality = group->equality();
  if (equality == nullptr) {
    others_.push_back(group);
    return;
  }
  const model::ColumnDefinition& column = *equality->column;
  std::string key = key_of(model::view(equality->value), column);
  Column& indexed = columns_.try_emplace(column.slot(), column).first->second;
  indexed.by_value[key].push_back(group);
  places_.emplace(group, std::pair(column.slot(), std::move(key)));
}

void GroupIndex::remove(Group* group) {
  const auto place = places_.find(group);
  if (place == places_.end()) {
    std::erase(others_, group);
    return;
  }
  const auto& [slot, key] = place->second;
  const auto column = columns_.find(slot);
  const auto groups = column->second.by_value.find(key);
  std::erase(groups->second, group);
  if (groups->second.empty()) column->second.by_value.erase(groups);
  if (column->second.by_value.empty()) columns_.erase(column);
  places_.erase(place);
}

void GroupIndex::find(const storage::RowChange& change, std::vector<Group*>& groups) const {
  groups.insert(groups.end(), others_.begin(), others_.end());
  for (const auto& [slot, column] : columns_) {
    const size_t begin = groups.size();
    if (change.kind != storage::ChangeKind::kInsert) find(column, change.old_row, groups);
    if (change.kind != storage::ChangeKind::kDelete) find(column, change.row, groups);
    std::ranges::sort(groups.begin() + static_cast<ptrdiff_t>(begin), groups.end());
    groups.erase(std::unique(groups.begin() + static_cast<ptrdiff_t>(begin), groups.end()), groups.end());
  }
}

void GroupIndex::find(const Column& column, std::string_view row, std::vector<Group*>& groups) {
  const auto append = [&](const std::vector<Group*>& some) { groups.insert(groups.end(), some.begin(), some.end()); };
  const auto view = model::RowView::open(row);
  const auto value = view ? view->get(column.definition) : std::unexpected(view.error());
  if (!value) {
    // The groups themselves find out what is wrong with it.
    for (const auto& [key, some] : column.by_value) append(some);
  } else if (const auto found = column.by_value.find(key_of(*value, column.definition));
             found != column.by_value.end()) {
    append(found->second);
  }
}

}  // namespace kalamdb::live
