#include "storage/row_counts.h"

#include "hot/keys.h"

namespace kalamdb::storage {
namespace {

constexpr size_t kMaxScopes = 100'000;

}  // namespace

Result<int64_t*> RowCounts::of(TableId table, const UserId& user) {
  std::string scope = hot::scope_prefix(table, user);
  auto known = counts_.find(scope);
  if (known == counts_.end()) {
    KALAM_TRY(const int64_t rows, count(table, user, scope));
    known = counts_.emplace(std::move(scope), rows).first;
  }
  return &known->second;
}

void RowCounts::forget(TableId table) {
  const std::string prefix = hot::table_prefix(table);
  std::erase_if(counts_, [&](const auto& entry) { return entry.first.starts_with(prefix); });
}

void RowCounts::trim() {
  if (counts_.size() > kMaxScopes) counts_.clear();
}

Result<int64_t> RowCounts::count(TableId table, const UserId& user, const std::string& scope) {
  const hot::SnapshotPtr snapshot = store_.snapshot();
  int64_t rows = 0;
  const auto cursor = store_.scan(table, user, "", "", /*with_tombstones=*/false, snapshot);
  while (true) {
    KALAM_TRY(const auto record, cursor->next());
    if (!record) break;
    ++rows;
  }
  KALAM_TRY(const auto manifest, segments_.manifest(scope, snapshot));
  if (manifest == nullptr) return rows;
  KALAM_TRY(const auto deletions, segments_.all_deletions(scope, *manifest, snapshot));
  for (size_t i = 0; i < manifest->segments.size(); ++i) {
    rows += static_cast<int64_t>(manifest->segments[i].row_count);
    if (deletions[i] != nullptr) rows -= static_cast<int64_t>(deletions[i]->size());
  }
  return rows;
}

}  // namespace kalamdb::storage
