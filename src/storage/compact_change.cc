#include "storage/compact_change.h"

#include <algorithm>

#include "cold/deletion_vector.h"

namespace kalamdb::storage {

using hot::RecordSpace;

CompactChange::CompactChange(Input input)
    : input_(std::move(input)), seen_(input_.sources.size()), carried_(input_.outputs.size()) {
  uint64_t rows = 0;
  for (const cold::SegmentEntry& output : input_.outputs) {
    first_rows_.push_back(rows);
    rows += output.row_count;
  }
}

Result<> CompactChange::prepare(const hot::Store& store) {
  // The second time it is quick, and leaves what was deleted during the first to apply().
  KALAM_CHECK(carry_deletions(store));
  return carry_deletions(store);
}

Result<> CompactChange::carry_deletions(const hot::Store& store) {
  for (size_t i = 0; i < input_.sources.size(); ++i) {
    const std::string key = segment_record_key(input_.scope, input_.sources[i].id);
    KALAM_TRY(const auto record, store.get_record(RecordSpace::kDeletions, key, nullptr));
    if (!record) continue;
    KALAM_TRY(const Seq version, cold::deletions_version(*record));
    if (version == seen_[i]) continue;
    KALAM_CHECK(carry(input_.sources[i], *record));
    seen_[i] = version;
  }
  return {};
}

Result<> CompactChange::carry(CompactedSegment& source, std::string_view record) {
  KALAM_TRY(auto decoded, cold::decode_deletions(record));
  auto deleted = std::make_shared<const PositionSet>(std::move(decoded));
  const auto added = deleted->minus(source.deletions != nullptr ? *source.deletions : PositionSet());
  for (const uint32_t position : added) {
    if (position >= source.places.size() || source.places[position] == CompactedSegment::kDropped) {
      return fail(ErrorCode::kCorruption, "A deletion vector has a row that its segment does not have");
    }
    const uint32_t place = source.places[position];
    const auto output = std::ranges::upper_bound(first_rows_, place) - first_rows_.begin() - 1;
    carried_[output].add(static_cast<uint32_t>(place - first_rows_[output]));
  }
  source.deletions = std::move(deleted);
  return {};
}

Result<> CompactChange::apply(const hot::Store& store, hot::Batch& batch) {
  KALAM_CHECK(carry_deletions(store));
  KALAM_CHECK(update_manifest(store, batch));
  for (const CompactedSegment& source : input_.sources) {
    const std::string key = segment_record_key(input_.scope, source.id);
    batch.erase_record(RecordSpace::kDeletions, key);
    batch.erase_record(RecordSpace::kFilter, key);
    batch.erase_record(RecordSpace::kUsers, key);
  }
  for (size_t i = 0; i < input_.outputs.size(); ++i) {
    const std::string key = segment_record_key(input_.scope, input_.outputs[i].id);
    batch.put_record(RecordSpace::kFilter, key, input_.filter_records[i]);
    if (!input_.users_records[i].empty()) batch.put_record(RecordSpace::kUsers, key, input_.users_records[i]);
    if (carried_[i].empty()) continue;
    // Commits that add to it are newer than the store's last one.
    batch.put_record(RecordSpace::kDeletions, key, cold::encode_deletions(store.last_seq(), carried_[i]));
  }
  return {};
}

Result<> CompactChange::update_manifest(const hot::Store& store, hot::Batch& batch) const {
  KALAM_TRY(const auto record, store.get_record(RecordSpace::kManifest, input_.scope, nullptr));
  if (!record) return fail(ErrorCode::kConflict, "The table's segments were removed meanwhile");
  KALAM_TRY(cold::Manifest manifest, cold::decode_manifest(*record));
  const auto is_source = [&](const cold::SegmentEntry& segment) {
    return std::ranges::find(input_.sources, segment.id, &CompactedSegment::id) != input_.sources.end();
  };
  if (std::erase_if(manifest.segments, is_source) != input_.sources.size()) {
    return fail(ErrorCode::kConflict, "The table's segments have changed meanwhile; run the compaction again");
  }
  manifest.segments.insert(manifest.segments.end(), input_.outputs.begin(), input_.outputs.end());
  // A flush may have added one with a higher number meanwhile.
  std::ranges::sort(manifest.segments, {}, &cold::SegmentEntry::id);
  ++manifest.segments_version;
  ++manifest.version;
  manifest.updated_at_us = input_.now_us;
  if (!input_.outputs.empty()) KALAM_CHECK(settle_location(input_.location, store, manifest));
  batch.put_record(RecordSpace::kManifest, input_.scope, cold::encode(manifest));
  return {};
}

}  // namespace kalamdb::storage
