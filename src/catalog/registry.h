// The schema registry: table definitions in memory. Those used lately are read without locks; the others are loaded
// from the store when somebody asks for them, and the number that is kept is bounded.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "base/shared_slot.h"
#include "hot/store.h"
#include "model/table.h"

namespace kalamdb::catalog {

// Since the start, but for `size`.
struct RegistryCounters {
  uint64_t hits = 0;
  uint64_t misses = 0;  // look-ups that went to the store, those of tables that do not exist among them
  uint64_t evictions = 0;
  uint64_t size = 0;  // definitions in memory
};

// Thread-safe. Names are lower case.
class Registry {
 public:
  // Keeps up to `capacity` definitions, at least 1. `store` must outlive it.
  Registry(const hot::Store& store, size_t capacity);

  // nullptr where there is none. A definition that was loaded twice is equal but not identical. Errors: kIo,
  // kCorruption.
  Result<model::TablePtr> find(std::string_view namespace_id, std::string_view name);
  // The definitions of a namespace (empty: of all), by name. Does not count, and changes nothing of what is kept.
  Result<std::vector<model::TablePtr>> list(std::string_view namespace_id) const;
  // Loads as many as may be kept. Before the first find().
  Result<> warm();

  // What a commit has made of a table; called before the commit is acknowledged. From then on no find() that begins
  // gives anything older.
  void put(model::TablePtr table);
  void erase(std::string_view namespace_id, std::string_view name);

  RegistryCounters counters() const;

 private:
  struct Entry {
    explicit Entry(model::TablePtr definition) : table(std::move(definition)) {}
    const model::TablePtr table;
    std::atomic<uint64_t> hits{0};
    uint64_t hits_seen = UINT64_MAX;  // under mutex_: its hits when the hand last passed
  };
  // Replaced as a whole, so that readers only copy a pointer. Nearly always of one entry.
  using Bucket = std::vector<std::shared_ptr<Entry>>;
  using BucketPtr = std::shared_ptr<const Bucket>;

  SharedSlot<const Bucket>& bucket_of(std::string_view namespace_id, std::string_view name);
  const SharedSlot<const Bucket>& bucket_of(std::string_view namespace_id, std::string_view name) const;
  // The three hold mutex_.
  void replace(std::string_view namespace_id, std::string_view name, model::TablePtr table);
  void evict_one();
  void forget(const Entry& entry);

  const hot::Store& store_;
  const size_t capacity_;
  std::vector<SharedSlot<const Bucket>> buckets_;  // a power of two
  std::atomic<uint64_t> misses_{0};
  std::atomic<uint64_t> changes_{0};

  mutable std::mutex mutex_;  // of whoever changes what is kept
  size_t size_ = 0;
  size_t hand_ = 0;  // the bucket at which evict_one() goes on
  uint64_t evictions_ = 0;
  uint64_t hits_of_gone_ = 0;
};

}  // namespace kalamdb::catalog
