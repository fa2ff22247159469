// Objects in a bucket of an S3-compatible service.
#pragma once

#include <memory>

#include "cold/object_store.h"
#include "cold/s3_client.h"
#include "platform/file_system.h"

namespace kalamdb::cold {

class S3Store final : public ObjectStore {
 public:
  // `staging_directory`: the absolute path of a directory for this store alone, made if need be; what a crash leaves
  // there may be removed at the next start. The references must outlive the store. No request is made.
  // Errors: kInvalidInput with the option that can't be.
  static Result<std::unique_ptr<S3Store>> open(S3Options options, std::string staging_directory,
                                               platform::FileSystem& files, platform::Clock& clock,
                                               platform::Random& random);

  Result<std::string> staging_file(const std::string& name) override;
  Result<> put_file(const std::string& name, const std::string& staged) override;
  Result<> put(const std::string& name, std::string_view bytes) override;
  Result<std::optional<std::string>> version(const std::string& name) override;
  Result<std::string> put_if(const std::string& name, std::string_view bytes,
                             const std::optional<std::string>& version) override;
  Result<std::string> get(const std::string& name) override;
  Result<std::string> get_range(const std::string& name, uint64_t offset, uint64_t length) override;
  Result<std::optional<uint64_t>> size(const std::string& name) override;
  Result<std::vector<ObjectInfo>> list(const std::string& directory) override;
  Result<> remove(const std::string& name) override;
  Result<> remove_directory(const std::string& directory) override;
  std::optional<std::string> local_path(const std::string& name) const override;

 private:
  S3Store(std::unique_ptr<S3Client> client, std::string staging_directory, platform::FileSystem& files);

  Result<std::string> key_of(std::string_view name) const;
  // The body of a GET, of status 200 or 206.
  Result<S3Answer> read(S3Request request);
  // In parts, each of which is read and sent by itself.
  Result<> upload(const std::string& key, const std::string& file, uint64_t size);
  Result<std::vector<std::string>> upload_parts(const std::string& key, const std::string& upload_id,
                                                const std::string& file, uint64_t size);
  Result<> complete_upload(const std::string& key, const std::string& upload_id, const std::vector<std::string>& etags,
                           uint64_t size);
  // The answer to HEAD; nullopt when there is no such object.
  Result<std::optional<HttpAnswer>> head(const std::string& key);
  Result<std::optional<uint64_t>> size_of_key(const std::string& key);

  std::unique_ptr<S3Client> client_;
  std::string staging_directory_;
  platform::FileSystem& files_;
};

}  // namespace kalamdb::cold
