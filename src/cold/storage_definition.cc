#include "cold/storage_definition.h"

#include <algorithm>
#include <cctype>
#include <initializer_list>
#include <nlohmann/json.hpp>

#include "cold/path_template.h"

namespace kalamdb::cold {
namespace {

using nlohmann::json;

constexpr size_t kMaxIdBytes = 64;

std::unexpected<Error> invalid(std::string message) { return fail(ErrorCode::kInvalidInput, std::move(message)); }

Result<json> parse_object(std::string_view what, std::string_view text,
                          std::initializer_list<std::string_view> members) {
  json object = text.empty() ? json::object() : json::parse(text, nullptr, false);
  std::string known;
  for (const std::string_view member : members) known.append(known.empty() ? "" : ", ").append(member);
  if (!object.is_object()) return invalid(std::string(what) + " must be a JSON object with some of: " + known);
  for (const auto& [member, value] : object.items()) {
    if (std::ranges::find(members, member) != members.end()) continue;
    return invalid(std::string(what) + " has the unknown member '" + member + "'; known are: " + known);
  }
  return object;
}

Result<std::string> text_member(std::string_view what, const json& object, const char* member) {
  const auto found = object.find(member);
  if (found == object.end()) return std::string();
  if (!found->is_string()) return invalid(std::string(what) + ": '" + member + "' must be a text");
  return found->get<std::string>();
}

bool is_bucket_char(unsigned char c) { return std::islower(c) != 0 || std::isdigit(c) != 0 || c == '-' || c == '.'; }
bool is_prefix_char(unsigned char c) { return std::isalnum(c) != 0 || std::string_view("-_./").contains(char(c)); }

bool has_odd_part(std::string_view path) {
  for (size_t begin = 0; begin <= path.size();) {
    const size_t end = std::min(path.find('/', begin), path.size());
    const std::string_view part = path.substr(begin, end - begin);
    if (part.empty() || part == "." || part == "..") return true;
    begin = end + 1;
  }
  return false;
}

Result<> validate_directory(std::string_view directory) {
  if (!directory.starts_with('/')) {
    return invalid("The directory of a storage must be absolute, not '" + std::string(directory) + "'");
  }
  if (directory.contains('\0') || directory == "/" || has_odd_part(directory.substr(1))) {
    return invalid("The directory of a storage must be a plain path without empty parts, '.' and '..', not '" +
                   std::string(directory) + "'");
  }
  return {};
}

}  // namespace

std::string_view name(StorageType type) { return type == StorageType::kS3 ? "s3" : "filesystem"; }

Result<StorageType> parse_storage_type(std::string_view text) {
  std::string lower(text);
  std::ranges::transform(lower, lower.begin(), [](unsigned char c) { return std::tolower(c); });
  for (const StorageType type : {StorageType::kFilesystem, StorageType::kS3}) {
    if (lower == name(type)) return type;
  }
  if (lower == "gcs" || lower == "azure") {
    return fail(ErrorCode::kNotImplemented, "Storages of type " + lower +
                                                " are not supported; use TYPE s3 with the S3-compatible endpoint of "
                                                "that cloud in CONFIG");
  }
  return invalid("Invalid storage type '" + std::string(text) + "'. Must be 'filesystem', 's3', 'gcs', or 'azure'");
}

Result<> validate_storage_id(std::string_view id) {
  const auto allowed = [](unsigned char c) { return std::isalnum(c) != 0 || c == '_' || c == '-'; };
  if (!id.empty() && id.size() <= kMaxIdBytes && std::ranges::all_of(id, allowed)) return {};
  return invalid("Storage id '" + std::string(id) + "' must be 1 to " + std::to_string(kMaxIdBytes) +
                 " letters, digits, '_' and '-'");
}

Result<> validate(const StorageDefinition& storage) {
  KALAM_CHECK(validate_storage_id(storage.id));
  KALAM_CHECK(validate_shared_template(storage.shared_template));
  KALAM_CHECK(validate_user_template(storage.user_template));
  if (storage.type == StorageType::kFilesystem) {
    if (!storage.config.empty()) return invalid("CONFIG is for storages of type s3");
    return validate_directory(storage.base);
  }
  KALAM_CHECK(parse_bucket_url(storage.base));
  KALAM_CHECK(parse_s3_config(storage.config));
  return {};
}

std::string encode(const StorageDefinition& storage) {
  json object = {{"id", storage.id},
                 {"name", storage.name},
                 {"description", storage.description},
                 {"type", name(storage.type)},
                 {"base", storage.base},
                 {"region", storage.region},
                 {"config", storage.config},
                 {"credentials", json::binary({storage.credentials.begin(), storage.credentials.end()})},
                 {"shared_template", storage.shared_template},
                 {"user_template", storage.user_template},
                 {"created_at_us", storage.created_at_us},
                 {"updated_at_us", storage.updated_at_us}};
  const auto bytes = json::to_msgpack(object);
  return {bytes.begin(), bytes.end()};
}

Result<StorageDefinition> decode_storage(std::string_view record) {
  const json object = json::from_msgpack(record, true, false);
  if (!object.is_object()) return fail(ErrorCode::kCorruption, "The record of a storage is damaged");
  try {
    StorageDefinition storage;
    storage.id = object.at("id").get<std::string>();
    storage.name = object.at("name").get<std::string>();
    storage.description = object.at("description").get<std::string>();
    KALAM_TRY(storage.type, parse_storage_type(object.at("type").get<std::string>()));
    storage.base = object.at("base").get<std::string>();
    storage.region = object.at("region").get<std::string>();
    storage.config = object.at("config").get<std::string>();
    const auto& credentials = object.at("credentials").get_binary();
    storage.credentials.assign(credentials.begin(), credentials.end());
    storage.shared_template = object.at("shared_template").get<std::string>();
    storage.user_template = object.at("user_template").get<std::string>();
    storage.created_at_us = object.at("created_at_us").get<int64_t>();
    storage.updated_at_us = object.at("updated_at_us").get<int64_t>();
    return storage;
  } catch (const json::exception& error) {
    return fail(ErrorCode::kCorruption, std::string("The record of a storage is damaged: ") + error.what());
  }
}

Result<BucketUrl> parse_bucket_url(std::string_view url) {
  constexpr std::string_view kScheme = "s3://";
  if (!url.starts_with(kScheme)) {
    return invalid("An s3 storage lies in s3://bucket or s3://bucket/prefix, not in '" + std::string(url) + "'");
  }
  url.remove_prefix(kScheme.size());
  const size_t slash = url.find('/');
  BucketUrl parsed{std::string(url.substr(0, slash)), ""};
  if (parsed.bucket.size() < 3 || parsed.bucket.size() > 63 || !std::ranges::all_of(parsed.bucket, is_bucket_char)) {
    return invalid("'" + parsed.bucket + "' is not the name of a bucket: 3 to 63 lower-case letters, digits, '-', '.'");
  }
  if (slash == std::string_view::npos) return parsed;
  parsed.prefix = url.substr(slash + 1);
  while (parsed.prefix.ends_with('/')) parsed.prefix.pop_back();
  if (!parsed.prefix.empty() && (has_odd_part(parsed.prefix) || !std::ranges::all_of(parsed.prefix, is_prefix_char))) {
    return invalid("The prefix '" + parsed.prefix +
                   "' must be letters, digits, '-', '_', '.' and '/', without empty parts, '.' and '..'");
  }
  return parsed;
}

Result<S3Config> parse_s3_config(std::string_view text) {
  constexpr std::string_view kWhat = "CONFIG";
  KALAM_TRY(const json object, parse_object(kWhat, text, {"endpoint", "path_style"}));
  S3Config config;
  KALAM_TRY(config.endpoint, text_member(kWhat, object, "endpoint"));
  if (const auto path_style = object.find("path_style"); path_style != object.end()) {
    if (!path_style->is_boolean()) return invalid("CONFIG: 'path_style' must be true or false");
    config.path_style = path_style->get<bool>();
  }
  return config;
}

Result<S3Credentials> parse_s3_credentials(std::string_view text) {
  constexpr std::string_view kWhat = "CREDENTIALS";
  KALAM_TRY(const json object, parse_object(kWhat, text, {"access_key_id", "secret_access_key", "session_token"}));
  S3Credentials credentials;
  KALAM_TRY(credentials.access_key, text_member(kWhat, object, "access_key_id"));
  KALAM_TRY(credentials.secret_key, text_member(kWhat, object, "secret_access_key"));
  KALAM_TRY(credentials.session_token, text_member(kWhat, object, "session_token"));
  if (credentials.access_key.empty() || credentials.secret_key.empty()) {
    return invalid("CREDENTIALS need 'access_key_id' and 'secret_access_key'");
  }
  return credentials;
}

}  // namespace kalamdb::cold
