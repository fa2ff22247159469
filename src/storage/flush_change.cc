#include "storage/flush_change.h"

#include <algorithm>

#include "cold/deletion_vector.h"
#include "hot/keys.h"
#include "storage/segment_cache.h"

namespace kalamdb::storage {

using hot::RecordSpace;

namespace {

// prepare() stops when less than this is left to apply(), or after so many rounds that it cannot keep up.
constexpr size_t kFewChanges = 500;
constexpr int kMaxRounds = 8;

// A range deletion costs every later read of the range a little, and single deletions cost the commit: from this many
// rows on the range is cheaper.
constexpr size_t kMinRangeRows = 64;

}  // namespace

cold::SegmentEntry segment_entry(uint64_t id, std::string storage_id, std::string path,
                                 const model::TableDefinition& table, const duck::WrittenSegment& written,
                                 const FlushedRows& rows, int64_t now_us) {
  const auto [min_seq, max_seq] = std::ranges::minmax(rows.seqs);
  return {.id = id,
          .storage = std::move(storage_id),
          .path = std::move(path),
          .row_count = written.row_count,
          .size_bytes = written.size_bytes,
          .checksum = written.checksum,
          .schema_version = table.schema_version,
          .min_seq = min_seq,
          .max_seq = max_seq,
          .min_key = rows.keys.front(),
          .max_key = rows.keys.back(),
          .created_at_us = now_us,
          .columns = written.columns};
}

FlushChange::FlushChange(Input input, FlushedRows rows)
    : input_(std::move(input)), rows_(std::move(rows)), caught_up_to_(input_.snapshot->seq()) {}

Result<size_t> FlushChange::collect_changes(const hot::Store& store, const hot::SnapshotPtr& until) {
  size_t count = 0;
  for (size_t i = 0; i < rows_.users.user_count(); ++i) {
    const UserId& user = rows_.users.user(i);
    const auto changes = store.scan_changes(input_.table->id, user, caught_up_to_, until);
    while (true) {
      KALAM_TRY(const auto record, changes->next());
      if (!record) break;
      ++count;
      add_changed(user, record->key);
    }
  }
  caught_up_to_ = until->seq();
  return count;
}

void FlushChange::collect_watched() {
  for (const ChangeSetPtr& changes : watch_->take()) {
    for (const RowChange& change : changes->rows) {
      // A commit may reach the watch after a snapshot that has it was taken.
      if (change.table->id != input_.table->id || change.seq <= input_.snapshot->seq()) continue;
      if (segment_scope(*input_.table, change.user).key == input_.scope.key) add_changed(change.user, change.key);
    }
  }
}

void FlushChange::add_changed(const UserId& user, std::string_view key) {
  std::string changed = segment_key(*input_.table, user, key);
  if (changed >= rows_.keys.front() && changed <= rows_.keys.back()) changed_keys_.push_back(std::move(changed));
}

Result<> FlushChange::prepare(const hot::Store& store, WriteWatches& watches) {
  KALAM_CHECK(plan_changes(store));
  for (int round = 0; round < kMaxRounds; ++round) {
    // What a snapshot that is taken later does not have, the watch will.
    watch_ = watches.watch(input_.table->id);
    KALAM_TRY(const size_t count, collect_changes(store, store.snapshot()));
    if (count < kFewChanges) break;
  }
  return {};
}

Result<> FlushChange::apply(const hot::Store& store, hot::Batch& batch) {
  collect_watched();
  std::ranges::sort(changed_keys_);
  changed_keys_.erase(std::unique(changed_keys_.begin(), changed_keys_.end()), changed_keys_.end());
  KALAM_CHECK(update_manifest(store, batch));
  mark_changed(store, batch);
  erase_rows(batch);
  // The entries of rows that have changed since are gone already; erasing them again does nothing.
  for (const auto& erased : erased_changes_) {
    batch.erase_changes(input_.table->id, *erased.user, erased.first, erased.last);
  }
  return {};
}

Result<> FlushChange::update_manifest(const hot::Store& store, hot::Batch& batch) const {
  KALAM_TRY(const auto record, store.get_record(RecordSpace::kManifest, input_.scope.key, nullptr));
  cold::Manifest manifest = input_.first;
  if (record) {
    KALAM_TRY(manifest, cold::decode_manifest(*record));
  } else {
    manifest.created_at_us = input_.segment.created_at_us;
  }
  if (manifest.segments_version != input_.segments_version) {
    return fail(ErrorCode::kConflict, "The table's segments have changed meanwhile; run the flush again");
  }
  ++manifest.segments_version;
  ++manifest.version;
  manifest.next_segment = input_.segment.id + 1;
  manifest.updated_at_us = input_.segment.created_at_us;
  KALAM_CHECK(settle_location(input_.location, store, manifest));
  manifest.segments.push_back(input_.segment);
  batch.put_record(RecordSpace::kManifest, input_.scope.key, cold::encode(manifest));
  const std::string key = segment_record_key(input_.scope.key, input_.segment.id);
  batch.put_record(RecordSpace::kFilter, key, input_.filter_record);
  if (input_.scope.shard) batch.put_record(RecordSpace::kUsers, key, rows_.users.encode());
  return {};
}

void FlushChange::mark_changed(const hot::Store& store, hot::Batch& batch) const {
  PositionSet deleted;
  for (const std::string& key : changed_keys_) {
    const auto found = std::ranges::lower_bound(rows_.keys, key);
    if (found != rows_.keys.end() && *found == key) deleted.add(static_cast<uint32_t>(found - rows_.keys.begin()));
  }
  if (deleted.empty()) return;
  // Commits that add to it are newer than the store's last one.
  batch.put_record(RecordSpace::kDeletions, segment_record_key(input_.scope.key, input_.segment.id),
                   cold::encode_deletions(store.last_seq(), deleted));
}

void FlushChange::erase_rows(hot::Batch& batch) const {
  std::vector<std::string_view> kept(rows_.tombstone_keys.begin(), rows_.tombstone_keys.end());
  kept.insert(kept.end(), changed_keys_.begin(), changed_keys_.end());
  std::ranges::sort(kept);
  size_t begin = 0;
  for (const std::string_view key : kept) {
    const auto found = std::lower_bound(rows_.keys.begin() + static_cast<ptrdiff_t>(begin), rows_.keys.end(), key);
    const auto end = static_cast<size_t>(found - rows_.keys.begin());
    erase_run(batch, begin, end);
    begin = found != rows_.keys.end() && *found == key ? end + 1 : end;
  }
  erase_run(batch, begin, rows_.keys.size());
}

void FlushChange::erase_run(hot::Batch& batch, size_t begin, size_t end) const {
  while (begin < end) {
    const UserId& user = *rows_.users.user_at(static_cast<uint32_t>(begin));
    const size_t users_end = std::min<size_t>(end, rows_.users.range_of(user).end);
    erase_users_run(batch, user, begin, users_end);
    begin = users_end;
  }
}

void FlushChange::erase_users_run(hot::Batch& batch, const UserId& user, size_t begin, size_t end) const {
  // Of segment_key(), what is behind the user.
  const size_t prefix = segment_key(*input_.table, user, "").size();
  const auto key = [&](size_t i) { return std::string_view(rows_.keys[i]).substr(prefix); };
  if (end - begin >= kMinRangeRows) {
    batch.erase_rows(input_.table->id, user, key(begin), hot::successor(key(end - 1)));
    return;
  }
  for (size_t i = begin; i < end; ++i) {
    batch.erase_rows(input_.table->id, user, key(i), hot::successor(key(i)));
  }
}

Result<> FlushChange::plan_changes(const hot::Store& store) {
  for (size_t i = 0; i < rows_.users.user_count(); ++i) {
    KALAM_CHECK(plan_changes(store, rows_.users.user(i), rows_.users.range(i)));
  }
  return {};
}

Result<> FlushChange::plan_changes(const hot::Store& store, const UserId& user, PositionRange rows) {
  std::vector<Seq> flushed(rows_.seqs.begin() + rows.begin, rows_.seqs.begin() + rows.end);
  std::ranges::sort(flushed);
  // Entries up to the snapshot only ever go, so that what lies between two of ours then, lies there at the commit.
  KALAM_TRY(const auto all, store.change_seqs(input_.table->id, user, input_.snapshot));
  auto entry = all.begin();
  for (size_t begin = 0; begin < flushed.size();) {
    entry = std::lower_bound(entry, all.end(), flushed[begin]);
    size_t end = begin;
    while (end < flushed.size() && entry != all.end() && *entry == flushed[end]) ++entry, ++end;
    if (end == begin) return fail(ErrorCode::kCorruption, "A row has no entry in the change index");
    if (end - begin >= kMinRangeRows) {
      erased_changes_.push_back({&user, flushed[begin], flushed[end - 1]});
    } else {
      for (size_t i = begin; i < end; ++i) erased_changes_.push_back({&user, flushed[i], flushed[i]});
    }
    begin = end;
  }
  return {};
}

}  // namespace kalamdb::storage
