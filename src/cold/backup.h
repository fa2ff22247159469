// A backup as it lies in a directory or a bucket.
//
//   manifest.json                    what there is, each file with its size and SHA-256; written last
//   {namespace}/{table}/table.cbor   definition, schema history, and of each scope the manifest, deletion vectors and
//                                    Bloom filters (CBOR, RFC 8949)
//   {namespace}/{table}[/scope-N]/segment-N.parquet    live rows and cold ones, less what the deletion vectors name
//   {namespace}/{table}[/scope-N]/tombstones.parquet   deleted rows
//
// A directory without manifest.json is no backup: one that is being written, or that was given up.
//
// What UNREGISTER TABLE leaves in a table's own directory, for REGISTER TABLE, is the same of this one table, but for
// names: segments stay where they are, those of hot rows lie beside them, and in place of manifest.json there is
// unregistered.json.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "cold/manifest.h"
#include "cold/object_store.h"
#include "platform/file_system.h"

namespace kalamdb::cold {

inline constexpr std::string_view kBackupManifestFile = "manifest.json";
inline constexpr std::string_view kUnregisteredFile = "unregistered.json";
inline constexpr std::string_view kDetailsFile = "table.cbor";
inline constexpr std::string_view kTombstonesFile = "tombstones.parquet";

// Where a backup lies: what it names is below `directory`, which is empty or ends with '/'.
struct BackupPlace {
  std::shared_ptr<ObjectStore> objects;
  std::string directory;

  std::string object(std::string_view name) const { return std::string(directory).append(name); }
};

struct BackupFile {
  std::string name;
  uint64_t size_bytes = 0;
  std::string sha256;  // hexadecimal

  bool operator==(const BackupFile&) const = default;
};

struct BackupTable {
  std::string namespace_id;
  std::string name;
  std::string type;  // "shared"
  uint64_t rows = 0;
  uint64_t tombstones = 0;
  std::vector<BackupFile> files;  // the first one is table.cbor

  uint64_t size_bytes() const;
  // nullptr where there is none.
  const BackupFile* find(std::string_view file) const;
};

struct BackupManifest {
  Seq seq = 0;  // the last commit that is in it
  int64_t created_at_us = 0;
  std::string job_id;
  std::vector<std::string> namespaces;  // model::NamespaceDefinition, encoded
  std::vector<BackupTable> tables;      // views among them

  uint64_t size_bytes() const;
};

// JSON with a checksum of its own. decode_backup_manifest() of encode() gives what was encoded. Errors:
// kInvalidOperation for one that is damaged or of a later version's format.
std::string encode(const BackupManifest& manifest);
Result<BackupManifest> decode_backup_manifest(std::string_view json);

// A table, one user in it, or one shard of its users.
struct BackupScope {
  UserId user;  // empty for SHARED tables and for shards
  std::optional<uint32_t> shard;
  Manifest manifest;                   // paths are names in the backup
  std::vector<std::string> deletions;  // PositionSet::encode() for each segment; "": none
  std::vector<std::string> filters;    // records of Bloom filters for each segment; "": none
  std::vector<std::string> users;      // of shards: SegmentUsers::encode() for each segment
  std::string tombstones;              // the name of their file; "": there are none
  // Of whom tombstones were removed, and the record of which, see hot/store.h.
  std::vector<std::pair<UserId, std::string>> retention;
};
struct BackupDetails {
  std::string definition;     // model::encode(TableDefinition, history)
  std::string path_template;  // by which scopes lie in a directory that was unregistered; "" in backups
  std::vector<BackupScope> scopes;
};
// Errors: kInvalidOperation, kCorruption.
std::string encode(const BackupDetails& details);
Result<BackupDetails> decode_backup_details(std::string_view cbor);

// Reads a whole object, of any size. Errors: those of ObjectStore.
Result<std::string> read_object(ObjectStore& objects, const std::string& name);
// Size and checksum of an object as it is read, under the name `as`.
Result<BackupFile> describe_object(ObjectStore& objects, const std::string& name, std::string as);
// Fails with kCorruption unless the object is what `file` says.
Result<> check_object(ObjectStore& objects, const std::string& name, const BackupFile& file);

// Writes an object to a file of this machine, which is gone with an error. Gives what was written, under the name `as`.
Result<BackupFile> fetch_object(platform::FileSystem& disk, ObjectStore& from, const std::string& name,
                                const std::string& path, std::string as);
// The same. Errors: kCorruption unless it is what `file` says.
Result<> download_object(platform::FileSystem& disk, ObjectStore& from, const std::string& name,
                         const std::string& path, const BackupFile& file);

// The three write an object, read it back, and fail with kCorruption unless it is what was written. `as` is the name in
// the answer.
Result<BackupFile> copy_object(platform::FileSystem& disk, ObjectStore& from, const std::string& name, ObjectStore& to,
                               const std::string& copy, std::string as);
// `staged` is what staging_file() gave.
Result<BackupFile> put_file_checked(platform::FileSystem& disk, ObjectStore& to, const std::string& name,
                                    const std::string& staged, std::string as);
Result<BackupFile> put_checked(ObjectStore& to, const std::string& name, std::string_view bytes, std::string as);

}  // namespace kalamdb::cold
