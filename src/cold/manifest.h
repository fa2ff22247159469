// The manifest of one scope (a table, or one user in it): which segments there are and what is in them. The record in
// the hot store is authoritative; manifest.json beside the segments is an export of it.
//
// The record, numbers little-endian, texts as [u32 length][bytes]:
//   [u8 format = 3][u64 segments_version][u64 version][u64 next_segment][i64 created][i64 updated][text storage]
//   [text directory][u32 count] then for each segment
//   [u64 id][text storage][text path][u64 rows][u64 bytes][u64 XXH3][u32 schema][i64 min _seq][i64 max _seq]
//   [text min key][text max key][i64 created][u32 columns] and for each column [u32 slot][u64 nulls][text min][text
//   max], and the XXH3 of all of it at the end. Format 2 had no XXH3 of the files, format 1 neither storages (all was
//   in `local`) nor columns.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.h"
#include "base/position_set.h"
#include "base/result.h"
#include "cold/storage_definition.h"
#include "model/column_stats.h"
#include "model/table.h"

namespace kalamdb::cold {

struct SegmentEntry {
  uint64_t id = 0;                     // N of batch-N.parquet
  std::string storage{kLocalStorage};  // the id of the storage it lies in
  std::string path;                    // relative to the storage's base
  uint64_t row_count = 0;
  uint64_t size_bytes = 0;
  uint64_t checksum = 0;  // XXH3 of the file; 0: not known
  uint32_t schema_version = 1;
  Seq min_seq = 0;
  Seq max_seq = 0;
  std::string min_key;  // encoded by model/key_codec.h
  std::string max_key;
  int64_t created_at_us = 0;
  std::vector<model::ColumnStats> columns;  // ascending by slot; a column that is not here may hold anything

  bool operator==(const SegmentEntry&) const = default;
};

struct Manifest {
  uint64_t segments_version = 0;  // changes with the set of segments, not with deletions
  uint64_t version = 0;           // changes with the record
  uint64_t next_segment = 0;      // ids are never used again
  int64_t created_at_us = 0;
  int64_t updated_at_us = 0;
  // Where the newest segment was written and manifest.json lies: a storage's id and a directory relative to its base.
  std::string storage{kLocalStorage};
  std::string directory;
  std::vector<SegmentEntry> segments;

  bool operator==(const Manifest&) const = default;
  // nullptr where there is none.
  const SegmentEntry* find(uint64_t segment_id) const;
};
using ManifestPtr = std::shared_ptr<const Manifest>;

std::string encode(const Manifest& manifest);
// Errors: kCorruption.
Result<Manifest> decode_manifest(std::string_view record);
// The versions of a record without decoding the rest. Errors: kCorruption.
struct ManifestVersions {
  uint64_t segments_version = 0;
  uint64_t version = 0;
};
Result<ManifestVersions> manifest_versions(std::string_view record);

// manifest.json. `deletions[i]` belongs to `manifest.segments[i]`; nullptr: none.
// `user` is empty for SHARED tables and for shards. Without `with_values` the bounds of columns, which are values of
// rows, are null.
std::string to_json(const Manifest& manifest, const model::TableDefinition& table, const UserId& user,
                    std::optional<uint32_t> shard, const std::vector<std::shared_ptr<const PositionSet>>& deletions,
                    bool with_values = true);

// What manifest.json tells of a segment.
struct ExportedSegment {
  uint64_t id = 0;
  uint64_t row_count = 0;
  uint64_t size_bytes = 0;
  uint64_t checksum = 0;  // XXH3 of the file; 0: not known
  int64_t created_at_us = 0;
  std::shared_ptr<const PositionSet> deletions;  // nullptr: none
};
struct ExportedManifest {
  std::string table;  // "ns.t" as it was called then
  UserId user;        // empty for SHARED tables and for shards
  std::optional<uint32_t> shard;
  uint64_t version = 0;
  uint64_t last_segment = 0;  // the highest number that was given
  int64_t created_at_us = 0;
  int64_t updated_at_us = 0;
  std::vector<ExportedSegment> segments;  // ascending by id

  // nullptr where there is none.
  const ExportedSegment* find(uint64_t segment_id) const;
};
// Reads what to_json() wrote with values. Errors: kCorruption for anything else.
Result<ExportedManifest> parse_json(std::string_view text);

// "batch-7.parquet"; and its number, or nullopt for other names. `temporary` is set for "batch-7.parquet.tmp".
std::string segment_file_name(uint64_t segment_id);
struct SegmentFileName {
  uint64_t segment_id = 0;
  bool temporary = false;
};
std::optional<SegmentFileName> parse_segment_file_name(std::string_view name);

}  // namespace kalamdb::cold
