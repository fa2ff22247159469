#include "storage/user_removal.h"

#include <utility>
#include <vector>

#include "hot/keys.h"
#include "storage/manifest_export.h"
#include "storage/retention.h"

namespace kalamdb::storage {
namespace {

using hot::RecordSpace;

// Removes a user's hot rows, and what names the segments of a scope that is the user's own.
class UserErasure final : public SegmentsChange {
 public:
  // `manifest` nullptr: there are none.
  UserErasure(model::TablePtr table, UserId user, Seq snapshot_seq, cold::ManifestPtr manifest, int64_t now_us)
      : table_(std::move(table)),
        user_(std::move(user)),
        snapshot_seq_(snapshot_seq),
        manifest_(std::move(manifest)),
        now_us_(now_us) {}

  TableId table() const override { return table_->id; }
  uint32_t schema_version() const override { return table_->schema_version; }
  Seq snapshot_seq() const override { return snapshot_seq_; }
  bool changes_row_counts() const override { return true; }

  Result<> apply(const hot::Store& store, hot::Batch& batch) override {
    const std::string scope = hot::scope_prefix(table_->id, user_);
    batch.erase_scope(table_->id, user_);
    KALAM_CHECK(put_removed_tombstones(store, scope, store.last_seq(), batch));
    if (manifest_ == nullptr) return {};
    for (const cold::SegmentEntry& segment : manifest_->segments) {
      const std::string key = segment_record_key(scope, segment.id);
      batch.erase_record(RecordSpace::kDeletions, key);
      batch.erase_record(RecordSpace::kFilter, key);
    }
    // It stays, as it does for the other users (SegmentFiles::load()), and goes on counting segments.
    cold::Manifest empty = *manifest_;
    empty.segments.clear();
    ++empty.segments_version;
    ++empty.version;
    empty.updated_at_us = now_us_;
    batch.put_record(RecordSpace::kManifest, scope, cold::encode(empty));
    return {};
  }

 private:
  model::TablePtr table_;
  UserId user_;
  Seq snapshot_seq_;
  cold::ManifestPtr manifest_;
  int64_t now_us_;
};

// How many hot rows a user has: live ones, and those that are tombstones.
Result<std::pair<uint64_t, uint64_t>> count_hot_rows(const hot::Store& store, TableId table, const UserId& user,
                                                     const hot::SnapshotPtr& snapshot) {
  const auto rows = store.scan(table, user, "", "", /*with_tombstones=*/true, snapshot);
  std::pair<uint64_t, uint64_t> counts;
  while (true) {
    KALAM_TRY(const auto record, rows->next());
    if (!record) return counts;
    ++(record->deleted ? counts.second : counts.first);
  }
}

}  // namespace

Result<UserRemoval> remove_user_rows(const SegmentsContext& context, const model::TablePtr& table, const UserId& user) {
  const SegmentScope scope = segment_scope(*table, user);
  UserRemoval removal;
  cold::ManifestPtr manifest;
  CommitRequest request;
  {
    const hot::SnapshotPtr snapshot = context.store.snapshot();  // gone before the files are to go
    KALAM_TRY(manifest, context.segments.manifest(scope.key, snapshot));
    KALAM_TRY(const auto hot, count_hot_rows(context.store, table->id, user, snapshot));
    removal.rows = hot.first;
    if (manifest != nullptr) {
      KALAM_TRY(const auto deletions, context.segments.all_deletions(scope.key, *manifest, snapshot));
      for (size_t i = 0; i < manifest->segments.size(); ++i) {
        const cold::SegmentEntry& segment = manifest->segments[i];
        KALAM_TRY(const PositionRange rows, context.segments.rows_of(scope, segment, user, snapshot));
        if (rows.empty()) continue;
        ++removal.segments;
        removal.rows += rows.size() - (deletions[i] != nullptr ? deletions[i]->count(rows.begin, rows.end) : 0);
        if (scope.shard) {
          request.marks.push_back({.scope = scope.key, .segment_id = segment.id, .positions = rows});
        } else {
          removal.bytes += segment.size_bytes;
        }
      }
    }
    if (hot.first == 0 && hot.second == 0 && removal.segments == 0) return removal;
    const bool owns_segments = removal.segments > 0 && !scope.shard;
    request.segments_change = std::make_shared<UserErasure>(table, user, snapshot->seq(),
                                                            owns_segments ? manifest : nullptr, context.clock.now_us());
  }
  request.always_sync = true;
  KALAM_TRY(const ChangeSetPtr done, context.committer.commit(std::move(request)));
  if (removal.segments == 0 || scope.shard) return removal;
  context.files.retire_segments(manifest->segments);
  (void)export_manifest(context, table, scope);
  context.collector.add(done->commit_seq, [&files = context.files, removed = *manifest] {
    return files.remove_segments(removed.segments,
                                 Location{.storage_id = removed.storage, .directory = removed.directory});
  });
  return removal;
}

}  // namespace kalamdb::storage
