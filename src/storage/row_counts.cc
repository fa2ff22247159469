#include "storage/row_counts.h"

#include "hot/keys.h"

namespace kalamdb::storage {
namespace {

constexpr size_t kMaxScopes = 100'000;

}  // namespace

Result<int64_t*> RowCounts::of(const model::TableDefinition& table, const UserId& user) {
  std::string key = hot::scope_prefix(table.id, user);
  auto known = counts_.find(key);
  if (known == counts_.end()) {
    KALAM_TRY(const int64_t rows, count(table, user));
    known = counts_.emplace(std::move(key), rows).first;
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

Result<int64_t> RowCounts::count(const model::TableDefinition& table, const UserId& user) {
  const hot::SnapshotPtr snapshot = store_.snapshot();
  int64_t rows = 0;
  const auto cursor = store_.scan(table.id, user, "", "", /*with_tombstones=*/false, snapshot);
  while (true) {
    KALAM_TRY(const auto record, cursor->next());
    if (!record) break;
    ++rows;
  }
  const SegmentScope scope = segment_scope(table, user);
  KALAM_TRY(const auto manifest, segments_.manifest(scope.key, snapshot));
  if (manifest == nullptr) return rows;
  KALAM_TRY(const auto deletions, segments_.all_deletions(scope.key, *manifest, snapshot));
  for (size_t i = 0; i < manifest->segments.size(); ++i) {
    KALAM_TRY(const PositionRange own, segments_.rows_of(scope, manifest->segments[i], user, snapshot));
    rows += own.size();
    if (deletions[i] != nullptr) rows -= static_cast<int64_t>(deletions[i]->count(own.begin, own.end));
  }
  return rows;
}

}  // namespace kalamdb::storage
