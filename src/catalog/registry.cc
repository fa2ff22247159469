#include "catalog/registry.h"

#include <algorithm>
#include <bit>
#include <functional>
#include <utility>

namespace kalamdb::catalog {

namespace {

bool is_named(const model::TableDefinition& table, std::string_view namespace_id, std::string_view name) {
  return table.name == name && table.namespace_id == namespace_id;
}

std::string record_key(std::string_view namespace_id, std::string_view name) {
  std::string key;
  key.reserve(namespace_id.size() + 1 + name.size());
  key.append(namespace_id).append(1, '.').append(name);
  return key;
}

Result<model::TablePtr> decode(std::string_view record) {
  KALAM_TRY(auto table, model::decode_table(record));
  return std::make_shared<const model::TableDefinition>(std::move(table));
}

}  // namespace

Registry::Registry(const hot::Store& store, size_t capacity)
    : store_(store), capacity_(capacity), buckets_(std::bit_ceil(capacity)) {}

SharedSlot<const Registry::Bucket>& Registry::bucket_of(std::string_view namespace_id, std::string_view name) {
  return const_cast<SharedSlot<const Bucket>&>(std::as_const(*this).bucket_of(namespace_id, name));
}

const SharedSlot<const Registry::Bucket>& Registry::bucket_of(std::string_view namespace_id,
                                                              std::string_view name) const {
  const std::hash<std::string_view> hash;
  return buckets_[(hash(namespace_id) * 31 + hash(name)) & (buckets_.size() - 1)];
}

Result<model::TablePtr> Registry::find(std::string_view namespace_id, std::string_view name) {
  if (const BucketPtr bucket = bucket_of(namespace_id, name).load()) {
    for (const auto& entry : *bucket) {
      if (!is_named(*entry->table, namespace_id, name)) continue;
      entry->hits.fetch_add(1, std::memory_order_relaxed);
      return entry->table;
    }
  }
  misses_.fetch_add(1, std::memory_order_relaxed);
  const uint64_t changes = changes_.load(std::memory_order_acquire);
  KALAM_TRY(const auto record, store_.get_record(hot::RecordSpace::kTable, record_key(namespace_id, name), nullptr));
  if (!record) return nullptr;
  KALAM_TRY(model::TablePtr table, decode(*record));
  const std::lock_guard lock(mutex_);
  // What was read before a change that has come meanwhile may be what it replaced: good for this caller, who asked
  // before the change was acknowledged, and for nobody else.
  if (changes_.load(std::memory_order_relaxed) == changes) replace(namespace_id, name, table);
  return table;
}

Result<std::vector<model::TablePtr>> Registry::list(std::string_view namespace_id) const {
  const std::string prefix = namespace_id.empty() ? "" : record_key(namespace_id, "");
  std::vector<model::TablePtr> tables;
  Result<> outcome;
  KALAM_CHECK(store_.scan_records(
      hot::RecordSpace::kTable, prefix, nullptr, [&](std::string_view key, std::string_view record) {
        const size_t dot = key.find('.');
        const std::string_view in = key.substr(0, dot);
        const std::string_view name = key.substr(dot + 1);
        if (const BucketPtr bucket = bucket_of(in, name).load()) {
          const auto kept =
              std::ranges::find_if(*bucket, [&](const auto& entry) { return is_named(*entry->table, in, name); });
          if (kept != bucket->end()) {
            tables.push_back((*kept)->table);
            return true;
          }
        }
        auto table = decode(record);
        if (!table) {
          outcome = fail(std::move(table).error());
          return false;
        }
        tables.push_back(*std::move(table));
        return true;
      }));
  KALAM_CHECK(outcome);
  return tables;
}

Result<> Registry::warm() {
  const std::lock_guard lock(mutex_);
  Result<> outcome;
  KALAM_CHECK(
      store_.scan_records(hot::RecordSpace::kTable, "", nullptr, [&](std::string_view, std::string_view record) {
        if (size_ == capacity_) return false;
        auto table = decode(record);
        if (!table) {
          outcome = fail(std::move(table).error());
          return false;
        }
        const model::TableDefinition& definition = **table;
        replace(definition.namespace_id, definition.name, *table);
        return true;
      }));
  return outcome;
}

void Registry::put(model::TablePtr table) {
  const std::lock_guard lock(mutex_);
  changes_.fetch_add(1, std::memory_order_release);
  const model::TableDefinition& definition = *table;
  replace(definition.namespace_id, definition.name, std::move(table));
}

void Registry::erase(std::string_view namespace_id, std::string_view name) {
  const std::lock_guard lock(mutex_);
  changes_.fetch_add(1, std::memory_order_release);
  replace(namespace_id, name, nullptr);
}

void Registry::replace(std::string_view namespace_id, std::string_view name, model::TablePtr table) {
  auto& bucket = bucket_of(namespace_id, name);
  const BucketPtr before = bucket.load();
  Bucket after;
  if (before != nullptr) {
    for (const auto& entry : *before) {
      if (is_named(*entry->table, namespace_id, name)) {
        forget(*entry);
      } else {
        after.push_back(entry);
      }
    }
  }
  if (table != nullptr) {
    after.push_back(std::make_shared<Entry>(std::move(table)));
    ++size_;
  }
  bucket.store(after.empty() ? nullptr : std::make_shared<const Bucket>(std::move(after)));
  if (size_ > capacity_) evict_one();
}

// The hand of a clock goes round the buckets and drops the first entry that nobody has used since it last came by: near
// enough to "used longest ago", and readers only have to count.
void Registry::evict_one() {
  while (true) {
    hand_ = (hand_ + 1) & (buckets_.size() - 1);
    const BucketPtr bucket = buckets_[hand_].load();
    if (bucket == nullptr) continue;
    for (const auto& entry : *bucket) {
      const uint64_t hits = entry->hits.load(std::memory_order_relaxed);
      if (hits != std::exchange(entry->hits_seen, hits)) continue;
      ++evictions_;
      replace(entry->table->namespace_id, entry->table->name, nullptr);
      return;
    }
  }
}

void Registry::forget(const Entry& entry) {
  hits_of_gone_ += entry.hits.load(std::memory_order_relaxed);
  --size_;
}

RegistryCounters Registry::counters() const {
  const std::lock_guard lock(mutex_);
  RegistryCounters counters{
      .hits = hits_of_gone_, .misses = misses_.load(std::memory_order_relaxed), .evictions = evictions_, .size = size_};
  for (const auto& bucket : buckets_) {
    const BucketPtr entries = bucket.load();
    if (entries == nullptr) continue;
    for (const auto& entry : *entries) counters.hits += entry->hits.load(std::memory_order_relaxed);
  }
  return counters;
}

}  // namespace kalamdb::catalog
