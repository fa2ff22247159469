#include "storage/hot_row_counts.h"

#include "hot/keys.h"

namespace kalamdb::storage {
namespace {

constexpr size_t kMaxScopes = 10'000;

// By how much a change makes the live hot rows more or fewer.
int change_of_count(const RowChange& change) {
  const bool was_hot = change.kind != ChangeKind::kInsert && !change.old_is_cold;
  const bool is_hot = change.kind != ChangeKind::kDelete;
  return int{is_hot} - int{was_hot};
}

}  // namespace

std::optional<uint64_t> HotRowCounts::find(TableId table, const UserId& user, Seq seq) {
  std::string key = hot::scope_prefix(table, user);
  const std::lock_guard lock(mutex_);
  const auto found = scopes_.find(key);
  if (found == scopes_.end()) {
    if (scopes_.size() == kMaxScopes) scopes_.clear();
    scopes_.emplace(std::move(key), Scope{.changed_at = applied_});
    return std::nullopt;
  }
  return holds_at_locked(found->second, seq) ? found->second.rows : std::nullopt;
}

void HotRowCounts::learn(TableId table, const UserId& user, Seq seq, uint64_t rows) {
  const std::string key = hot::scope_prefix(table, user);
  const std::lock_guard lock(mutex_);
  const auto found = scopes_.find(key);
  if (found != scopes_.end() && holds_at_locked(found->second, seq)) found->second.rows = rows;
}

void HotRowCounts::apply(const std::vector<ChangeSetPtr>& commits, const std::vector<TableId>& uncounted,
                         Seq last_seq) {
  // At once: who asks for the first time in between would take `applied_` for the last change.
  const std::lock_guard lock(mutex_);
  for (const ChangeSetPtr& changes : commits) apply_locked(*changes);
  for (const TableId table : uncounted) {
    const std::string prefix = hot::table_prefix(table);
    std::erase_if(scopes_, [&](const auto& entry) { return entry.first.starts_with(prefix); });
  }
  applied_ = last_seq;
}

void HotRowCounts::apply_locked(const ChangeSet& changes) {
  if (scopes_.empty()) return;
  const RowChange* previous = nullptr;
  auto scope = scopes_.end();
  for (const RowChange& change : changes.rows) {
    if (previous == nullptr || previous->table->id != change.table->id || previous->user != change.user)
      scope = scopes_.find(hot::scope_prefix(change.table->id, change.user));
    previous = &change;
    if (scope == scopes_.end()) continue;
    scope->second.changed_at = changes.commit_seq;
    if (scope->second.rows) *scope->second.rows += change_of_count(change);
  }
}

}  // namespace kalamdb::storage
