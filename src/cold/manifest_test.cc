#include "cold/manifest.h"

#include <gtest/gtest.h>
#include <simdjson.h>

#include <random>

#include "base/bytes.h"
#include "cold/checksum.h"
#include "cold/deletion_vector.h"
#include "model/key_codec.h"

namespace kalamdb::cold {
namespace {

std::string key(int64_t id) {
  std::string out;
  model::append_key(out, id, {model::TypeTag::kBigInt});
  return out;
}

Manifest example() {
  Manifest manifest{.segments_version = 2, .version = 3, .next_segment = 5, .created_at_us = 1'000'000};
  manifest.updated_at_us = 2'000'000;
  manifest.directory = "app/notes";
  for (const uint64_t id : {1, 4}) {
    manifest.segments.push_back({.id = id,
                                 .storage = id == 1 ? "local" : "bucket",
                                 .path = "app/notes/" + segment_file_name(id),
                                 .row_count = 10 * id,
                                 .size_bytes = 1000,
                                 .checksum = 0x1234567890abcdef + id,
                                 .schema_version = 2,
                                 .min_seq = 100,
                                 .max_seq = int64_t{1} << 60,
                                 .min_key = key(-5),
                                 .max_key = key(7),
                                 .created_at_us = 1'500'000,
                                 .columns = {{.slot = 2, .null_count = 3, .min = key(0), .max = key(9)}}});
  }
  return manifest;
}

TEST(Manifest, IsReadAsItWasWritten) {
  const auto decoded = decode_manifest(encode(example()));
  ASSERT_TRUE(decoded) << decoded.error().message;
  EXPECT_EQ(*decoded, example());
  EXPECT_EQ(manifest_versions(encode(example()))->segments_version, 2u);
  EXPECT_EQ(manifest_versions(encode(example()))->version, 3u);
  EXPECT_EQ(*decode_manifest(encode(Manifest{})), Manifest{});
  EXPECT_EQ(decoded->find(4)->row_count, 40u);
  EXPECT_EQ(decoded->find(2), nullptr);
}

// A record as it was before storages could be chosen.
TEST(Manifest, TheFirstFormatIsReadAsBeingInLocal) {
  std::string record("\1", 1);
  const auto number = [&](auto value) { append_little_endian(record, value); };
  const auto text = [&](std::string_view value) {
    number(static_cast<uint32_t>(value.size()));
    record.append(value);
  };
  for (const uint64_t value : {1, 1, 1, 10, 20}) number(value);
  text("app/notes");
  number(uint32_t{1});
  number(uint64_t{0});
  text("app/notes/batch-0.parquet");
  for (const uint64_t value : {3, 1000}) number(value);
  number(uint32_t{1});
  for (const int64_t value : {100, 200}) number(value);
  text(key(1));
  text(key(3));
  number(int64_t{20});
  append_checksum(record);
  const auto decoded = decode_manifest(record);
  ASSERT_TRUE(decoded) << decoded.error().message;
  EXPECT_EQ(decoded->storage, kLocalStorage);
  ASSERT_EQ(decoded->segments.size(), 1u);
  EXPECT_EQ(decoded->segments[0].storage, kLocalStorage);
  EXPECT_EQ(decoded->segments[0].max_key, key(3));
  EXPECT_TRUE(decoded->segments[0].columns.empty());
  EXPECT_EQ(decode_manifest(encode(*decoded)), *decoded);
}

TEST(Manifest, EveryFlipAndTruncationIsAnError) {
  const std::string record = encode(example());
  for (size_t length = 0; length < record.size(); ++length) {
    ASSERT_EQ(decode_manifest(std::string_view(record).substr(0, length)).error().code, ErrorCode::kCorruption);
  }
  for (size_t bit = 0; bit < record.size() * 8; ++bit) {
    std::string flipped = record;
    flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ 1 << bit % 8);
    ASSERT_FALSE(decode_manifest(flipped)) << bit;
  }
}

TEST(DeletionVector, IsReadAsItWasWrittenOrIsAnError) {
  PositionSet positions;
  for (uint32_t i = 0; i < 100'000; i += 7) positions.add(i);
  const std::string record = encode_deletions(42, positions);
  EXPECT_EQ(*deletions_version(record), 42);
  const auto decoded = decode_deletions(record);
  ASSERT_TRUE(decoded);
  EXPECT_EQ(decoded->encode(), positions.encode());
  std::mt19937 random(3);
  for (int i = 0; i < 300; ++i) {
    std::string damaged = record;
    const size_t at = random() % damaged.size();
    if (i % 2 == 0) {
      damaged[at] = static_cast<char>(damaged[at] ^ 1 << random() % 8);
    } else {
      damaged.resize(at);
    }
    const auto result = decode_deletions(damaged);
    ASSERT_FALSE(result);
    ASSERT_EQ(result.error().code, ErrorCode::kCorruption);
  }
}

TEST(SegmentFileName, OnlyOurOwnNamesAreSegments) {
  EXPECT_EQ(segment_file_name(7), "batch-7.parquet");
  EXPECT_EQ(parse_segment_file_name("batch-12.parquet")->segment_id, 12u);
  EXPECT_FALSE(parse_segment_file_name("batch-12.parquet")->temporary);
  EXPECT_TRUE(parse_segment_file_name("batch-12.parquet.tmp")->temporary);
  for (const char* name :
       {"", "batch-.parquet", "batch-x.parquet", "batch-1.parquet.bak", "batch-1x.parquet", "manifest.json",
        "my-batch-1.parquet", "batch--1.parquet", "batch-99999999999999999999.parquet"}) {
    EXPECT_FALSE(parse_segment_file_name(name)) << name;
  }
}

TEST(ManifestJson, HasTheKeysThatClientsKnow) {
  model::TableDefinition table;
  table.namespace_id = "app";
  table.name = "notes";
  model::ColumnDefinition id{.name = "id", .ordinal = 3, .type = {model::TypeTag::kBigInt}};
  id.primary_key_position = 1;
  table.columns = {id};
  auto deleted = std::make_shared<PositionSet>();
  deleted->add(2);
  const std::string text = to_json(example(), table, UserId("an\"n"), std::nullopt, {nullptr, deleted});
  simdjson::dom::parser parser;
  simdjson::dom::element json;
  ASSERT_EQ(parser.parse(text).get(json), simdjson::SUCCESS) << text;
  EXPECT_EQ(std::string_view(json["table_id"]), "app.notes");
  EXPECT_EQ(std::string_view(json["user_id"]), "an\"n");
  EXPECT_EQ(uint64_t(json["version"]), 3u);
  EXPECT_EQ(uint64_t(json["last_sequence_number"]), 4u);
  EXPECT_TRUE(json["files"].is_null());
  EXPECT_TRUE(json["vector_indexes"].is_object());
  const auto segment = json["segments"].at(1);
  EXPECT_EQ(std::string_view(segment["path"]), "batch-4.parquet");
  EXPECT_EQ(std::string_view(segment["id"]), "batch-4.parquet");
  EXPECT_EQ(uint64_t(segment["row_count"]), 40u);
  EXPECT_EQ(std::string_view(segment["status"]), "committed");
  EXPECT_EQ(std::string_view(segment["column_stats"]["3"]["min"]["Int64"]), "-5");
  EXPECT_EQ(std::string_view(segment["column_stats"]["3"]["max"]["Int64"]), "7");
  // Of the portable Roaring serialisation of {2}, by its own cookie and container: 3a 30 00 00 01 00 00 00 ….
  EXPECT_EQ(std::string_view(segment["deletion_vector"]), "OjAAAAEAAAAAAAAAEAAAAAIA");
  EXPECT_TRUE(json["segments"].at(0)["deletion_vector"].is_null());
  const std::string shared = to_json(example(), table, UserId(), std::nullopt, {});
  ASSERT_EQ(parser.parse(shared).get(json), simdjson::SUCCESS);
  EXPECT_TRUE(json["user_id"].is_null());
}

TEST(ManifestJson, IsReadAsItWasWrittenOrIsAnError) {
  model::TableDefinition table;
  table.namespace_id = "app";
  table.name = "notes";
  Manifest manifest = example();
  manifest.segments[1].checksum = 0xFEDC'BA98'7654'3210;
  auto deleted = std::make_shared<PositionSet>();
  for (uint32_t i = 0; i < 40; i += 3) deleted->add(i);
  const std::string text = to_json(manifest, table, UserId("an\"n"), std::nullopt, {nullptr, deleted});
  const auto read = parse_json(text);
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(read->table, "app.notes");
  EXPECT_EQ(read->user, UserId("an\"n"));
  EXPECT_EQ(read->version, 3u);
  EXPECT_EQ(read->last_segment, 4u);
  ASSERT_EQ(read->segments.size(), 2u);
  EXPECT_EQ(read->segments[0].deletions, nullptr);
  const ExportedSegment* const last = read->find(4);
  ASSERT_NE(last, nullptr);
  EXPECT_EQ(last->row_count, 40u);
  EXPECT_EQ(last->checksum, manifest.segments[1].checksum);
  EXPECT_EQ(last->deletions->encode(), deleted->encode());
  EXPECT_EQ(read->find(3), nullptr);
  for (size_t length = 0; length < text.size(); ++length) {
    ASSERT_EQ(parse_json(text.substr(0, length)).error().code, ErrorCode::kCorruption) << length;
  }
  for (size_t bit = 0; bit < text.size() * 8; ++bit) {
    std::string flipped = text;
    flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ 1 << bit % 8);
    ASSERT_FALSE(parse_json(flipped)) << bit << ": " << flipped;
  }
}

TEST(ManifestJson, TellsOfAShard) {
  const auto read = parse_json(to_json(example(), model::TableDefinition(), UserId(), 7, {}));
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(read->shard, 7u);
  EXPECT_EQ(read->user, UserId());
}

TEST(ManifestJson, AVectorOfRowsThatAreNotThereIsRefused) {
  model::TableDefinition table;
  auto deleted = std::make_shared<PositionSet>();
  deleted->add(40);
  EXPECT_EQ(parse_json(to_json(example(), table, UserId(), std::nullopt, {nullptr, deleted})).error().code,
            ErrorCode::kCorruption);
}

}  // namespace
}  // namespace kalamdb::cold
