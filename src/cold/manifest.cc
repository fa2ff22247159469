#include "cold/manifest.h"

#include <algorithm>
#include <charconv>

#include "base/bytes.h"
#include "cold/checksum.h"
#include "cold/record_reader.h"

namespace kalamdb::cold {
namespace {

constexpr char kFormat = 3;
constexpr char kFormatWithoutChecksums = 2;
constexpr char kFormatWithoutStorages = 1;
constexpr std::string_view kFilePrefix = "batch-";
constexpr std::string_view kFileSuffix = ".parquet";
constexpr std::string_view kTemporarySuffix = ".tmp";

model::ColumnStats read_column(RecordReader& reader) {
  model::ColumnStats column;
  column.slot = reader.number<uint32_t>();
  column.null_count = reader.number<uint64_t>();
  column.min = reader.text();
  column.max = reader.text();
  return column;
}

SegmentEntry read_segment(RecordReader& reader, char format) {
  SegmentEntry segment;
  segment.id = reader.number<uint64_t>();
  if (format != kFormatWithoutStorages) segment.storage = reader.text();
  segment.path = reader.text();
  segment.row_count = reader.number<uint64_t>();
  segment.size_bytes = reader.number<uint64_t>();
  if (format > kFormatWithoutChecksums) segment.checksum = reader.number<uint64_t>();
  segment.schema_version = reader.number<uint32_t>();
  segment.min_seq = reader.number<int64_t>();
  segment.max_seq = reader.number<int64_t>();
  segment.min_key = reader.text();
  segment.max_key = reader.text();
  segment.created_at_us = reader.number<int64_t>();
  if (format == kFormatWithoutStorages) return segment;
  const auto columns = reader.number<uint32_t>();
  for (uint32_t i = 0; i < columns && reader.ok(); ++i) segment.columns.push_back(read_column(reader));
  return segment;
}

bool is_known(char format) { return format >= kFormatWithoutStorages && format <= kFormat; }

std::unexpected<Error> damaged() { return fail(ErrorCode::kCorruption, "A stored manifest is damaged"); }

}  // namespace

const SegmentEntry* Manifest::find(uint64_t segment_id) const {
  // Segments are added with ascending ids.
  const auto found = std::ranges::lower_bound(segments, segment_id, {}, &SegmentEntry::id);
  return found != segments.end() && found->id == segment_id ? &*found : nullptr;
}

std::string encode(const Manifest& manifest) {
  std::string out;
  out.push_back(kFormat);
  append_little_endian(out, manifest.segments_version);
  append_little_endian(out, manifest.version);
  append_little_endian(out, manifest.next_segment);
  append_little_endian(out, manifest.created_at_us);
  append_little_endian(out, manifest.updated_at_us);
  append_text(out, manifest.storage);
  append_text(out, manifest.directory);
  append_little_endian<uint32_t>(out, static_cast<uint32_t>(manifest.segments.size()));
  for (const SegmentEntry& segment : manifest.segments) {
    append_little_endian(out, segment.id);
    append_text(out, segment.storage);
    append_text(out, segment.path);
    append_little_endian(out, segment.row_count);
    append_little_endian(out, segment.size_bytes);
    append_little_endian(out, segment.checksum);
    append_little_endian(out, segment.schema_version);
    append_little_endian(out, segment.min_seq);
    append_little_endian(out, segment.max_seq);
    append_text(out, segment.min_key);
    append_text(out, segment.max_key);
    append_little_endian(out, segment.created_at_us);
    append_little_endian<uint32_t>(out, static_cast<uint32_t>(segment.columns.size()));
    for (const model::ColumnStats& column : segment.columns) {
      append_little_endian(out, column.slot);
      append_little_endian(out, column.null_count);
      append_text(out, column.min);
      append_text(out, column.max);
    }
  }
  append_checksum(out);
  return out;
}

Result<Manifest> decode_manifest(std::string_view record) {
  const auto body = check_and_strip(record);
  if (!body) return damaged();
  RecordReader reader(*body);
  const char format = reader.number<char>();
  if (!is_known(format)) return damaged();
  Manifest manifest;
  manifest.segments_version = reader.number<uint64_t>();
  manifest.version = reader.number<uint64_t>();
  manifest.next_segment = reader.number<uint64_t>();
  manifest.created_at_us = reader.number<int64_t>();
  manifest.updated_at_us = reader.number<int64_t>();
  if (format != kFormatWithoutStorages) manifest.storage = reader.text();
  manifest.directory = reader.text();
  const auto count = reader.number<uint32_t>();
  for (uint32_t i = 0; i < count && reader.ok(); ++i) manifest.segments.push_back(read_segment(reader, format));
  if (!reader.at_end() || !std::ranges::is_sorted(manifest.segments, {}, &SegmentEntry::id)) return damaged();
  return manifest;
}

Result<ManifestVersions> manifest_versions(std::string_view record) {
  RecordReader reader(record);
  const char format = reader.number<char>();
  if (!is_known(format)) return damaged();
  ManifestVersions versions;
  versions.segments_version = reader.number<uint64_t>();
  versions.version = reader.number<uint64_t>();
  if (!reader.ok()) return damaged();
  return versions;
}

std::string segment_file_name(uint64_t segment_id) {
  return std::string(kFilePrefix).append(std::to_string(segment_id)).append(kFileSuffix);
}

std::optional<SegmentFileName> parse_segment_file_name(std::string_view name) {
  SegmentFileName parsed;
  if (name.ends_with(kTemporarySuffix)) {
    parsed.temporary = true;
    name.remove_suffix(kTemporarySuffix.size());
  }
  if (!name.starts_with(kFilePrefix) || !name.ends_with(kFileSuffix) ||
      name.size() <= kFilePrefix.size() + kFileSuffix.size()) {
    return std::nullopt;
  }
  const std::string_view digits =
      name.substr(kFilePrefix.size(), name.size() - kFilePrefix.size() - kFileSuffix.size());
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), parsed.segment_id);
  if (error != std::errc() || end != digits.data() + digits.size()) return std::nullopt;
  return parsed;
}

}  // namespace kalamdb::cold
