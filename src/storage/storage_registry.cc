#include "storage/storage_registry.h"

#include <charconv>
#include <mutex>

#include "base/log.h"
#include "cold/directory_store.h"
#include "cold/s3_store.h"

namespace kalamdb::storage {

using cold::ObjectStore;
using cold::StorageDefinition;
using cold::StorageType;

namespace {

constexpr std::string_view kCheckDirectory = ".kalamdb-check";
constexpr int64_t kMaxCheckS = 3600;

// What checks have left that a crash or an error ended. Their names begin with the second when they began.
void remove_old_checks(ObjectStore& objects, const std::vector<cold::ObjectInfo>& listed, int64_t now_s) {
  for (const auto& object : listed) {
    const std::string_view file = std::string_view(object.name).substr(object.name.rfind('/') + 1);
    int64_t begun_s = now_s;
    std::from_chars(file.data(), file.data() + file.size(), begun_s);
    if (begun_s < now_s - kMaxCheckS) (void)objects.remove(object.name);
  }
}

// Whose credentials are whose.
std::string credentials_context(std::string_view storage_id) { return "storage:" + std::string(storage_id); }

}  // namespace

StorageRegistry::StorageRegistry(StorageRegistryOptions options, platform::FileSystem& files, platform::Clock& clock,
                                 platform::Random& random)
    : options_(std::move(options)), files_(files), clock_(clock), random_(random) {}

StorageRegistry::~StorageRegistry() = default;

Result<> StorageRegistry::load(const hot::Store& store) {
  if (options_.s3_cache_bytes > 0) {
    KALAM_TRY(cache_, cold::BlockCache::open(
                          files_, {.directory = s3_directory() + "/cache", .max_bytes = options_.s3_cache_bytes}));
  }
  // What a crash has left of uploads.
  KALAM_CHECK(files_.remove_tree(s3_directory() + "/staging"));
  put(connect(default_local()));
  Result<> outcome;
  KALAM_CHECK(
      store.scan_records(hot::RecordSpace::kStorage, "", nullptr, [&](std::string_view, std::string_view record) {
        auto definition = cold::decode_storage(record);
        if (!definition) {
          outcome = fail(std::move(definition).error());
          return false;
        }
        auto storage = connect(*std::move(definition));
        if (!storage->objects) {
          log::warn("storage '{}': {}", storage->definition.id, storage->objects.error().message);
        }
        put(std::move(storage));
        return true;
      }));
  return outcome;
}

StorageDefinition StorageRegistry::default_local() const {
  return {.id = std::string(cold::kLocalStorage),
          .name = "Local Filesystem",
          .description = "Default local filesystem storage",
          .base = options_.data_directory + "/storage",
          .shared_template = options_.shared_template,
          .user_template = options_.user_template};
}

RegisteredStoragePtr StorageRegistry::find(std::string_view id) const {
  const std::shared_lock lock(mutex_);
  const auto found = storages_.find(id);
  return found == storages_.end() ? nullptr : found->second;
}

std::vector<RegisteredStoragePtr> StorageRegistry::list() const {
  const std::shared_lock lock(mutex_);
  std::vector<RegisteredStoragePtr> all;
  const auto local = storages_.find(cold::kLocalStorage);
  if (local != storages_.end()) all.push_back(local->second);
  for (auto storage = storages_.begin(); storage != storages_.end(); ++storage) {
    if (storage != local) all.push_back(storage->second);
  }
  return all;
}

Result<std::shared_ptr<ObjectStore>> StorageRegistry::objects(std::string_view id) const {
  const auto storage = find(id);
  if (storage == nullptr) {
    return fail(ErrorCode::kUnavailable, "Storage '" + std::string(id) + "' does not exist; create it again");
  }
  return storage->objects;
}

RegisteredStoragePtr StorageRegistry::connect(StorageDefinition definition) const {
  // A database may have been moved.
  if (definition.id == cold::kLocalStorage) definition.base = options_.data_directory + "/storage";
  auto objects = open(definition);
  return std::make_shared<const RegisteredStorage>(std::move(definition), std::move(objects), ++last_number_);
}

Result<std::shared_ptr<ObjectStore>> StorageRegistry::open(const StorageDefinition& definition) const {
  if (definition.type == StorageType::kFilesystem) {
    return std::make_shared<cold::DirectoryStore>(files_, definition.base);
  }
  return open_s3(definition);
}

Result<std::shared_ptr<ObjectStore>> StorageRegistry::open_s3(const StorageDefinition& definition) const {
  KALAM_TRY(const auto url, cold::parse_bucket_url(definition.base));
  KALAM_TRY(const auto config, cold::parse_s3_config(definition.config));
  cold::S3Options options;
  options.bucket = url.bucket;
  options.prefix = url.prefix;
  if (!definition.region.empty()) options.region = definition.region;
  options.endpoint = config.endpoint;
  options.path_style = config.path_style;
  options.http.allow_private_addresses = options_.allow_private_endpoints;
  options.http.stopped = &stopped_;
  if (!definition.credentials.empty()) {
    KALAM_TRY(const auto key, cipher());
    KALAM_TRY(const auto json, key.decrypt(definition.credentials, credentials_context(definition.id)));
    KALAM_TRY(options.credentials, cold::parse_s3_credentials(json));
  }
  KALAM_TRY(auto store, cold::S3Store::open(std::move(options), s3_directory() + "/staging/" + definition.id, files_,
                                            clock_, random_));
  return store;
}

Result<cold::Cipher> StorageRegistry::cipher() const {
  return cold::Cipher::open(files_, random_, options_.data_directory + "/credentials.key");
}

Result<std::string> StorageRegistry::seal_credentials(std::string_view id, const std::string& json) const {
  KALAM_CHECK(cold::parse_s3_credentials(json));
  KALAM_TRY(const auto key, cipher());
  return key.encrypt(json, credentials_context(id));
}

void StorageRegistry::put(RegisteredStoragePtr storage) {
  const std::unique_lock lock(mutex_);
  storages_.insert_or_assign(storage->definition.id, std::move(storage));
}

void StorageRegistry::erase(std::string_view id) {
  const std::unique_lock lock(mutex_);
  if (const auto found = storages_.find(id); found != storages_.end()) storages_.erase(found);
}

std::string StorageRegistry::engine_path(const std::string& storage_id, const std::string& name) const {
  const auto storage = find(storage_id);
  // Names are the server's own: they need no check, for which each of their directories would be looked at.
  const bool is_local = storage != nullptr && storage->definition.type == StorageType::kFilesystem;
  return (is_local ? storage->definition.base : storage_id) + "/" + name;
}

Result<std::string> StorageRegistry::read(const std::string& id, const std::string& name, uint64_t size_bytes,
                                          uint64_t offset, uint64_t length) const {
  const auto storage = find(id);
  KALAM_TRY(const auto store, objects(id));
  if (cache_ == nullptr) return store->get_range(name, offset, length);
  return cache_->read(*store, std::to_string(storage->number), name, size_bytes, offset, length);
}

std::string_view StorageHealth::status() const {
  if (healthy()) return "healthy";
  // A directory that is not there has nothing to list.
  return readable || writable || deletable ? "degraded" : "unreachable";
}

void StorageRegistry::forget_cached(std::string_view id) {
  const std::unique_lock lock(mutex_);
  const auto storage = storages_.find(id);
  if (storage == storages_.end()) return;
  RegisteredStorage renewed = *storage->second;
  renewed.number = ++last_number_;
  storage->second = std::make_shared<const RegisteredStorage>(std::move(renewed));
}

StorageHealth check_storage(ObjectStore& objects, platform::Clock& clock, platform::Random& random) {
  const int64_t begun_us = clock.monotonic_us();
  const int64_t now_s = clock.now_us() / 1'000'000;
  const std::string content = platform::random_hex(random, 16);
  const std::string name = std::string(kCheckDirectory) + "/" + std::to_string(now_s) + "-" + content;
  StorageHealth health;
  const auto note = [&](const auto& result) {
    if (!result && health.error.empty()) health.error = result.error().message;
    return result.has_value();
  };
  health.writable = note(objects.put(name, content));
  if (health.writable) {
    const auto read = objects.get(name);
    health.readable = note(read) && *read == content;
  }
  const auto listed = objects.list(std::string(kCheckDirectory));
  health.listable = note(listed);
  health.deletable = health.writable && note(objects.remove(name));
  if (listed) remove_old_checks(objects, *listed, now_s);
  health.latency_ms = (clock.monotonic_us() - begun_us) / 1000;
  return health;
}

}  // namespace kalamdb::storage
