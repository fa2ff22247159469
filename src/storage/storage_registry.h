// The storages there are, each with the object store that it stands for.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <shared_mutex>
#include <string>
#include <string_view>
#include <vector>

#include "cold/block_cache.h"
#include "cold/cipher.h"
#include "cold/object_store.h"
#include "cold/path_template.h"
#include "cold/storage_definition.h"
#include "hot/store.h"
#include "platform/clock.h"
#include "platform/file_system.h"
#include "platform/random.h"

namespace kalamdb::storage {

struct StorageRegistryOptions {
  std::string data_directory;  // `local` is <data_directory>/storage; the key of credentials lies in it
  // Of `local` until ALTER STORAGE gives it others.
  std::string shared_template{cold::kDefaultSharedTemplate};
  std::string user_template{cold::kDefaultUserTemplate};
  uint32_t user_shards = cold::kDefaultUserShards;  // of USER tables that are made, at least 1
  uint64_t s3_cache_bytes = 1 << 30;                // on disk, for all s3 storages together; 0: none
  bool allow_private_endpoints = false;             // s3 endpoints on loopback and private addresses
};

// Immutable.
struct RegisteredStorage {
  cold::StorageDefinition definition;
  // Why it cannot be used (credentials that cannot be decrypted), if it cannot.
  Result<std::shared_ptr<cold::ObjectStore>> objects;
  uint64_t number = 0;  // no other, of the same id either, has it while the server runs
};
using RegisteredStoragePtr = std::shared_ptr<const RegisteredStorage>;

// What `STORAGE CHECK` finds.
struct StorageHealth {
  bool readable = false;
  bool writable = false;
  bool listable = false;
  bool deletable = false;
  int64_t latency_ms = 0;  // of all of it
  std::string error;       // the first; empty: none
  bool healthy() const { return readable && writable && listable && deletable; }
  std::string_view status() const;  // "healthy", "degraded" or "unreachable"
};

// Thread-safe after load().
class StorageRegistry {
 public:
  // The others must outlive it.
  StorageRegistry(StorageRegistryOptions options, platform::FileSystem& files, platform::Clock& clock,
                  platform::Random& random);
  ~StorageRegistry();

  // Reads the stored definitions and empties the cache. No storage is contacted. Errors: kCorruption, kIo.
  Result<> load(const hot::Store& store);

  // nullptr where there is none.
  RegisteredStoragePtr find(std::string_view id) const;
  // `local` first, then by id.
  std::vector<RegisteredStoragePtr> list() const;
  // The object store of a storage. Errors: kUnavailable where it cannot be used, or is not there.
  Result<std::shared_ptr<cold::ObjectStore>> objects(std::string_view id) const;

  // Encrypts CREDENTIALS for StorageDefinition::credentials. Errors: kInvalidInput, kIo.
  Result<std::string> seal_credentials(std::string_view id, const std::string& json) const;
  // `local` as long as no record tells otherwise.
  cold::StorageDefinition default_local() const;
  // Makes a storage of a definition without adding it.
  RegisteredStoragePtr connect(cold::StorageDefinition definition) const;
  void put(RegisteredStoragePtr storage);
  void erase(std::string_view id);

  uint32_t user_shards() const { return options_.user_shards; }

  // Where staged files lie.
  platform::FileSystem& disk() const { return files_; }

  // What a segment is called in duck::Segment::path.
  std::string engine_path(const std::string& storage_id, const std::string& name) const;
  // The bytes [offset, offset + length) of a segment that has `size_bytes`; of a bucket by way of the cache.
  Result<std::string> read(const std::string& id, const std::string& name, uint64_t size_bytes, uint64_t offset,
                           uint64_t length) const;
  // What has been read of a bucket is read anew.
  void forget_cached(std::string_view id);
  // Requests to services that are under way fail, and further ones too.
  void stop() { stopped_ = true; }

 private:
  Result<std::shared_ptr<cold::ObjectStore>> open(const cold::StorageDefinition& definition) const;
  Result<std::shared_ptr<cold::ObjectStore>> open_s3(const cold::StorageDefinition& definition) const;
  // The key is made when it is first needed.
  Result<cold::Cipher> cipher() const;
  std::string s3_directory() const { return options_.data_directory + "/s3"; }

  const StorageRegistryOptions options_;
  platform::FileSystem& files_;
  platform::Clock& clock_;
  platform::Random& random_;
  std::unique_ptr<cold::BlockCache> cache_;  // nullptr: none
  mutable std::shared_mutex mutex_;
  std::map<std::string, RegisteredStoragePtr, std::less<>> storages_;
  mutable std::atomic<uint64_t> last_number_{0};
  std::atomic<bool> stopped_{false};
};

// Writes, reads, lists and removes an object of its own, and removes what checks have left that did not come so far.
// `random` names it.
StorageHealth check_storage(cold::ObjectStore& objects, platform::Clock& clock, platform::Random& random);

}  // namespace kalamdb::storage
