#include "storage/retention.h"

#include <algorithm>

#include "base/bytes.h"
#include "hot/keys.h"
#include "storage/storage.h"

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
  for (uint64_t seen = 0; seen < kBatchRows && removal->tombstones_.size() < max_rows; ++seen) {
    KALAM_TRY(const auto record, changes->next());
    if (!record || record->seq > up_to) break;
    removal->last_seen_ = record->seq;
    if (record->deleted) removal->tombstones_.push_back({std::string(record->key), record->seq});
  }
  return removal;
}

Result<> TombstoneRemoval::apply(const hot::Store& store, hot::Batch& batch) {
  Seq newest = 0;
  removed_ = 0;
  for (const Tombstone& tombstone : tombstones_) {
    KALAM_TRY(const auto stored, store.get(table_->id, user_, tombstone.key, nullptr));
    if (!stored || stored->seq != tombstone.seq) continue;
    batch.erase_row(table_->id, user_, tombstone.key, tombstone.seq);
    newest = std::max(newest, tombstone.seq);
    ++removed_;
  }
  if (newest == 0) return {};
  return put_removed_tombstones(store, hot::scope_prefix(table_->id, user_), newest, batch);
}

Result<uint64_t> remove_tombstones(const SegmentsContext& context, TableMutexes& mutexes, const model::TablePtr& table,
                                   const UserId& user, std::optional<Seq>& after, Seq up_to, uint64_t max_rows) {
  uint64_t removed = 0;
  while (after && removed < max_rows) {
    KALAM_CHECK(check_stop(context.stop));
    const std::lock_guard lock(mutexes.segments);
    KALAM_TRY(const auto removal,
              TombstoneRemoval::prepare(context.store, table, user, *after, up_to, max_rows - removed));
    after = removal->last_seen();
    if (removal->empty()) continue;
    CommitRequest request;
    request.segments_change = removal;
    KALAM_CHECK(context.committer.commit(std::move(request)));
    removed += removal->removed();
  }
  context.store.note_erased(removed);
  return removed;
}

Result<bool> has_tombstones(const hot::Store& store, const model::TablePtr& table, const UserId& user, Seq after,
                            Seq up_to) {
  const auto changes = store.scan_changes(table->id, user, after, store.snapshot());
  while (true) {
    KALAM_TRY(const auto record, changes->next());
    if (!record || record->seq > up_to) return false;
    if (record->deleted) return true;
  }
}

Result<> put_removed_tombstones(const hot::Store& store, const std::string& scope, Seq up_to, hot::Batch& batch) {
  KALAM_TRY(const Seq before, removed_tombstones_up_to(store, scope, nullptr));
  std::string record;
  append_big_endian<uint64_t>(record, static_cast<uint64_t>(std::max(before, up_to)));
  batch.put_record(hot::RecordSpace::kRetention, scope, record);
  return {};
}

Result<Seq> removed_tombstones_up_to(const hot::Store& store, const std::string& scope,
                                     const hot::SnapshotPtr& snapshot) {
  KALAM_TRY(const auto record, store.get_record(hot::RecordSpace::kRetention, scope, snapshot));
  if (!record) return 0;
  if (record->size() != sizeof(Seq)) return fail(ErrorCode::kCorruption, "A table's record of retention is damaged");
  return static_cast<Seq>(read_big_endian<uint64_t>(record->data()));
}

}  // namespace kalamdb::storage
