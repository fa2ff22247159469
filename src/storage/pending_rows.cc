#include "storage/pending_rows.h"

#include <algorithm>

namespace kalamdb::storage {

void PendingRows::add(const ChangeSet& changes) {
  if (changes.rows.empty()) return;
  const std::lock_guard lock(mutex_);
  for (const RowChange& change : changes.rows) {
    if (change.kind != ChangeKind::kDelete) ++entries_[change.table->id].rows;
  }
}

uint64_t PendingRows::count(TableId table) {
  {
    const std::lock_guard lock(mutex_);
    const Entry& entry = entries_[table];
    if (entry.has_old_rows) return entry.rows;
  }
  const uint64_t old_rows = count_old_rows(table);
  const std::lock_guard lock(mutex_);
  Entry& entry = entries_[table];
  if (!entry.has_old_rows) entry.rows += old_rows;
  entry.has_old_rows = true;
  return entry.rows;
}

void PendingRows::subtract(TableId table, uint64_t rows) {
  const std::lock_guard lock(mutex_);
  Entry& entry = entries_[table];
  entry.rows -= std::min(entry.rows, rows);
}

uint64_t PendingRows::count_old_rows(TableId table) const {
  const auto snapshot = store_.snapshot();
  const auto users = store_.users(table, snapshot);
  // A count that cannot be read is 0: the flush that follows from it would fail and say why.
  if (!users) return 0;
  uint64_t rows = 0;
  for (const UserId& user : *users) {
    const auto cursor = store_.scan(table, user, "", "", false, snapshot);
    for (auto record = cursor->next(); record && *record; record = cursor->next()) {
      if ((*record)->seq <= started_at_) ++rows;
    }
  }
  return rows;
}

}  // namespace kalamdb::storage
