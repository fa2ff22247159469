#include "cold/directory_store.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cerrno>
#include <fstream>

#include "platform/fault_file_system.h"
#include "platform/temporary_directory.h"

namespace kalamdb::cold {
namespace {

class DirectoryStoreTest : public testing::Test {
 protected:
  // As an engine does that writes segments by itself.
  static void write(const std::string& path, const std::string& bytes) { std::ofstream(path) << bytes; }

  platform::TemporaryDirectory directory_;
  platform::RealFileSystem real_;
  platform::FaultFileSystem files_{real_};
  const std::string base_ = directory_ / "deep/base";
  DirectoryStore store_{files_, base_ + "/"};
};

TEST_F(DirectoryStoreTest, KeepsObjects) {
  ASSERT_TRUE(store_.put("app/notes/manifest.json", "{}"));
  ASSERT_TRUE(store_.put("app/notes/manifest.json", "{1}"));
  EXPECT_EQ(store_.get("app/notes/manifest.json").value(), "{1}");
  const auto staged = store_.staging_file("app/notes/ann/batch-0.parquet");
  ASSERT_TRUE(staged) << staged.error().message;
  EXPECT_EQ(*staged, base_ + "/app/notes/ann/batch-0.parquet.tmp");
  write(*staged, "0123456789");
  ASSERT_TRUE(store_.put_file("app/notes/ann/batch-0.parquet", *staged));
  EXPECT_FALSE(real_.exists(*staged));
  EXPECT_EQ(store_.get_range("app/notes/ann/batch-0.parquet", 3, 4).value(), "3456");
  EXPECT_FALSE(store_.get_range("app/notes/ann/batch-0.parquet", 8, 3));
  EXPECT_EQ(store_.size("app/notes/ann/batch-0.parquet").value(), 10u);
  EXPECT_EQ(store_.local_path("app/notes/ann/batch-0.parquet"), base_ + "/app/notes/ann/batch-0.parquet");
  const std::vector<ObjectInfo> all = {{"app/notes/ann/batch-0.parquet", 10}, {"app/notes/manifest.json", 3}};
  EXPECT_EQ(store_.list("").value(), all);
  EXPECT_EQ(store_.list("app/notes").value(), all);
  EXPECT_EQ(store_.list("app/notes/ann").value(), std::vector(1, all[0]));
  EXPECT_TRUE(store_.list("app/notes/an").value().empty()) << "a directory, not a prefix";
  ASSERT_TRUE(store_.remove("app/notes/manifest.json"));
  ASSERT_TRUE(store_.remove("app/notes/manifest.json")) << "what is gone stays gone";
  EXPECT_EQ(store_.list("app").value(), std::vector(1, all[0]));
  ASSERT_TRUE(store_.remove_directory("app/notes"));
  ASSERT_TRUE(store_.remove_directory("app/notes"));
  EXPECT_TRUE(store_.list("").value().empty());
}

TEST_F(DirectoryStoreTest, WhatIsNotThere) {
  EXPECT_TRUE(store_.list("").value().empty()) << "before the base directory is made";
  EXPECT_EQ(store_.get("a/b").error().code, ErrorCode::kNotFound);
  ASSERT_TRUE(store_.put("a/b", "x"));
  for (const char* name : {"a", "a/c", "a/b/c", "c/b"}) {
    EXPECT_EQ(store_.get(name).error().code, ErrorCode::kNotFound) << name;
    EXPECT_EQ(store_.get_range(name, 0, 0).error().code, ErrorCode::kNotFound) << name;
    EXPECT_EQ(store_.size(name).value(), std::nullopt) << name;
    EXPECT_TRUE(store_.remove(name)) << name;
  }
  EXPECT_EQ(store_.get("c").error().message, "There is no object c in " + base_);
  EXPECT_EQ(store_.get("a/b").value(), "x") << "remove() leaves directories alone";
}

TEST_F(DirectoryStoreTest, PutsInPlaceOfWhatWasSeen) {
  EXPECT_EQ(store_.version("m").value(), std::nullopt);
  EXPECT_EQ(store_.put_if("m", "1", "never there").error().code, ErrorCode::kConflict);
  const auto first = store_.put_if("m", "1", std::nullopt);
  ASSERT_TRUE(first) << first.error().message;
  EXPECT_EQ(store_.version("m").value(), *first);
  EXPECT_EQ(store_.put_if("m", "x", std::nullopt).error().code, ErrorCode::kConflict);
  const auto second = store_.put_if("m", "2", *first);
  ASSERT_TRUE(second);
  EXPECT_EQ(store_.put_if("m", "x", *first).error().code, ErrorCode::kConflict);
  EXPECT_EQ(store_.get("m").value(), "2");
}

TEST_F(DirectoryStoreTest, WhatACrashLeavesIsListedAndCanBeRemoved) {
  const auto staged = store_.staging_file("a/batch-3.parquet");
  write(*staged, "half");
  EXPECT_EQ(store_.list("a").value(), (std::vector<ObjectInfo>{{"a/batch-3.parquet.tmp", 4}}));
  EXPECT_TRUE(store_.remove("a/batch-3.parquet.tmp"));
  EXPECT_FALSE(real_.exists(*staged));
}

TEST_F(DirectoryStoreTest, NoNameLeadsOut) {
  write(directory_ / "secret", "s");
  ASSERT_TRUE(store_.put("a/b", "x"));
  const std::string nul("a\0b", 3);
  for (const std::string& name : {std::string(""), std::string("/etc/passwd"), std::string("../../secret"),
                                  std::string("a/../../../secret"), std::string("./a"), std::string("a//b"),
                                  std::string("a/"), nul, std::string(241, 'x'), std::string(1025, '/')}) {
    EXPECT_EQ(store_.staging_file(name).error().code, ErrorCode::kInvalidInput) << name;
    EXPECT_FALSE(store_.put_file(name, directory_ / "secret")) << name;
    EXPECT_FALSE(store_.put(name, "x")) << name;
    EXPECT_FALSE(store_.get(name)) << name;
    EXPECT_FALSE(store_.get_range(name, 0, 1)) << name;
    EXPECT_FALSE(store_.size(name)) << name;
    EXPECT_FALSE(store_.remove(name)) << name;
    EXPECT_FALSE(store_.remove_directory(name)) << name;
    EXPECT_EQ(store_.local_path(name), std::nullopt) << name;
    EXPECT_EQ(store_.list(name).has_value(), name.empty()) << name;
  }
  EXPECT_TRUE(real_.exists(directory_ / "secret"));
}

TEST_F(DirectoryStoreTest, NoSymbolicLinkLeadsOut) {
  ASSERT_TRUE(store_.put("a/b", "x"));
  ASSERT_TRUE(real_.create_directories(directory_ / "outside"));
  write(directory_ / "outside/secret", "s");
  ASSERT_EQ(::symlink((directory_ / "outside").c_str(), (base_ + "/a/link").c_str()), 0);
  ASSERT_EQ(::symlink((directory_ / "outside/secret").c_str(), (base_ + "/a/file").c_str()), 0);
  for (const char* name : {"a/link/secret", "a/file"}) {
    EXPECT_FALSE(store_.staging_file(name)) << name;
    EXPECT_FALSE(store_.put(name, "mine")) << name;
    EXPECT_FALSE(store_.get(name)) << name;
    EXPECT_FALSE(store_.get_range(name, 0, 1)) << name;
    EXPECT_FALSE(store_.size(name)) << name;
    EXPECT_FALSE(store_.remove(name)) << name;
    EXPECT_EQ(store_.local_path(name), std::nullopt) << name;
  }
  EXPECT_FALSE(store_.list("a/link"));
  EXPECT_FALSE(store_.remove_directory("a/link"));
  EXPECT_EQ(store_.list("").value(), (std::vector<ObjectInfo>{{"a/b", 1}}));
  ASSERT_TRUE(store_.remove_directory("a"));
  EXPECT_EQ(real_.read_file(directory_ / "outside/secret").value(), "s");
}

TEST_F(DirectoryStoreTest, LargeObjectsAreReadInRanges) {
  ASSERT_TRUE(store_.put("a", ""));
  ASSERT_EQ(::truncate((base_ + "/a").c_str(), kMaxGetBytes + 1), 0);
  EXPECT_EQ(store_.get("a").error().code, ErrorCode::kIo);
  EXPECT_EQ(store_.get_range("a", kMaxGetBytes, 1).value(), std::string(1, '\0'));
}

// Whichever call fails, and whether or not power fails then: the object is the old or the new one, and what was
// answered with success is there.
TEST_F(DirectoryStoreTest, SurvivesFailuresAndPowerLoss) {
  for (uint64_t call = 1;; ++call) {
    const std::string name = "t" + std::to_string(call) + "/sub/a";
    ASSERT_TRUE(store_.put(name, "old"));
    files_.fail_call(call, EIO, true);
    bool done = false;
    std::string written = "new";
    if (const auto staged = store_.staging_file(name)) {
      write(*staged, written);
      done = store_.put_file(name, *staged).has_value();
    }
    const bool put = store_.put(name + "2", "whole").has_value();
    files_.stop_failing();
    ASSERT_TRUE(files_.lose_power());
    const std::string found = store_.get(name).value();
    EXPECT_TRUE(found == "new" || (!done && found == "old")) << call << ": " << found;
    if (put) {
      EXPECT_EQ(store_.get(name + "2").value(), "whole");
      EXPECT_TRUE(done);
      break;
    }
  }
}

// The fault file system has no power failure for directories, so that this watches the syncs themselves.
TEST_F(DirectoryStoreTest, EveryNewDirectoryIsSynced) {
  files_.fail_call(1, EIO, false);
  EXPECT_FALSE(store_.put("x/y/z", "1")) << "making the directory fails, so nothing is put";
  files_.fail_call(0, 0);
  ASSERT_TRUE(store_.put("x/y/z", "1"));
  // The base directory, two syncs for it; the object's directory; syncs of x and of the base; the file itself.
  EXPECT_EQ(files_.changing_calls(), 7u);
  files_.fail_call(0, 0);
  ASSERT_TRUE(store_.put("x/y/a", "1"));
  EXPECT_EQ(files_.changing_calls(), 1u) << "only the file: the directories are known to be on the disk";
  ASSERT_TRUE(store_.put("x/u/a", "1"));
  EXPECT_EQ(files_.changing_calls(), 4u) << "a new directory, and a sync of the one above it";
  ASSERT_TRUE(store_.remove_directory("x"));
  files_.fail_call(0, 0);
  ASSERT_TRUE(store_.put("x/y/a", "1"));
  EXPECT_EQ(files_.changing_calls(), 4u) << "new again, as is the one above it";
}

}  // namespace
}  // namespace kalamdb::cold
