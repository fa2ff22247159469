#include "storage/retention.h"

#include <algorithm>

#include "base/bytes.h"
#include "hot/keys.h"

namespace kalamdb::storage {
namespace {

// Rows that are looked at for one commit, which others wait for.
constexpr uint64_t kBatchRows = 1000;

}  // namespace

Result<std::shared_ptr<TombstoneRemoval>> TombstoneRemoval::prepare(const hot::Store& store,
                                                                    const model::TablePtr& table, const UserId& user,
                                                                    Seq after, Seq up_to, uint64_t max_rows) {
  const hot::SnapshotPtr snapshot = store.snapshot();
  std::shared_ptr<TombstoneRemoval> removal(new TombstoneRemoval(table, user, snapshot->seq()));
  const auto changes = store.scan_changes(table->id, user, after, snapshot);
  for (uint64_t seen = 0; seen < max_rows; ++seen) {
    KALAM_TRY(const auto record, changes->next());
    if (!record || record->seq > up_to) break;
    removal->last_seen_ = record->seq;
    if (record->deleted) removal->tombstones_.push_back({std::string(record->key), record->seq});
  }
  return removal;
}

Result<> TombstoneRemoval::apply(const hot::Store& store, hot::Batch& batch) {
  Seq newest = 0;
  for (const Tombstone& tombstone : tombstones_) {
    KALAM_TRY(const auto stored, store.get(table_->id, user_, tombstone.key, nullptr));
    if (!stored || stored->seq != tombstone.seq) continue;
    batch.erase_row(table_->id, user_, tombstone.key, tombstone.seq);
    newest = std::max(newest, tombstone.seq);
  }
  if (newest == 0) return {};
  const std::string scope = hot::scope_prefix(table_->id, user_);
  KALAM_TRY(const Seq before, removed_tombstones_up_to(store, scope, nullptr));
  std::string record;
  append_big_endian<uint64_t>(record, static_cast<uint64_t>(std::max(before, newest)));
  batch.put_record(hot::RecordSpace::kRetention, scope, record);
  return {};
}

Result<uint64_t> remove_tombstones(const SegmentsContext& context, TableMutexes& mutexes, const model::TablePtr& table,
                                   const UserId& user, Seq up_to) {
  uint64_t removed = 0;
  for (std::optional<Seq> after = 0; after;) {
    const std::lock_guard lock(mutexes.segments);
    KALAM_TRY(auto removal, TombstoneRemoval::prepare(context.store, table, user, *after, up_to, kBatchRows));
    after = removal->last_seen();
    const uint64_t rows = removal->row_count();
    if (rows == 0) continue;
    CommitRequest request;
    request.segments_change = std::move(removal);
    KALAM_CHECK(context.committer.commit(std::move(request)));
    removed += rows;
  }
  return removed;
}

Result<Seq> removed_tombstones_up_to(const hot::Store& store, const std::string& scope,
                                     const hot::SnapshotPtr& snapshot) {
  KALAM_TRY(const auto record, store.get_record(hot::RecordSpace::kRetention, scope, snapshot));
  if (!record) return 0;
  if (record->size() != sizeof(Seq)) return fail(ErrorCode::kCorruption, "A table's record of retention is damaged");
  return static_cast<Seq>(read_big_endian<uint64_t>(record->data()));
}

}  // namespace kalamdb::storage
