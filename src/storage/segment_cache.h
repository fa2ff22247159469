// Manifests, deletion vectors and Bloom filters as they are at a snapshot, read from the hot store and kept decoded.
#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "cold/bloom.h"
#include "cold/manifest.h"
#include "cold/segment_users.h"
#include "hot/store.h"
#include "storage/lru_cache.h"
#include "storage/segment_scope.h"

namespace kalamdb::storage {

using DeletionsPtr = std::shared_ptr<const PositionSet>;

// The key of a record of one segment in a scope, see storage/segment_scope.h.
std::string segment_record_key(const std::string& scope, uint64_t segment_id);

// Decodes every manifest of the scopes that start with `prefix`, until `visit` fails. Errors: its own,
// kCorruption, kIo.
Result<> for_each_manifest(const hot::Store& store, std::string_view prefix, const hot::SnapshotPtr& snapshot,
                           const std::function<Result<>(const cold::Manifest&)>& visit);

// Thread-safe. `snapshot` nullptr reads the newest state. Errors: kCorruption, kIo, and those of set_damaged().
class SegmentCache {
 public:
  explicit SegmentCache(const hot::Store& store) : store_(store) {}

  // 0 for a scope without segments.
  Result<uint64_t> segments_version(const std::string& scope, const hot::SnapshotPtr& snapshot);
  // nullptr for a scope without segments.
  Result<cold::ManifestPtr> manifest(const std::string& scope, const hot::SnapshotPtr& snapshot);
  // Where a scope without one begins to count: where its last one ended that was removed while the server runs, since
  // caches know segments by their numbers and others know what they have read by segments_version.
  cold::Manifest first_manifest(const std::string& scope) const;
  void note_removed(const std::string& scope, const cold::Manifest& last);
  // nullptr for a segment without deletions.
  Result<DeletionsPtr> deletions(const std::string& scope, uint64_t segment_id, const hot::SnapshotPtr& snapshot);
  // The deletion vectors of all segments of `manifest`, in their order.
  Result<std::vector<DeletionsPtr>> all_deletions(const std::string& scope, const cold::Manifest& manifest,
                                                  const hot::SnapshotPtr& snapshot);
  // nullptr for a segment without one, or whose is damaged: any key may be there.
  Result<std::shared_ptr<const cold::BloomFilter>> filter(const std::string& scope, uint64_t segment_id);

  // Whose rows lie where in a segment of a shard. Errors: kCorruption also where there is no record.
  Result<std::shared_ptr<const cold::SegmentUsers>> users(const std::string& scope, uint64_t segment_id,
                                                          const hot::SnapshotPtr& snapshot);
  // Where in a segment of the scope a user's rows lie, which are deleted or not.
  Result<PositionRange> rows_of(const SegmentScope& scope, const cold::SegmentEntry& segment, const UserId& user,
                                const hot::SnapshotPtr& snapshot);

  // What the committer has just written, so that nobody needs to decode it. Its scope is noted as changed.
  void put_deletions(const std::string& record_key, Seq version, DeletionsPtr deletions);
  // The scope's deletions have changed, or are not in manifest.json for another reason.
  void note_changed(const std::string& scope);
  bool has_changed(std::string_view prefix) const;

  // A scope whose manifest or deletion vectors cannot be used until set_sound(): reading them fails with `why`, which
  // takes the place of an earlier one.
  void set_damaged(const std::string& scope, Error why);
  void set_sound(const std::string& scope);
  // The damaged scopes that start with `prefix`.
  std::vector<std::string> damaged(std::string_view prefix) const;

  // Takes the scopes that start with `prefix` and have deletions that manifest.json may not have yet.
  std::vector<std::string> take_changed(std::string_view prefix);

 private:
  Result<DeletionsPtr> decode_deletions(const std::string& record_key, std::string_view record);
  Result<> check_sound(const std::string& scope) const;

  const hot::Store& store_;
  mutable std::mutex mutex_;
  std::map<std::string, Error, std::less<>> damaged_;        // by scope
  std::atomic<bool> any_damaged_ = false;                    // mostly there are none
  std::set<std::string> damaged_filters_;                    // of which the log tells already
  std::set<std::string, std::less<>> changed_;               // scopes
  std::unordered_map<std::string, cold::Manifest> removed_;  // by scope: the counters
  // By scope or segment and version; costs are in bytes.
  LruCache<cold::Manifest> manifests_{32 << 20};
  LruCache<PositionSet> deletions_{64 << 20};
  LruCache<cold::BloomFilter> filters_{64 << 20};
  LruCache<cold::SegmentUsers> users_{64 << 20};
};

}  // namespace kalamdb::storage
