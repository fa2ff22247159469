// Parts of remote objects, kept on the local disk.
#pragma once

#include <cstdint>
#include <future>
#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/result.h"
#include "cold/object_store.h"
#include "platform/file_system.h"

namespace kalamdb::cold {

struct BlockCacheOptions {
  std::string directory;  // absolute; the cache's alone
  uint64_t max_bytes = 1 << 30;
  uint64_t block_bytes = 1 << 20;
};

// Objects are cached in blocks of one size, the least recently used of which go first. Thread-safe. Readers of one
// missing block cause one request, whose outcome is everybody's; readers of others do not wait for it. A file of the
// cache that has vanished or changed is fetched again, and a local disk that fails only costs requests.
class BlockCache {
 public:
  struct Counters {
    uint64_t hits = 0;    // blocks that were there
    uint64_t misses = 0;  // blocks that were not
    uint64_t bytes = 0;   // on the disk now
  };

  // Empties the directory. `files` must outlive the cache.
  static Result<std::unique_ptr<BlockCache>> open(platform::FileSystem& files, BlockCacheOptions options);

  // The bytes [offset, offset + length) of an object of `object_bytes`, as ObjectStore::get_range() gives them.
  // The object never changes: `store_id` and `name` have not stood for anything else since the cache was opened.
  Result<std::string> read(ObjectStore& store, std::string_view store_id, const std::string& name,
                           uint64_t object_bytes, uint64_t offset, uint64_t length);

  Counters counters() const;

 private:
  using Bytes = std::shared_ptr<const std::string>;
  struct Stored {
    std::string key;
    uint64_t file = 0;
    uint64_t size_bytes = 0;
    uint64_t checksum = 0;
  };
  // One of the blocks that a read covers: where its bytes come from.
  struct Wanted;
  struct Object {
    ObjectStore& store;
    std::string_view store_id;
    const std::string& name;
    uint64_t size_bytes;
  };

  BlockCache(platform::FileSystem& files, BlockCacheOptions options);

  std::string key_of(const Object& object, uint64_t block) const;
  std::string path_of(uint64_t file) const;
  // Looks all of them up at once, and takes on the fetching of those that nobody has or fetches.
  std::vector<Wanted> look_up(const Object& object, uint64_t first_block, uint64_t last_block);
  // Fetches what look_up() has taken on, neighbours by one request.
  void fetch(const Object& object, std::vector<Wanted>& wanted);
  // nullptr when the file is not as it was written; the block is then forgotten.
  Bytes load(const Stored& stored);
  // Puts the block on the disk and ends its fetching.
  void keep(const std::string& key, const Bytes& bytes);
  // Makes room for that many bytes and takes it; false if there is none. Gives the files to remove.
  bool reserve(uint64_t bytes, std::vector<uint64_t>& evicted);
  void remove_files(const std::vector<uint64_t>& files);

  platform::FileSystem& files_;
  const BlockCacheOptions options_;
  mutable std::mutex mutex_;
  std::list<Stored> by_use_;                                                  // the most recently used first
  std::unordered_map<std::string_view, std::list<Stored>::iterator> stored_;  // keys are those in by_use_
  std::unordered_map<std::string, std::shared_future<Result<Bytes>>> fetching_;
  uint64_t bytes_ = 0;  // of by_use_, and of files that are being written
  uint64_t next_file_ = 0;
  uint64_t hits_ = 0;
  uint64_t misses_ = 0;
};

}  // namespace kalamdb::cold
