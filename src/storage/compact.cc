#include "storage/compact.h"

#include <algorithm>
#include <utility>

#include "cold/bloom.h"
#include "storage/compact_change.h"
#include "storage/compact_plan.h"
#include "storage/flush.h"
#include "storage/manifest_export.h"
#include "storage/merge_cursor.h"
#include "storage/snapshot_scan.h"

namespace kalamdb::storage {
namespace {

// Merging may leave small segments that can be merged again; what comes in meanwhile waits for the next compaction.
constexpr int kMaxRounds = 8;

// One step: some segments of a scope at a snapshot.
struct Step {
  const SegmentsContext& context;
  TableMutexes& mutexes;
  const model::TablePtr& table;
  const SegmentScope& scope;
  const Location& location;  // of what is written
  hot::SnapshotPtr snapshot;
  std::shared_ptr<cold::Manifest> sources = std::make_shared<cold::Manifest>();  // only those that are replaced
  std::vector<DeletionsPtr> deletions;
  std::vector<cold::SegmentEntry> outputs;
  std::vector<std::string> filter_records;
  std::vector<std::string> users_records;  // "" outside shards
};

// Numbers for `count` new segments, which nobody else uses from now on.
Result<uint64_t> reserve_numbers(const Step& step, uint64_t count) {
  const std::lock_guard lock(step.mutexes.segments);
  KALAM_TRY(auto record, step.context.store.get_record(hot::RecordSpace::kManifest, step.scope.key, nullptr));
  if (!record) return fail(ErrorCode::kConflict, "The table's segments were removed meanwhile");
  KALAM_TRY(cold::Manifest manifest, cold::decode_manifest(*record));
  uint64_t first = manifest.next_segment;
  for (uint64_t id = first; id < first + count; ++id) {
    KALAM_TRY(const bool exists, step.context.files.segment_exists(step.location, id));
    if (exists) first = id + 1;
  }
  manifest.next_segment = first + count;
  ++manifest.version;
  CommitRequest request;
  request.records.push_back({.space = hot::RecordSpace::kManifest,
                             .key = step.scope.key,
                             .value = cold::encode(manifest),
                             .expected = *std::move(record)});
  KALAM_CHECK(step.context.committer.commit(std::move(request)));
  return first;
}

Result<> write_output(Step& step, uint64_t segment_id, uint64_t rows, MergeCursor& cursor) {
  cursor.begin_segment(rows);
  step.outputs.push_back({.id = segment_id,
                          .storage = step.location.storage_id,
                          .path = step.location.directory + "/" + cold::segment_file_name(segment_id)});
  KALAM_TRY(const auto written, step.context.files.write_segment(step.context.engine, step.location, segment_id,
                                                                 step.table, step.scope, cursor));
  const MergeCursor::Notes notes = cursor.take_notes();
  if (written.row_count != rows || notes.keys.size() != rows) {
    return fail(ErrorCode::kCorruption, "Segments to be merged have fewer rows than their manifest says");
  }
  cold::SegmentEntry& entry = step.outputs.back();
  entry.row_count = rows;
  entry.size_bytes = written.size_bytes;
  entry.checksum = written.checksum;
  entry.schema_version = step.table->schema_version;
  entry.min_seq = notes.min_seq;
  entry.max_seq = notes.max_seq;
  entry.min_key = notes.keys.front();
  entry.max_key = notes.keys.back();
  entry.created_at_us = step.context.clock.now_us();
  entry.columns = written.columns;
  step.filter_records.push_back(cold::BloomFilter::build(notes.keys).record());
  step.users_records.push_back(step.scope.shard ? notes.users.encode() : std::string());
  return {};
}

// Writes the live rows of the step's segments into as few new ones as hold them, of equal size.
Result<> write_outputs(Step& step, std::vector<CompactedSegment>& compacted) {
  uint64_t rows = 0;
  for (size_t i = 0; i < compacted.size(); ++i) rows += live_rows(step.sources->segments[i], step.deletions[i]);
  if (rows == 0) return {};
  const uint64_t count = (rows + step.context.max_segment_rows - 1) / step.context.max_segment_rows;
  KALAM_TRY(const uint64_t first, reserve_numbers(step, count));
  const auto segments = step.context.files.to_segments(step.sources, step.deletions);
  KALAM_TRY(const auto cursor, MergeCursor::open(step.context.engine, step.table, segments, compacted));
  for (uint64_t i = 0; i < count; ++i) {
    KALAM_CHECK(write_output(step, first + i, rows / count + (i < rows % count ? 1 : 0), *cursor));
  }
  return {};
}

Result<Seq> commit(Step& step, std::vector<CompactedSegment> compacted) {
  auto change = std::make_shared<CompactChange>(CompactChange::Input{.table = step.table,
                                                                     .scope = step.scope.key,
                                                                     .snapshot = std::move(step.snapshot),
                                                                     .sources = std::move(compacted),
                                                                     .outputs = step.outputs,
                                                                     .location = step.location,
                                                                     .filter_records = std::move(step.filter_records),
                                                                     .users_records = std::move(step.users_records),
                                                                     .now_us = step.context.clock.now_us()});
  KALAM_CHECK(change->prepare(step.context.store));
  const std::lock_guard lock(step.mutexes.segments);
  CommitRequest request;
  request.segments_change = std::move(change);
  request.always_sync = true;
  KALAM_TRY(const ChangeSetPtr done, step.context.committer.commit(std::move(request)));
  return done->commit_seq;
}

void discard_outputs(const Step& step) {
  for (const cold::SegmentEntry& output : step.outputs) step.context.files.discard_segment(step.location, output.id);
}

Result<> run(Step& step, CompactResult& result) {
  std::vector<CompactedSegment> compacted;
  for (size_t i = 0; i < step.sources->segments.size(); ++i) {
    const cold::SegmentEntry& segment = step.sources->segments[i];
    compacted.push_back({.id = segment.id,
                         .deletions = step.deletions[i],
                         .places = std::vector<uint32_t>(segment.row_count, CompactedSegment::kDropped)});
  }
  if (auto written = write_outputs(step, compacted); !written) {
    discard_outputs(step);
    return written;
  }
  const auto committed = commit(step, std::move(compacted));
  if (!committed) {
    // With kUnavailable it is open whether the log has the commit: the next start knows.
    if (committed.error().code != ErrorCode::kUnavailable) discard_outputs(step);
    return fail(committed.error());
  }
  for (const cold::SegmentEntry& source : step.sources->segments) result.bytes_before += source.size_bytes;
  for (const cold::SegmentEntry& output : step.outputs) result.bytes_after += output.size_bytes;
  result.segments_before += step.sources->segments.size();
  result.segments_after += step.outputs.size();
  step.context.files.retire_segments(step.sources->segments);
  step.context.collector.add(*committed,
                             [&files = step.context.files, replaced = std::move(step.sources->segments),
                              location = step.location] { return files.remove_segments(replaced, location); });
  return {};
}

// One round over what there is now; true if it changed anything.
Result<bool> run_round(const SegmentsContext& context, TableMutexes& mutexes, const model::TablePtr& table,
                       const SegmentScope& scope, CompactKind kind, uint64_t& first_new, CompactResult& result) {
  hot::SnapshotPtr snapshot = context.store.snapshot();
  KALAM_TRY(const auto manifest, context.segments.manifest(scope.key, snapshot));
  if (manifest == nullptr) return false;
  KALAM_TRY(const auto deletions, context.segments.all_deletions(scope.key, *manifest, snapshot));
  KALAM_TRY(const Location location, context.files.locate(*table, scope));
  first_new = std::min(first_new, manifest->next_segment);
  const auto groups =
      plan_compaction(*table, *manifest, deletions, kind, context.max_segment_rows, first_new, location.storage_id);
  if (!groups.empty()) KALAM_CHECK(record_directory(context, location));
  for (size_t g = 0; g < groups.size(); ++g) {
    Step step{context, mutexes, table, scope, location, snapshot};
    if (g + 1 == groups.size()) snapshot.reset();  // the last step must not keep the files that it replaces
    for (const size_t i : groups[g]) {
      step.sources->segments.push_back(manifest->segments[i]);
      step.deletions.push_back(deletions[i]);
    }
    KALAM_CHECK(check_stop(context.stop));
    KALAM_CHECK(run(step, result));
  }
  return !groups.empty();
}

}  // namespace

Result<> compact_scope(const SegmentsContext& context, TableMutexes& mutexes, const model::TablePtr& table,
                       const SegmentScope& scope, CompactKind kind, CompactResult& result) {
  const uint64_t before = result.segments_before;
  uint64_t first_new = UINT64_MAX;
  const auto compacted = [&]() -> Result<> {
    for (int round = 0; round < kMaxRounds; ++round) {
      KALAM_TRY(const bool changed, run_round(context, mutexes, table, scope, kind, first_new, result));
      if (!changed) break;
    }
    return {};
  }();
  if (result.segments_before > before) export_manifest(context, table, scope);
  return compacted;
}

Result<bool> needs_compaction(const SegmentsContext& context, const model::TablePtr& table, const SegmentScope& scope) {
  const hot::SnapshotPtr snapshot = context.store.snapshot();
  KALAM_TRY(const auto manifest, context.segments.manifest(scope.key, snapshot));
  if (manifest == nullptr) return false;
  KALAM_TRY(const auto deletions, context.segments.all_deletions(scope.key, *manifest, snapshot));
  return is_fragmented(*table, *manifest, deletions, context.max_segment_rows, context.max_small_segments);
}

}  // namespace kalamdb::storage
