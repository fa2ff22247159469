#include "cold/block_cache.h"

#include <xxhash.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "base/assert.h"
#include "base/log.h"

namespace kalamdb::cold {
namespace {

// Neighbouring blocks are fetched together up to this size.
constexpr uint64_t kMaxFetchBytes = 16 << 20;

uint64_t checksum(std::string_view bytes) { return XXH3_64bits(bytes.data(), bytes.size()); }

}  // namespace

struct BlockCache::Wanted {
  uint64_t block = 0;
  // One of these three:
  std::optional<Stored> stored;
  std::shared_future<Result<Bytes>> fetched;           // by this or another reader
  std::optional<std::promise<Result<Bytes>>> promise;  // for `fetched`, when it is this reader that fetches
};

Result<std::unique_ptr<BlockCache>> BlockCache::open(platform::FileSystem& files, BlockCacheOptions options) {
  KALAM_ASSERT(options.block_bytes > 0 && options.directory.starts_with('/'));
  KALAM_CHECK(files.remove_tree(options.directory));
  KALAM_CHECK(files.create_directories(options.directory));
  return std::unique_ptr<BlockCache>(new BlockCache(files, std::move(options)));
}

BlockCache::BlockCache(platform::FileSystem& files, BlockCacheOptions options)
    : files_(files), options_(std::move(options)) {}

std::string BlockCache::key_of(const Object& object, uint64_t block) const {
  std::string key(object.store_id);
  return key.append(1, '\0').append(object.name).append(1, '\0').append(std::to_string(block));
}

std::string BlockCache::path_of(uint64_t file) const { return options_.directory + "/" + std::to_string(file); }

Result<std::string> BlockCache::read(ObjectStore& store, std::string_view store_id, const std::string& name,
                                     uint64_t object_bytes, uint64_t offset, uint64_t length) {
  if (offset > object_bytes || length > object_bytes - offset) {
    return fail(ErrorCode::kIo, "Cannot read " + std::to_string(length) + " bytes at " + std::to_string(offset) +
                                    " of " + name + ": it has only " + std::to_string(object_bytes));
  }
  if (length == 0) return std::string();
  const Object object{store, store_id, name, object_bytes};
  const uint64_t size = options_.block_bytes;
  auto wanted = look_up(object, offset / size, (offset + length - 1) / size);
  fetch(object, wanted);
  std::string out;
  out.reserve(length);
  for (const Wanted& each : wanted) {
    const uint64_t begin = each.block * size;
    const uint64_t from = std::max(begin, offset);
    const uint64_t to = std::min(begin + size, offset + length);
    Bytes bytes;
    if (each.stored) {
      bytes = load(*each.stored);
    } else {
      const Result<Bytes>& fetched = each.fetched.get();
      if (!fetched) return fail(fetched.error());
      bytes = *fetched;
    }
    if (bytes) {
      out.append(*bytes, from - begin, to - from);
    } else {
      // Gone meanwhile, by eviction or by someone's hand: as if it had never been there.
      KALAM_TRY(const auto again, read(store, store_id, name, object_bytes, from, to - from));
      out += again;
    }
  }
  return out;
}

std::vector<BlockCache::Wanted> BlockCache::look_up(const Object& object, uint64_t first_block, uint64_t last_block) {
  std::vector<Wanted> wanted;
  const std::lock_guard lock(mutex_);
  for (uint64_t block = first_block; block <= last_block; ++block) {
    const std::string key = key_of(object, block);
    Wanted& each = wanted.emplace_back(Wanted{.block = block});
    if (const auto found = stored_.find(key); found != stored_.end()) {
      ++hits_;
      by_use_.splice(by_use_.begin(), by_use_, found->second);
      each.stored = *found->second;
      continue;
    }
    ++misses_;
    const auto [fetching, is_new] = fetching_.try_emplace(key);
    if (is_new) fetching->second = each.promise.emplace().get_future().share();
    each.fetched = fetching->second;
  }
  return wanted;
}

void BlockCache::fetch(const Object& object, std::vector<Wanted>& wanted) {
  const uint64_t size = options_.block_bytes;
  const size_t most = std::max<uint64_t>(kMaxFetchBytes / size, 1);
  for (size_t first = 0; first < wanted.size();) {
    size_t end = first;
    while (end < wanted.size() && end - first < most && wanted[end].promise) ++end;
    if (end == first) {
      ++first;
      continue;
    }
    const uint64_t begin = wanted[first].block * size;
    const uint64_t length = std::min((end - first) * size, object.size_bytes - begin);
    const auto got = object.store.get_range(object.name, begin, length);
    for (size_t i = first; i < end; ++i) {
      const std::string key = key_of(object, wanted[i].block);
      if (got) {
        const auto bytes = std::make_shared<const std::string>(got->substr((i - first) * size, size));
        wanted[i].promise->set_value(bytes);
        keep(key, bytes);
      } else {
        wanted[i].promise->set_value(fail(got.error()));
        const std::lock_guard lock(mutex_);
        fetching_.erase(key);
      }
    }
    first = end;
  }
}

BlockCache::Bytes BlockCache::load(const Stored& stored) {
  auto bytes = files_.read_file(path_of(stored.file));
  if (bytes && bytes->size() == stored.size_bytes && checksum(*bytes) == stored.checksum) {
    return std::make_shared<const std::string>(*std::move(bytes));
  }
  std::vector<uint64_t> forgotten;
  {
    const std::lock_guard lock(mutex_);
    const auto found = stored_.find(stored.key);
    if (found == stored_.end() || found->second->file != stored.file) return nullptr;  // evicted
    forgotten.push_back(stored.file);
    bytes_ -= stored.size_bytes;
    const auto entry = found->second;
    stored_.erase(found);
    by_use_.erase(entry);
  }
  log::warn("storage: {} in the cache of remote segments is not as it was written; it is fetched again",
            path_of(stored.file));
  remove_files(forgotten);
  return nullptr;
}

void BlockCache::keep(const std::string& key, const Bytes& bytes) {
  std::vector<uint64_t> evicted;
  uint64_t file = 0;
  bool is_reserved = false;
  {
    const std::lock_guard lock(mutex_);
    is_reserved = reserve(bytes->size(), evicted);
    file = next_file_++;
  }
  remove_files(evicted);
  Result<> written;
  if (is_reserved) {
    written = files_.write_file(path_of(file), *bytes);
    if (!written) {
      log::warn("storage: {}", written.error().message);
      remove_files({file});
    }
  }
  const std::lock_guard lock(mutex_);
  fetching_.erase(key);
  if (!is_reserved) return;
  if (!written) {
    bytes_ -= bytes->size();
    return;
  }
  by_use_.push_front({key, file, bytes->size(), checksum(*bytes)});
  stored_.emplace(by_use_.front().key, by_use_.begin());
}

bool BlockCache::reserve(uint64_t bytes, std::vector<uint64_t>& evicted) {
  if (bytes > options_.max_bytes) return false;
  while (bytes_ > options_.max_bytes - bytes) {
    if (by_use_.empty()) return false;  // all of it is being written
    evicted.push_back(by_use_.back().file);
    bytes_ -= by_use_.back().size_bytes;
    stored_.erase(by_use_.back().key);
    by_use_.pop_back();
  }
  bytes_ += bytes;
  return true;
}

void BlockCache::remove_files(const std::vector<uint64_t>& files) {
  for (const uint64_t file : files) {
    const std::string path = path_of(file);
    if (!files_.exists(path)) continue;
    if (const auto removed = files_.remove_file(path); !removed) log::warn("storage: {}", removed.error().message);
  }
}

BlockCache::Counters BlockCache::counters() const {
  const std::lock_guard lock(mutex_);
  return {hits_, misses_, bytes_};
}

}  // namespace kalamdb::cold
