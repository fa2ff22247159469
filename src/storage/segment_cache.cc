#include "storage/segment_cache.h"

#include "base/bytes.h"
#include "base/log.h"
#include "cold/deletion_vector.h"

namespace kalamdb::storage {

using hot::RecordSpace;

namespace {

std::string versioned(const std::string& key, uint64_t version) {
  std::string out = key;
  append_big_endian(out, version);
  return out;
}

// Cache entries cost at least what their bookkeeping does.
constexpr size_t kEntryBytes = 200;

}  // namespace

std::string segment_record_key(const std::string& scope, uint64_t segment_id) { return versioned(scope, segment_id); }

Result<> for_each_manifest(const hot::Store& store, std::string_view prefix, const hot::SnapshotPtr& snapshot,
                           const std::function<Result<>(const cold::Manifest&)>& visit) {
  Result<> outcome;
  KALAM_CHECK(
      store.scan_records(RecordSpace::kManifest, prefix, snapshot, [&](std::string_view, std::string_view record) {
        const auto manifest = cold::decode_manifest(record);
        outcome = manifest ? visit(*manifest) : fail(manifest.error());
        return outcome.has_value();
      }));
  return outcome;
}

Result<uint64_t> SegmentCache::segments_version(const std::string& scope, const hot::SnapshotPtr& snapshot) {
  KALAM_CHECK(check_sound(scope));
  KALAM_TRY(const auto record, store_.get_record(RecordSpace::kManifest, scope, snapshot));
  if (!record) return 0;
  KALAM_TRY(const auto versions, cold::manifest_versions(*record));
  return versions.segments_version;
}

Result<cold::ManifestPtr> SegmentCache::manifest(const std::string& scope, const hot::SnapshotPtr& snapshot) {
  KALAM_CHECK(check_sound(scope));
  KALAM_TRY(const auto record, store_.get_record(RecordSpace::kManifest, scope, snapshot));
  if (!record) return nullptr;
  KALAM_TRY(const auto versions, cold::manifest_versions(*record));
  std::string key = versioned(scope, versions.version);
  if (auto cached = manifests_.get(key)) return cached;
  KALAM_TRY(auto decoded, cold::decode_manifest(*record));
  auto manifest = std::make_shared<const cold::Manifest>(std::move(decoded));
  manifests_.put(std::move(key), manifest, kEntryBytes + 2 * record->size());
  return manifest;
}

cold::Manifest SegmentCache::first_manifest(const std::string& scope) const {
  const std::lock_guard lock(mutex_);
  const auto found = removed_.find(scope);
  return found == removed_.end() ? cold::Manifest() : found->second;
}

void SegmentCache::note_removed(const std::string& scope, const cold::Manifest& last) {
  const std::lock_guard lock(mutex_);
  removed_[scope] = {
      .segments_version = last.segments_version, .version = last.version, .next_segment = last.next_segment};
}

Result<DeletionsPtr> SegmentCache::decode_deletions(const std::string& record_key, std::string_view record) {
  KALAM_TRY(const Seq version, cold::deletions_version(record));
  std::string key = versioned(record_key, static_cast<uint64_t>(version));
  if (auto cached = deletions_.get(key)) return cached;
  KALAM_TRY(auto decoded, cold::decode_deletions(record));
  auto deletions = std::make_shared<const PositionSet>(std::move(decoded));
  deletions_.put(std::move(key), deletions, kEntryBytes + record.size());
  return deletions;
}

std::vector<std::string> SegmentCache::take_changed(std::string_view prefix) {
  const std::lock_guard lock(mutex_);
  std::vector<std::string> scopes;
  auto scope = changed_.lower_bound(prefix);
  while (scope != changed_.end() && scope->starts_with(prefix)) {
    scopes.push_back(*scope);
    scope = changed_.erase(scope);
  }
  return scopes;
}

void SegmentCache::note_changed(const std::string& scope) {
  const std::lock_guard lock(mutex_);
  changed_.insert(scope);
}

bool SegmentCache::has_changed(std::string_view prefix) const {
  const std::lock_guard lock(mutex_);
  const auto scope = changed_.lower_bound(prefix);
  return scope != changed_.end() && scope->starts_with(prefix);
}

void SegmentCache::set_damaged(const std::string& scope, Error why) {
  const std::lock_guard lock(mutex_);
  damaged_.insert_or_assign(scope, std::move(why));
  any_damaged_ = true;
}

void SegmentCache::set_sound(const std::string& scope) {
  const std::lock_guard lock(mutex_);
  damaged_.erase(scope);
  any_damaged_ = !damaged_.empty();
}

std::vector<std::string> SegmentCache::damaged(std::string_view prefix) const {
  const std::lock_guard lock(mutex_);
  std::vector<std::string> scopes;
  for (auto it = damaged_.lower_bound(prefix); it != damaged_.end() && it->first.starts_with(prefix); ++it) {
    scopes.push_back(it->first);
  }
  return scopes;
}

Result<> SegmentCache::check_sound(const std::string& scope) const {
  if (!any_damaged_) return {};
  const std::lock_guard lock(mutex_);
  const auto damaged = damaged_.find(scope);
  if (damaged == damaged_.end()) return {};
  return fail(damaged->second);
}

void SegmentCache::put_deletions(const std::string& record_key, Seq version, DeletionsPtr deletions) {
  note_changed(record_key.substr(0, record_key.size() - sizeof(uint64_t)));
  // A position takes two bytes in the common container of a Roaring bitmap, up to a full container's 8 KiB.
  const size_t cost = kEntryBytes + 2 * deletions->size();
  deletions_.put(versioned(record_key, static_cast<uint64_t>(version)), std::move(deletions), cost);
}

Result<DeletionsPtr> SegmentCache::deletions(const std::string& scope, uint64_t segment_id,
                                             const hot::SnapshotPtr& snapshot) {
  const std::string key = segment_record_key(scope, segment_id);
  KALAM_TRY(const auto record, store_.get_record(RecordSpace::kDeletions, key, snapshot));
  if (!record) return nullptr;
  return decode_deletions(key, *record);
}

Result<std::vector<DeletionsPtr>> SegmentCache::all_deletions(const std::string& scope, const cold::Manifest& manifest,
                                                              const hot::SnapshotPtr& snapshot) {
  std::vector<DeletionsPtr> all(manifest.segments.size());
  Result<> outcome;
  KALAM_CHECK(
      store_.scan_records(RecordSpace::kDeletions, scope, snapshot, [&](std::string_view key, std::string_view record) {
        if (key.size() != scope.size() + sizeof(uint64_t)) {
          outcome = fail(ErrorCode::kCorruption, "The key of a deletion vector has a wrong length");
          return false;
        }
        const auto* segment = manifest.find(read_big_endian<uint64_t>(key.data() + scope.size()));
        if (segment == nullptr) return true;
        auto decoded = decode_deletions(std::string(key), record);
        if (!decoded) {
          outcome = fail(std::move(decoded).error());
          return false;
        }
        all[segment - manifest.segments.data()] = *std::move(decoded);
        return true;
      }));
  KALAM_CHECK(outcome);
  return all;
}

Result<std::shared_ptr<const cold::BloomFilter>> SegmentCache::filter(const std::string& scope, uint64_t segment_id) {
  std::string key = segment_record_key(scope, segment_id);
  if (auto cached = filters_.get(key)) return cached;
  KALAM_TRY(auto record, store_.get_record(RecordSpace::kFilter, key, nullptr));
  if (!record) return nullptr;
  auto decoded = cold::BloomFilter::decode(*std::move(record));
  if (!decoded) {
    const std::lock_guard lock(mutex_);
    if (!damaged_filters_.insert(std::move(key)).second) return nullptr;
    log::warn(
        "storage: the Bloom filter of segment {} is damaged; until ANALYZE makes it again, look-ups read the file",
        segment_id);
    return nullptr;
  }
  auto filter = std::make_shared<const cold::BloomFilter>(*std::move(decoded));
  filters_.put(std::move(key), filter, kEntryBytes + filter->record().size());
  return filter;
}

Result<std::shared_ptr<const cold::SegmentUsers>> SegmentCache::users(const std::string& scope, uint64_t segment_id,
                                                                      const hot::SnapshotPtr& snapshot) {
  std::string key = segment_record_key(scope, segment_id);
  if (auto cached = users_.get(key)) return cached;
  KALAM_TRY(const auto record, store_.get_record(RecordSpace::kUsers, key, snapshot));
  if (!record) return fail(ErrorCode::kCorruption, "The record of a segment's users is missing");
  KALAM_TRY(auto decoded, cold::SegmentUsers::decode(*record));
  auto users = std::make_shared<const cold::SegmentUsers>(std::move(decoded));
  users_.put(std::move(key), users, kEntryBytes + users->memory_bytes());
  return users;
}

Result<PositionRange> SegmentCache::rows_of(const SegmentScope& scope, const cold::SegmentEntry& segment,
                                            const UserId& user, const hot::SnapshotPtr& snapshot) {
  if (!scope.shard) return PositionRange{0, static_cast<uint32_t>(segment.row_count)};
  KALAM_TRY(const auto all, users(scope.key, segment.id, snapshot));
  return all->range_of(user);
}

}  // namespace kalamdb::storage
