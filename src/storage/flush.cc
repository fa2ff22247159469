#include "storage/flush.h"

#include <algorithm>
#include <mutex>
#include <thread>
#include <utility>

#include "cold/bloom.h"
#include "storage/compact.h"
#include "storage/flush_change.h"
#include "storage/flush_cursor.h"
#include "storage/manifest_export.h"
#include "storage/scope_cursor.h"

namespace kalamdb::storage {
namespace {

struct Target {
  cold::Manifest current;  // or that of a scope without one
  uint64_t segment_id = 0;
};

// The number for the next segment: never one that a file has, since a commit that failed may be found in the log after
// all at the next start.
Result<Target> choose_target(const SegmentsContext& context, const std::string& scope, const Location& location) {
  KALAM_TRY(const auto manifest, context.segments.manifest(scope, nullptr));
  Target target{manifest != nullptr ? *manifest : context.segments.first_manifest(scope)};
  target.segment_id = target.current.next_segment;
  while (true) {
    KALAM_TRY(const bool exists, context.files.segment_exists(location, target.segment_id));
    if (!exists) return target;
    ++target.segment_id;
  }
}

Result<> check_written(const duck::WrittenSegment& written, const FlushedRows& rows) {
  if (written.row_count == rows.keys.size() && std::ranges::is_sorted(rows.keys)) return {};
  return fail(ErrorCode::kInternal, "A segment was written with " + std::to_string(written.row_count) + " rows of " +
                                        std::to_string(rows.keys.size()) + ", or out of order");
}

Result<> commit_segment(const SegmentsContext& context, FlushChange::Input input, FlushedRows rows) {
  auto change = std::make_shared<FlushChange>(std::move(input), std::move(rows));
  KALAM_CHECK(change->prepare(context.store, context.watches));
  CommitRequest request;
  request.segments_change = std::move(change);
  KALAM_CHECK(context.committer.commit(std::move(request)));
  return {};
}

// Writes one segment of what `rows` has waiting and commits it.
Result<> flush_segment(const SegmentsContext& context, const model::TablePtr& table, const SegmentScope& scope,
                       const hot::SnapshotPtr& snapshot, FlushCursor& rows, FlushResult& result) {
  KALAM_TRY(const Location location, context.files.locate(*table, scope));
  KALAM_CHECK(record_directory(context, location));
  KALAM_TRY(const Target target, choose_target(context, scope.key, location));
  auto written = context.files.write_segment(context.engine, location, target.segment_id, table, scope, rows);
  if (!written) {
    context.files.discard_segment(location, target.segment_id);
    return fail(std::move(written).error());
  }
  FlushedRows notes = rows.take_notes();
  KALAM_CHECK(check_written(*written, notes));

  FlushChange::Input input{
      .table = table,
      .scope = scope,
      .snapshot = snapshot,
      .segments_version = target.current.segments_version,
      .first = target.current,
      .segment = segment_entry(target.segment_id, location.storage_id,
                               location.directory + "/" + cold::segment_file_name(target.segment_id), *table, *written,
                               notes, context.clock.now_us()),
      .location = location,
      .filter_record = cold::BloomFilter::build(notes.keys).record()};
  if (auto committed = commit_segment(context, std::move(input), std::move(notes)); !committed) {
    // With kUnavailable it is open whether the log has the commit: the next start knows.
    if (committed.error().code != ErrorCode::kUnavailable) {
      context.files.discard_segment(location, target.segment_id);
    }
    return fail(std::move(committed).error());
  }
  result.rows += written->row_count;
  result.segments += 1;
  result.bytes += written->size_bytes;
  return {};
}

// Small scopes are mostly waiting for the disk, which serves several at once as fast as one, and their commits are
// written together. Those of shards are large, and each is in memory in part.
constexpr size_t kScopesAtOnce = 8;
constexpr size_t kShardsAtOnce = 2;

Result<> flush_scope(const SegmentsContext& context, const model::TablePtr& table, const ScopeUsers& scope,
                     FlushResult& result) {
  const uint64_t segments_before = result.segments;
  const auto flushed = [&]() -> Result<> {
    const hot::SnapshotPtr snapshot = context.store.snapshot();
    FlushCursor rows(table, std::make_unique<ScopeCursor>(context.store, table->id, scope, snapshot),
                     context.max_segment_rows);
    while (true) {
      KALAM_TRY(const bool more, rows.begin_segment());
      if (!more) return {};
      KALAM_CHECK(check_stop(context.stop));
      KALAM_CHECK(flush_segment(context, table, scope.scope, snapshot, rows, result));
    }
  }();
  if (result.segments == segments_before) return flushed;
  export_manifest(context, table, scope.scope);
  KALAM_CHECK(flushed);
  KALAM_TRY(const bool is_fragmented, needs_compaction(context, table, scope.scope));
  if (is_fragmented) ++result.fragmented;
  return {};
}

}  // namespace

RecordWrite directory_record(const Location& location) {
  return {hot::RecordSpace::kDirectory, location.record_key, location.record, std::nullopt};
}

Result<> record_directory(const SegmentsContext& context, const Location& location) {
  KALAM_TRY(const auto known, context.store.get_record(hot::RecordSpace::kDirectory, location.record_key, nullptr));
  if (known) return {};
  CommitRequest request;
  request.records.push_back(directory_record(location));
  request.always_sync = true;
  KALAM_CHECK(context.committer.commit(std::move(request)));
  return {};
}

Result<> flush_scopes(const SegmentsContext& context, const model::TablePtr& table, std::span<const ScopeUsers> scopes,
                      FlushResult& result) {
  std::mutex mutex;  // of those that follow
  size_t next = 0;
  Result<> outcome;
  const auto work = [&] {
    FlushResult mine;
    while (true) {
      std::unique_lock lock(mutex);
      if (next == scopes.size() || !outcome) break;
      const ScopeUsers& scope = scopes[next++];
      lock.unlock();
      auto flushed = flush_scope(context, table, scope, mine);
      lock.lock();
      if (!flushed && outcome) outcome = std::move(flushed);
    }
    const std::lock_guard lock(mutex);
    result.rows += mine.rows;
    result.segments += mine.segments;
    result.bytes += mine.bytes;
    result.fragmented += mine.fragmented;
  };
  {
    std::vector<std::jthread> helpers;
    const size_t at_once = table->options.shares_segments ? kShardsAtOnce : kScopesAtOnce;
    for (size_t i = 1; i < std::min(at_once, scopes.size()); ++i) helpers.emplace_back(work);
    work();
  }
  return outcome;
}

}  // namespace kalamdb::storage
