// A storage as it is declared: a named place for segments, and where in it those of a table lie.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "cold/sigv4.h"

namespace kalamdb::cold {

inline constexpr std::string_view kLocalStorage = "local";

enum class StorageType : uint8_t { kFilesystem, kS3 };

std::string_view name(StorageType type);  // "filesystem", "s3"
// Errors: kInvalidInput for an unknown one, kNotImplemented for gcs and azure, naming the way round.
Result<StorageType> parse_storage_type(std::string_view text);

// Immutable once published.
struct StorageDefinition {
  std::string id;
  std::string name;
  std::string description;
  StorageType type = StorageType::kFilesystem;
  std::string base;         // an absolute directory, or "s3://bucket" or "s3://bucket/prefix"
  std::string region;       // s3; empty: us-east-1
  std::string config;       // a JSON object as given, S3Config; empty: none
  std::string credentials;  // a JSON object, S3Credentials, encrypted by cold/cipher.h; empty: none
  std::string shared_template;
  std::string user_template;
  int64_t created_at_us = 0;
  int64_t updated_at_us = 0;

  bool operator==(const StorageDefinition&) const = default;
};

// Letters, digits, '_' and '-', 1 to 64 of them. Errors: kInvalidInput.
Result<> validate_storage_id(std::string_view id);
// That type, base and templates are ones that can be used. Errors: kInvalidInput with what is wrong and what would do.
Result<> validate(const StorageDefinition& storage);

// MessagePack as stored in the hot store. Errors: kCorruption.
std::string encode(const StorageDefinition& storage);
Result<StorageDefinition> decode_storage(std::string_view record);

// "s3://bucket/some/prefix" taken apart. Errors: kInvalidInput.
struct BucketUrl {
  std::string bucket;
  std::string prefix;  // without '/' at its ends; may be empty
};
Result<BucketUrl> parse_bucket_url(std::string_view url);

// CONFIG of an s3 storage. Unknown members are refused.
struct S3Config {
  std::string endpoint;            // "http://host:port"; empty: AWS's of the region
  std::optional<bool> path_style;  // https://host/bucket/… instead of https://bucket.host/…; default: with an endpoint
};
Result<S3Config> parse_s3_config(std::string_view json);

// CREDENTIALS of an s3 storage: access_key_id, secret_access_key and, if they expire, session_token. Unknown members
// are refused; no error has the texts.
Result<S3Credentials> parse_s3_credentials(std::string_view json);

}  // namespace kalamdb::cold
