// manifest.json, as clients of version 0.4 know it, with the deletion vectors and checksums.
#include <rapidjson/stringbuffer.h>
#include <rapidjson/writer.h>
#include <xxhash.h>

#include <algorithm>
#include <charconv>
#include <nlohmann/json.hpp>

#include "cold/manifest.h"
#include "model/key_codec.h"

namespace kalamdb::cold {
namespace {

using Writer = rapidjson::Writer<rapidjson::StringBuffer>;

void put(Writer& json, std::string_view name, std::string_view text) {
  json.Key(name.data(), static_cast<rapidjson::SizeType>(name.size()));
  json.String(text.data(), static_cast<rapidjson::SizeType>(text.size()));
}

void put(Writer& json, std::string_view name, uint64_t number) {
  json.Key(name.data(), static_cast<rapidjson::SizeType>(name.size()));
  json.Uint64(number);
}

// What is before the checksum, which is the last member and covers all of it.
constexpr std::string_view kChecksumMember = ",\"checksum\":\"";
constexpr size_t kHexDigits = 16;

std::string hex(uint64_t number) {
  std::string text(kHexDigits, '0');
  for (size_t i = 0; i < kHexDigits; ++i) text[kHexDigits - 1 - i] = "0123456789abcdef"[number >> (4 * i) & 15];
  return text;
}

// nullopt for what is not 16 hexadecimal digits.
std::optional<uint64_t> from_hex(std::string_view text) {
  uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number, 16);
  if (text.size() != kHexDigits || error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

constexpr std::string_view kBase64Digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

std::string base64(std::string_view bytes) {
  std::string out;
  for (size_t i = 0; i < bytes.size(); i += 3) {
    uint32_t group = 0;
    const size_t length = std::min<size_t>(3, bytes.size() - i);
    for (size_t j = 0; j < 3; ++j) group = group << 8 | (j < length ? static_cast<unsigned char>(bytes[i + j]) : 0);
    for (size_t j = 0; j < 4; ++j) out.push_back(j <= length ? kBase64Digits[group >> (18 - 6 * j) & 63] : '=');
  }
  return out;
}

// nullopt for text that base64() does not make.
std::optional<std::string> from_base64(std::string_view text) {
  std::string out;
  if (text.size() % 4 != 0) return std::nullopt;
  for (size_t i = 0; i < text.size(); i += 4) {
    std::string_view digits = text.substr(i, 4);
    if (i + 4 == text.size()) digits = digits.substr(0, std::max<size_t>(2, digits.find_last_not_of('=') + 1));
    uint32_t group = 0;
    for (size_t j = 0; j < 4; ++j) {
      const size_t value = j < digits.size() ? kBase64Digits.find(digits[j]) : 0;
      if (value == kBase64Digits.npos) return std::nullopt;
      group = group << 6 | static_cast<uint32_t>(value);
    }
    for (size_t j = 0; j + 1 < digits.size(); ++j) out.push_back(static_cast<char>(group >> (16 - 8 * j) & 0xFF));
  }
  return out;
}

std::string_view scalar_tag(const model::DataType& type) {
  switch (type.tag) {
    case model::TypeTag::kBoolean:
      return "Boolean";
    case model::TypeTag::kSmallInt:
      return "Int16";
    case model::TypeTag::kInt:
      return "Int32";
    case model::TypeTag::kBigInt:
      return "Int64";
    case model::TypeTag::kFloat:
      return "Float32";
    case model::TypeTag::kDouble:
      return "Float64";
    case model::TypeTag::kDate:
      return "Date32";
    case model::TypeTag::kTime:
      return "Time64Microsecond";
    case model::TypeTag::kTimestamp:
    case model::TypeTag::kDateTime:
      return "TimestampMicrosecond";
    case model::TypeTag::kDecimal:
      return "Decimal128";
    default:
      return "Utf8";
  }
}

// The column at the front of an encoded key as {"Int64":"5"}; null if it is not known.
void put_bound(Writer& json, const char* name, const model::ColumnDefinition& column, std::string_view key) {
  json.Key(name);
  const auto value = model::read_key(key, column.type);
  if (!value) {
    json.Null();
    return;
  }
  json.StartObject();
  const std::string text = model::to_text(model::view(*value), column.type);
  put(json, scalar_tag(column.type), text);
  json.EndObject();
}

void put_column(Writer& json, const model::ColumnDefinition& column, std::string_view min, std::string_view max,
                uint64_t null_count) {
  json.Key(std::to_string(column.ordinal).c_str());
  json.StartObject();
  put_bound(json, "min", column, min);
  put_bound(json, "max", column, max);
  put(json, "null_count", null_count);
  json.EndObject();
}

// By ordinal, of the columns that the segment has as they are now.
void put_column_stats(Writer& json, const SegmentEntry& segment, const model::TableDefinition& table,
                      bool with_values) {
  json.Key("column_stats");
  json.StartObject();
  const auto bound = [&](std::string_view bytes) { return with_values ? bytes : std::string_view(); };
  const auto key = table.primary_key();
  for (const auto& column : table.columns) {
    const auto stats = std::ranges::find(segment.columns, column.slot(), &model::ColumnStats::slot);
    if (stats != segment.columns.end()) {
      put_column(json, column, bound(stats->min), bound(stats->max), stats->null_count);
    } else if (!key.empty() && key.front() == &column) {
      // Keys sort by their first column, so that its bounds are those of the key.
      put_column(json, column, bound(segment.min_key), bound(segment.max_key), 0);
    }
  }
  json.EndObject();
}

void put_segment(Writer& json, const SegmentEntry& segment, const model::TableDefinition& table,
                 const PositionSet* deletions, bool with_values) {
  const std::string name = segment_file_name(segment.id);
  json.StartObject();
  put(json, "id", name);
  put(json, "path", name);
  put(json, "min_seq", static_cast<uint64_t>(segment.min_seq));
  put(json, "max_seq", static_cast<uint64_t>(segment.max_seq));
  put(json, "row_count", segment.row_count);
  put(json, "size_bytes", segment.size_bytes);
  put(json, "created_at", static_cast<uint64_t>(segment.created_at_us / 1000));
  put(json, "schema_version", segment.schema_version);
  put(json, "status", std::string_view("committed"));
  if (segment.checksum != 0) put(json, "xxh3", hex(segment.checksum));
  put_column_stats(json, segment, table, with_values);
  json.Key("deletion_vector");
  if (deletions != nullptr && !deletions->empty()) {
    const std::string text = base64(deletions->encode());
    json.String(text.data(), static_cast<rapidjson::SizeType>(text.size()));
  } else {
    json.Null();
  }
  json.EndObject();
}

}  // namespace

std::string to_json(const Manifest& manifest, const model::TableDefinition& table, const UserId& user,
                    std::optional<uint32_t> shard, const std::vector<std::shared_ptr<const PositionSet>>& deletions,
                    bool with_values) {
  rapidjson::StringBuffer buffer;
  Writer json(buffer);
  json.StartObject();
  put(json, "table_id", table.qualified_name());
  if (user.value.empty()) {
    json.Key("user_id");
    json.Null();
  } else {
    put(json, "user_id", user.value);
  }
  if (shard) put(json, "shard", *shard);
  put(json, "version", manifest.version);
  put(json, "created_at", static_cast<uint64_t>(manifest.created_at_us / 1000));
  put(json, "updated_at", static_cast<uint64_t>(manifest.updated_at_us / 1000));
  json.Key("segments");
  json.StartArray();
  for (size_t i = 0; i < manifest.segments.size(); ++i) {
    put_segment(json, manifest.segments[i], table, i < deletions.size() ? deletions[i].get() : nullptr, with_values);
  }
  json.EndArray();
  put(json, "last_sequence_number", manifest.next_segment == 0 ? uint64_t{0} : manifest.next_segment - 1);
  json.Key("files");
  json.Null();
  json.Key("vector_indexes");
  json.StartObject();
  json.EndObject();
  json.EndObject();
  std::string text(buffer.GetString(), buffer.GetSize() - 1);
  const uint64_t checksum = XXH3_64bits(text.data(), text.size());
  return text.append(kChecksumMember).append(hex(checksum)).append("\"}");
}

namespace {

std::unexpected<Error> damaged(std::string_view what) {
  return fail(ErrorCode::kCorruption, "manifest.json is damaged: " + std::string(what));
}

bool is_as_written(std::string_view text) {
  const size_t at = text.rfind(kChecksumMember);
  if (at == text.npos) return false;
  const std::string_view rest = text.substr(at + kChecksumMember.size());
  return rest.size() == kHexDigits + 2 && rest.ends_with("\"}") &&
         rest.substr(0, kHexDigits) == hex(XXH3_64bits(text.data(), at));
}

// Throw for anything else.
uint64_t number(const nlohmann::json& json) { return json.get_ref<const nlohmann::json::number_unsigned_t&>(); }
int64_t time_us(const nlohmann::json& json) {
  return static_cast<int64_t>(std::min<uint64_t>(number(json), INT64_MAX / 1000)) * 1000;
}

Result<ExportedSegment> exported_segment(const nlohmann::json& json) {
  ExportedSegment segment;
  const std::string name = json.at("id");
  const auto parsed = parse_segment_file_name(name);
  if (!parsed || parsed->temporary) return damaged("a segment has no number");
  segment.id = parsed->segment_id;
  segment.row_count = number(json.at("row_count"));
  segment.size_bytes = number(json.at("size_bytes"));
  segment.created_at_us = time_us(json.at("created_at"));
  if (const auto checksum = json.find("xxh3"); checksum != json.end()) {
    const auto number = from_hex(checksum->get<std::string>());
    if (!number) return damaged("a segment's checksum is none");
    segment.checksum = *number;
  }
  if (const auto vector = json.find("deletion_vector"); vector != json.end() && !vector->is_null()) {
    const auto bytes = from_base64(vector->get<std::string>());
    if (!bytes) return damaged("a deletion vector is not base64");
    KALAM_TRY(auto positions, PositionSet::decode(*bytes));
    segment.deletions = std::make_shared<const PositionSet>(std::move(positions));
    if (segment.row_count < UINT32_MAX &&
        segment.deletions->intersects(static_cast<uint32_t>(segment.row_count), UINT32_MAX)) {
      return damaged("a deletion vector names rows that its segment does not have");
    }
  }
  return segment;
}

}  // namespace

const ExportedSegment* ExportedManifest::find(uint64_t segment_id) const {
  const auto found = std::ranges::lower_bound(segments, segment_id, {}, &ExportedSegment::id);
  return found != segments.end() && found->id == segment_id ? &*found : nullptr;
}

Result<ExportedManifest> parse_json(std::string_view text) {
  if (!is_as_written(text)) return damaged("its checksum is missing or another");
  try {
    const auto json = nlohmann::json::parse(text);
    ExportedManifest manifest;
    manifest.table = json.at("table_id");
    if (json.contains("shard")) manifest.shard = json.at("shard").get<uint32_t>();
    if (!json.at("user_id").is_null()) manifest.user = UserId(json.at("user_id").get<std::string>());
    manifest.version = number(json.at("version"));
    manifest.created_at_us = time_us(json.at("created_at"));
    manifest.updated_at_us = time_us(json.at("updated_at"));
    manifest.last_segment = number(json.at("last_sequence_number"));
    for (const auto& segment : json.at("segments")) {
      KALAM_TRY(auto one, exported_segment(segment));
      manifest.segments.push_back(std::move(one));
    }
    std::ranges::sort(manifest.segments, {}, &ExportedSegment::id);
    if (std::ranges::adjacent_find(manifest.segments, {}, &ExportedSegment::id) != manifest.segments.end()) {
      return damaged("two segments have one number");
    }
    return manifest;
  } catch (const nlohmann::json::exception&) {
    return damaged("members are missing or of another kind");
  }
}

}  // namespace kalamdb::cold
