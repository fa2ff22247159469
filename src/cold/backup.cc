#include "cold/backup.h"

#include <algorithm>
#include <functional>
#include <nlohmann/json.hpp>

#include "cold/checksum.h"

namespace kalamdb::cold {
namespace {

using nlohmann::json;

constexpr uint32_t kFormat = 1;
constexpr uint64_t kChunkBytes = 4 << 20;

std::unexpected<Error> damaged(const std::string& what) {
  return fail(ErrorCode::kInvalidOperation, "The backup's " + what + " is damaged; restore another backup");
}

json to_json(const BackupTable& table) {
  json files = json::array();
  for (const BackupFile& file : table.files) {
    files.push_back({{"name", file.name}, {"size_bytes", file.size_bytes}, {"sha256", file.sha256}});
  }
  return {{"namespace", table.namespace_id}, {"name", table.name},       {"type", table.type}, {"rows", table.rows},
          {"tombstones", table.tombstones},  {"files", std::move(files)}};
}

BackupTable table_of(const json& from) {
  BackupTable table{.namespace_id = from.at("namespace"),
                    .name = from.at("name"),
                    .type = from.at("type"),
                    .rows = from.at("rows"),
                    .tombstones = from.at("tombstones"),
                    .files = {}};
  for (const json& file : from.at("files")) {
    table.files.push_back({file.at("name"), file.at("size_bytes"), file.at("sha256")});
  }
  return table;
}

// Over all members but itself, which nlohmann::json keeps in the order of their names.
std::string checksum_of(const json& manifest) {
  Sha256 sum;
  sum.add(manifest.dump());
  return sum.hex();
}

json binary(std::string_view bytes) { return json::binary({bytes.begin(), bytes.end()}); }
std::string bytes_of(const json& value) {
  const auto& bytes = value.get_binary();
  return {bytes.begin(), bytes.end()};
}

// Calls `visit` for each part of an object.
Result<> read_parts(ObjectStore& objects, const std::string& name, uint64_t size,
                    const std::function<Result<>(std::string_view)>& visit) {
  for (uint64_t at = 0; at < size; at += kChunkBytes) {
    KALAM_TRY(const std::string part, objects.get_range(name, at, std::min(kChunkBytes, size - at)));
    KALAM_CHECK(visit(part));
  }
  return {};
}

Result<uint64_t> size_of(ObjectStore& objects, const std::string& name) {
  KALAM_TRY(const auto size, objects.size(name));
  if (!size) return fail(ErrorCode::kNotFound, "There is no file " + name);
  return *size;
}

std::unexpected<Error> mismatch(const std::string& name, const BackupFile& found, const BackupFile& expected) {
  return fail(ErrorCode::kCorruption, "The file " + name + " is not what was written: it has " +
                                          std::to_string(found.size_bytes) + " bytes and the SHA-256 " + found.sha256 +
                                          ", expected were " + std::to_string(expected.size_bytes) + " and " +
                                          expected.sha256);
}

}  // namespace

uint64_t BackupTable::size_bytes() const {
  uint64_t bytes = 0;
  for (const BackupFile& file : files) bytes += file.size_bytes;
  return bytes;
}

const BackupFile* BackupTable::find(std::string_view file) const {
  const auto found = std::ranges::find(files, file, &BackupFile::name);
  return found == files.end() ? nullptr : &*found;
}

uint64_t BackupManifest::size_bytes() const {
  uint64_t bytes = 0;
  for (const BackupTable& table : tables) bytes += table.size_bytes();
  return bytes;
}

std::string encode(const BackupManifest& manifest) {
  json tables = json::array();
  for (const BackupTable& table : manifest.tables) tables.push_back(to_json(table));
  json out{{"kind", "kalamdb backup"},   {"format", kFormat},
           {"seq", manifest.seq},        {"created_at_us", manifest.created_at_us},
           {"job_id", manifest.job_id},  {"namespaces", manifest.namespaces},
           {"tables", std::move(tables)}};
  const std::string checksum = checksum_of(out);
  out["checksum"] = checksum;
  return out.dump(1);
}

Result<BackupManifest> decode_backup_manifest(std::string_view text) {
  try {
    auto in = json::parse(text);
    if (in.at("kind") != "kalamdb backup") return damaged("manifest.json");
    if (in.at("format") != kFormat) {
      return fail(ErrorCode::kInvalidOperation, "The backup has format " + in.at("format").dump() +
                                                    ", of which this version of KalamDB knows nothing; restore it "
                                                    "with the version that wrote it or a later one");
    }
    const std::string checksum = in.at("checksum");
    in.erase("checksum");
    if (checksum != checksum_of(in)) return damaged("manifest.json");
    BackupManifest manifest{.seq = in.at("seq"),
                            .created_at_us = in.at("created_at_us"),
                            .job_id = in.at("job_id"),
                            .namespaces = in.at("namespaces"),
                            .tables = {}};
    for (const json& table : in.at("tables")) {
      manifest.tables.push_back(table_of(table));
      if (manifest.tables.back().files.empty()) return damaged("manifest.json");
      for (const BackupFile& file : manifest.tables.back().files) KALAM_CHECK(check_object_name(file.name));
    }
    return manifest;
  } catch (const json::exception&) {
    return damaged("manifest.json");
  }
}

std::string encode(const BackupDetails& details) {
  const auto binaries = [](const std::vector<std::string>& all) {
    json array = json::array();
    for (const std::string& one : all) array.push_back(binary(one));
    return array;
  };
  json scopes = json::array();
  for (const BackupScope& scope : details.scopes) {
    json retention = json::array();
    for (const auto& [user, record] : scope.retention) retention.push_back({binary(user.value), binary(record)});
    scopes.push_back({{"user", binary(scope.user.value)},
                      {"manifest", binary(encode(scope.manifest))},
                      {"deletions", binaries(scope.deletions)},
                      {"filters", binaries(scope.filters)},
                      {"tombstones", scope.tombstones},
                      {"retention", std::move(retention)}});
    if (!scope.shard) continue;
    scopes.back()["shard"] = *scope.shard;
    scopes.back()["users"] = binaries(scope.users);
  }
  json out{{"definition", binary(details.definition)}, {"scopes", std::move(scopes)}};
  if (!details.path_template.empty()) out["path_template"] = details.path_template;
  const auto cbor = json::to_cbor(out);
  return {cbor.begin(), cbor.end()};
}

Result<BackupDetails> decode_backup_details(std::string_view cbor) {
  try {
    const json in = json::from_cbor(cbor);
    BackupDetails details{
        .definition = bytes_of(in.at("definition")), .path_template = in.value("path_template", ""), .scopes = {}};
    const auto read_all = [](const json& array) {
      std::vector<std::string> all;
      for (const json& one : array) all.push_back(bytes_of(one));
      return all;
    };
    for (const json& from : in.at("scopes")) {
      BackupScope scope;
      scope.user = UserId(bytes_of(from.at("user")));
      scope.tombstones = from.at("tombstones");
      KALAM_TRY(scope.manifest, decode_manifest(bytes_of(from.at("manifest"))));
      scope.deletions = read_all(from.at("deletions"));
      scope.filters = read_all(from.at("filters"));
      const json& retention = from.at("retention");
      // Of one scope it was once the record itself.
      if (retention.is_binary() && !bytes_of(retention).empty()) {
        scope.retention.emplace_back(scope.user, bytes_of(retention));
      }
      for (const json& of : retention.is_array() ? retention : json::array()) {
        scope.retention.emplace_back(UserId(bytes_of(of.at(0))), bytes_of(of.at(1)));
      }
      if (from.contains("shard")) {
        scope.shard = from.at("shard").get<uint32_t>();
        scope.users = read_all(from.at("users"));
      }
      const size_t segments = scope.manifest.segments.size();
      if (scope.deletions.size() != segments || scope.filters.size() != segments ||
          scope.users.size() != (scope.shard ? segments : 0)) {
        return damaged("table.cbor");
      }
      details.scopes.push_back(std::move(scope));
    }
    return details;
  } catch (const json::exception&) {
    return damaged("table.cbor");
  }
}

Result<std::string> read_object(ObjectStore& objects, const std::string& name) {
  KALAM_TRY(const uint64_t size, size_of(objects, name));
  std::string bytes;
  KALAM_CHECK(read_parts(objects, name, size, [&](std::string_view part) -> Result<> {
    bytes.append(part);
    return {};
  }));
  return bytes;
}

Result<BackupFile> describe_object(ObjectStore& objects, const std::string& name, std::string as) {
  KALAM_TRY(const uint64_t size, size_of(objects, name));
  Sha256 sum;
  KALAM_CHECK(read_parts(objects, name, size, [&](std::string_view part) -> Result<> {
    sum.add(part);
    return {};
  }));
  return BackupFile{.name = std::move(as), .size_bytes = size, .sha256 = sum.hex()};
}

Result<> check_object(ObjectStore& objects, const std::string& name, const BackupFile& file) {
  const auto found = describe_object(objects, name, file.name);
  if (!found && found.error().code == ErrorCode::kNotFound) {
    return fail(ErrorCode::kCorruption, "The file " + name + " is missing");
  }
  if (!found) return fail(found.error());
  if (*found == file) return {};
  return mismatch(name, *found, file);
}

Result<BackupFile> fetch_object(platform::FileSystem& disk, ObjectStore& from, const std::string& name,
                                const std::string& path, std::string as) {
  KALAM_TRY(const uint64_t size, size_of(from, name));
  Sha256 sum;
  KALAM_CHECK(disk.write_file(path, ""));
  const auto written = read_parts(from, name, size, [&](std::string_view part) {
    sum.add(part);
    return disk.append_file(path, part);
  });
  if (written) return BackupFile{.name = std::move(as), .size_bytes = size, .sha256 = sum.hex()};
  (void)disk.remove_file(path);
  return fail(written.error());
}

Result<> download_object(platform::FileSystem& disk, ObjectStore& from, const std::string& name,
                         const std::string& path, const BackupFile& file) {
  KALAM_TRY(const BackupFile read, fetch_object(disk, from, name, path, file.name));
  if (read == file) return {};
  (void)disk.remove_file(path);
  return mismatch(name, read, file);
}

Result<BackupFile> copy_object(platform::FileSystem& disk, ObjectStore& from, const std::string& name, ObjectStore& to,
                               const std::string& copy, std::string as) {
  KALAM_TRY(const std::string staged, to.staging_file(copy));
  KALAM_TRY(BackupFile file, fetch_object(disk, from, name, staged, std::move(as)));
  if (auto put = to.put_file(copy, staged); !put) {
    (void)disk.remove_file(staged);
    return fail(put.error());
  }
  KALAM_CHECK(check_object(to, copy, file));
  return file;
}

Result<BackupFile> put_file_checked(platform::FileSystem& disk, ObjectStore& to, const std::string& name,
                                    const std::string& staged, std::string as) {
  BackupFile file{.name = std::move(as), .size_bytes = 0, .sha256 = ""};
  KALAM_TRY(file.size_bytes, disk.file_size(staged));
  Sha256 sum;
  for (uint64_t at = 0; at < file.size_bytes; at += kChunkBytes) {
    KALAM_TRY(const std::string part, disk.read_range(staged, at, std::min(kChunkBytes, file.size_bytes - at)));
    sum.add(part);
  }
  file.sha256 = sum.hex();
  KALAM_CHECK(to.put_file(name, staged));
  KALAM_CHECK(check_object(to, name, file));
  return file;
}

Result<BackupFile> put_checked(ObjectStore& to, const std::string& name, std::string_view bytes, std::string as) {
  Sha256 sum;
  sum.add(bytes);
  BackupFile file{.name = std::move(as), .size_bytes = bytes.size(), .sha256 = sum.hex()};
  KALAM_CHECK(to.put(name, bytes));
  KALAM_CHECK(check_object(to, name, file));
  return file;
}

}  // namespace kalamdb::cold
