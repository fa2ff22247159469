#include "storage/eviction.h"

#include <algorithm>
#include <unordered_set>
#include <utility>

#include "hot/keys.h"
#include "storage/ttl.h"

namespace kalamdb::storage {
namespace {

struct SizedRow {
  Seq seq = 0;
  uint64_t bytes = 0;
};

// The greatest `_seq` of the oldest rows without which the table keeps to its bound.
Result<Seq> oversize_up_to(const hot::Store& store, const model::TableDefinition& table, Seq expired) {
  const hot::SnapshotPtr snapshot = store.snapshot();
  KALAM_TRY(const auto users, store.users(table.id, snapshot));
  std::vector<SizedRow> rows;
  uint64_t bytes = 0;
  for (const UserId& user : users) {
    const auto cursor = store.scan(table.id, user, "", "", /*with_tombstones=*/false, snapshot);
    while (true) {
      KALAM_TRY(const auto record, cursor->next());
      if (!record) break;
      if (record->seq <= expired) continue;
      rows.push_back({record->seq, record->key.size() + record->row.size()});
      bytes += rows.back().bytes;
    }
  }
  if (bytes <= table.options.max_stream_size_bytes) return 0;
  std::ranges::sort(rows, {}, &SizedRow::seq);
  Seq up_to = 0;
  for (const SizedRow& row : rows) {
    if (bytes <= table.options.max_stream_size_bytes) break;
    bytes -= row.bytes;
    up_to = row.seq;
  }
  return up_to;
}

}  // namespace

Result<Seq> evictable_up_to(const hot::Store& store, const model::TableDefinition& table, int64_t now_us) {
  const Seq expired = expired_up_to(table, now_us);
  if (table.options.max_stream_size_bytes == 0) return expired;
  KALAM_TRY(const Seq oversize, oversize_up_to(store, table, expired));
  return std::max(expired, oversize);
}

Result<std::shared_ptr<Eviction>> Eviction::prepare(const hot::Store& store, const model::TablePtr& table,
                                                    std::shared_ptr<WriteWatch> writes, Seq up_to, uint64_t max_rows) {
  const hot::SnapshotPtr snapshot = store.snapshot();
  std::shared_ptr<Eviction> eviction(new Eviction(table, std::move(writes), snapshot->seq()));
  KALAM_TRY(const auto users, store.users(table->id, snapshot));
  for (const UserId& user : users) {
    const auto cursor = store.scan_changes(table->id, user, 0, snapshot);
    while (eviction->rows_.size() < max_rows) {
      KALAM_TRY(const auto record, cursor->next());
      if (!record || record->seq > up_to) break;
      eviction->rows_.push_back({user, std::string(record->key), record->seq});
    }
  }
  return eviction;
}

Result<> Eviction::apply(const hot::Store&, hot::Batch& batch) {
  std::unordered_set<std::string> written;
  for (const ChangeSetPtr& changes : writes_->take()) {
    for (const RowChange& change : changes->rows) {
      if (change.table->id == table_->id) written.insert(hot::row_key(table_->id, change.user, change.key));
    }
  }
  for (const Row& row : rows_) {
    if (written.contains(hot::row_key(table_->id, row.user, row.key))) continue;
    batch.erase_row(table_->id, row.user, row.key, row.seq);
  }
  return {};
}

}  // namespace kalamdb::storage
