// A bounded map from texts to small values for hot paths: sharded by key, and forgetting what was not used for long
// without the bookkeeping of an exact LRU. Each shard has a young and an old generation; a hit in the old one moves the
// entry to the young one, and when that is full it becomes the old one, whose entries are dropped.
#pragma once

#include <array>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>

namespace kalamdb::auth {

// Thread-safe. Holds at most about `capacity` entries.
template <typename Value>
class GenerationalCache {
 public:
  explicit GenerationalCache(size_t capacity) : generation_size_(capacity / kShards / 2 + 1) {}

  std::optional<Value> find(std::string_view key) {
    Shard& shard = shard_of(key);
    const std::scoped_lock lock(shard.mutex);
    Value* value = find_in(shard, key);
    return value != nullptr ? std::optional<Value>(*value) : std::nullopt;
  }

  void put(std::string_view key, Value value) {
    Shard& shard = shard_of(key);
    const std::scoped_lock lock(shard.mutex);
    insert(shard, std::string(key), std::move(value));
  }

  void erase(std::string_view key) {
    Shard& shard = shard_of(key);
    const std::scoped_lock lock(shard.mutex);
    for (Map* map : {&shard.young, &shard.old}) {
      if (const auto found = map->find(key); found != map->end()) map->erase(found);
    }
  }

  // Runs `use` on the key's value, made by `make` if there is none, with the key's shard locked, and gives its result.
  template <typename Make, typename Use>
  auto with(std::string_view key, const Make& make, const Use& use) {
    Shard& shard = shard_of(key);
    const std::scoped_lock lock(shard.mutex);
    Value* value = find_in(shard, key);
    if (value == nullptr) value = &insert(shard, std::string(key), make());
    return use(*value);
  }

 private:
  static constexpr size_t kShards = 16;

  struct Hash {
    using is_transparent = void;
    size_t operator()(std::string_view key) const { return std::hash<std::string_view>{}(key); }
  };
  using Map = std::unordered_map<std::string, Value, Hash, std::equal_to<>>;
  struct alignas(64) Shard {
    std::mutex mutex;
    Map young;
    Map old;
  };

  // The high bits, since the map uses the low ones.
  Shard& shard_of(std::string_view key) { return shards_[Hash{}(key) >> 60]; }

  Value* find_in(Shard& shard, std::string_view key) {
    if (const auto found = shard.young.find(key); found != shard.young.end()) return &found->second;
    const auto found = shard.old.find(key);
    if (found == shard.old.end()) return nullptr;
    auto node = shard.old.extract(found);
    return &insert(shard, std::move(node.key()), std::move(node.mapped()));
  }

  Value& insert(Shard& shard, std::string key, Value value) {
    if (shard.young.size() >= generation_size_) {
      shard.old = std::exchange(shard.young, {});
    }
    return shard.young.insert_or_assign(std::move(key), std::move(value)).first->second;
  }

  const size_t generation_size_;
  std::array<Shard, kShards> shards_;
};

}  // namespace kalamdb::auth
