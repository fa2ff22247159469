#include "storage/compact_plan.h"

#include <algorithm>
#include <map>
#include <string>

#include "storage/partition.h"

namespace kalamdb::storage {
namespace {

// A scan gets slower with what it skips: from this share of deleted rows on, rewriting a segment pays.
constexpr uint64_t kWornPercent = 10;

// How many segments are merged at once: each is read through buffers of its own.
constexpr size_t kMaxSources = 32;

bool is_worn(const cold::SegmentEntry& segment, const DeletionsPtr& deletions, CompactKind kind) {
  const uint64_t deleted = deletions != nullptr ? deletions->size() : 0;
  if (kind == CompactKind::kVacuum) return deleted > 0;
  return deleted > 0 && deleted * 100 >= segment.row_count * kWornPercent;
}

}  // namespace

uint64_t live_rows(const cold::SegmentEntry& segment, const DeletionsPtr& deletions) {
  return segment.row_count - (deletions != nullptr ? deletions->size() : 0);
}

std::vector<std::vector<size_t>> plan_compaction(const model::TableDefinition& table, const cold::Manifest& manifest,
                                                 const std::vector<DeletionsPtr>& deletions, CompactKind kind,
                                                 uint64_t max_segment_rows, uint64_t first_new,
                                                 std::string_view storage_id) {
  const Partitions partitions(table);
  struct Candidate {
    size_t index;
    bool worn;
  };
  std::map<std::string_view, std::vector<Candidate>> by_partition;
  for (size_t i = 0; i < manifest.segments.size(); ++i) {
    const cold::SegmentEntry& segment = manifest.segments[i];
    const bool worn = segment.id < first_new && is_worn(segment, deletions[i], kind);
    const bool small = kind == CompactKind::kOptimize && 2 * live_rows(segment, deletions[i]) < max_segment_rows;
    const bool misplaced = kind == CompactKind::kOptimize && segment.storage != storage_id;
    if (worn || small || misplaced) by_partition[partitions.of(segment.min_key)].push_back({i, worn || misplaced});
  }
  std::vector<std::vector<size_t>> groups;
  for (auto& [partition, candidates] : by_partition) {
    // Those that hold neighbouring keys go together, so that the new ones overlap little.
    std::ranges::sort(candidates, {}, [&](const Candidate& one) { return manifest.segments[one.index].min_key; });
    for (size_t begin = 0; begin < candidates.size(); begin += kMaxSources) {
      const auto chosen = std::span(candidates).subspan(begin, std::min(kMaxSources, candidates.size() - begin));
      if (chosen.size() < 2 && !chosen.front().worn) continue;
      auto& group = groups.emplace_back();
      for (const Candidate& candidate : chosen) group.push_back(candidate.index);
    }
  }
  return groups;
}

bool is_fragmented(const model::TableDefinition& table, const cold::Manifest& manifest,
                   const std::vector<DeletionsPtr>& deletions, uint64_t max_segment_rows, uint64_t max_small_segments) {
  if (max_small_segments == 0) return false;
  for (size_t i = 0; i < manifest.segments.size(); ++i) {
    if (is_worn(manifest.segments[i], deletions[i], CompactKind::kOptimize)) return true;
  }
  const auto groups = plan_compaction(table, manifest, deletions, CompactKind::kOptimize, max_segment_rows,
                                      manifest.next_segment, manifest.storage);
  return std::ranges::any_of(groups, [&](const auto& group) { return group.size() > max_small_segments; });
}

}  // namespace kalamdb::storage
