#include "cold/backup.h"

#include <gtest/gtest.h>

#include "cold/directory_store.h"
#include "platform/file_system.h"
#include "platform/temporary_directory.h"

namespace kalamdb::cold {
namespace {

BackupManifest example() {
  return {.seq = 1234567890123,
          .created_at_us = 5,
          .job_id = "BK-1",
          .namespaces = {"{\"name\":\"app\"}"},
          .tables = {{.namespace_id = "app",
                      .name = "t",
                      .type = "shared",
                      .rows = 3,
                      .tombstones = 1,
                      .files = {{"app/t/table.cbor", 10, "aa"}, {"app/t/segment-0.parquet", 20, "bb"}}}}};
}

TEST(BackupTest, ManifestIsReadAsItWasWritten) {
  const auto read = decode_backup_manifest(encode(example()));
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(read->seq, 1234567890123);
  EXPECT_EQ(read->job_id, "BK-1");
  EXPECT_EQ(read->namespaces, example().namespaces);
  ASSERT_EQ(read->tables.size(), 1u);
  EXPECT_EQ(read->tables[0].files, example().tables[0].files);
  EXPECT_EQ(read->size_bytes(), 30u);
}

TEST(BackupTest, NoByteOfTheManifestMayBeAnother) {
  const std::string written = encode(example());
  for (size_t i = 0; i < written.size(); ++i) {
    std::string changed = written;
    if (changed[i] == ' ' || changed[i] == '\n') continue;  // between the members
    changed[i] = changed[i] == '1' ? '2' : '1';
    EXPECT_FALSE(decode_backup_manifest(changed)) << i;
  }
  for (size_t length = 0; length < written.size(); ++length) {
    EXPECT_FALSE(decode_backup_manifest(written.substr(0, length))) << length;
  }
}

TEST(BackupTest, FilesThatLeadElsewhereAreRefused) {
  BackupManifest manifest = example();
  manifest.tables[0].files[1].name = "app/../../t";
  EXPECT_FALSE(decode_backup_manifest(encode(manifest)));
}

TEST(BackupTest, DetailsAreReadAsTheyWereWritten) {
  BackupDetails details{.definition = "{}", .path_template = "{tableName}", .scopes = {}};
  BackupScope scope{.user = UserId(std::string("a\0b\xFF", 4)),
                    .manifest = {},
                    .deletions = {std::string("\x00\x01", 2)},
                    .filters = {""},
                    .users = {},
                    .tombstones = "x/tombstones.parquet",
                    .retention = {{UserId("ann"), "r"}}};
  scope.manifest.segments.push_back({.id = 7, .storage = "", .path = "x/segment-7.parquet", .row_count = 2});
  details.scopes.push_back(scope);
  const std::string written = encode(details);
  const auto read = decode_backup_details(written);
  ASSERT_TRUE(read) << read.error().message;
  ASSERT_EQ(read->scopes.size(), 1u);
  EXPECT_EQ(read->path_template, details.path_template);
  EXPECT_EQ(read->scopes[0].user, scope.user);
  EXPECT_EQ(read->scopes[0].manifest, scope.manifest);
  EXPECT_EQ(read->scopes[0].deletions, scope.deletions);
  EXPECT_EQ(read->scopes[0].tombstones, scope.tombstones);
  EXPECT_EQ(read->scopes[0].retention, scope.retention);
  for (size_t length = 0; length < written.size(); ++length) {
    EXPECT_FALSE(decode_backup_details(written.substr(0, length))) << length;
  }
}

TEST(BackupTest, CopiesHaveTheChecksumOfWhatWasCopied) {
  platform::RealFileSystem disk;
  const platform::TemporaryDirectory directory;
  DirectoryStore from(disk, directory.path() + "/from");
  DirectoryStore to(disk, directory.path() + "/to");
  // Several parts, and the end of the last one.
  std::string bytes((9 << 20) + 17, 'x');
  for (size_t i = 0; i < bytes.size(); i += 1000) bytes[i] = static_cast<char>(i);
  ASSERT_TRUE(from.put("a", bytes));
  const auto copied = copy_object(disk, from, "a", to, "b/c", "b/c");
  ASSERT_TRUE(copied) << copied.error().message;
  EXPECT_EQ(*read_object(to, "b/c"), bytes);
  EXPECT_EQ(*describe_object(from, "a", "b/c"), *copied);
  EXPECT_TRUE(check_object(to, "b/c", *copied));
  ASSERT_TRUE(to.put("b/c", bytes.replace(5 << 20, 1, "y")));
  const auto checked = check_object(to, "b/c", *copied);
  ASSERT_FALSE(checked);
  EXPECT_EQ(checked.error().code, ErrorCode::kCorruption);
  EXPECT_FALSE(copy_object(disk, from, "missing", to, "d", "d"));
}

TEST(BackupTest, TheChecksumIsSha256) {
  platform::RealFileSystem disk;
  const platform::TemporaryDirectory directory;
  DirectoryStore store(disk, directory.path());
  const auto file = put_checked(store, "abc", "abc", "abc");
  ASSERT_TRUE(file);
  EXPECT_EQ(file->sha256, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

}  // namespace
}  // namespace kalamdb::cold
