// manifest.json, as clients of version 0.4 know it, with the deletion vectors.
#include <rapidjson/stringbuffer.h>
#include <rapidjson/writer.h>

#include <algorithm>

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

std::string base64(std::string_view bytes) {
  constexpr char kDigits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  for (size_t i = 0; i < bytes.size(); i += 3) {
    uint32_t group = 0;
    const size_t length = std::min<size_t>(3, bytes.size() - i);
    for (size_t j = 0; j < 3; ++j) group = group << 8 | (j < length ? static_cast<unsigned char>(bytes[i + j]) : 0);
    for (size_t j = 0; j < 4; ++j) out.push_back(j <= length ? kDigits[group >> (18 - 6 * j) & 63] : '=');
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
                    const std::vector<std::shared_ptr<const PositionSet>>& deletions, bool with_values) {
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
  return {buffer.GetString(), buffer.GetSize()};
}

}  // namespace kalamdb::cold
