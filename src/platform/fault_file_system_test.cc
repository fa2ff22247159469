#include "platform/fault_file_system.h"

#include <gtest/gtest.h>

#include <cerrno>

#include "platform/temporary_directory.h"

namespace kalamdb::platform {
namespace {

class FaultFileSystemTest : public testing::Test {
 protected:
  // Contents as they are on the disk; "-" for a file that is not there.
  std::string on_disk(const std::string& name) {
    auto bytes = real_.read_file(directory_ / name);
    return bytes ? *bytes : "-";
  }
  // As a library that writes files by itself does: without any sync.
  void write_unsynced(const std::string& name, const std::string& bytes) {
    ASSERT_TRUE(real_.write_file_durably(directory_ / name, bytes));
  }

  TemporaryDirectory directory_;
  RealFileSystem real_;
  FaultFileSystem files_{real_};
};

TEST_F(FaultFileSystemTest, OnlyTheChosenCallFails) {
  files_.fail_call(2, ENOSPC);
  EXPECT_TRUE(files_.write_file_durably(directory_ / "a", "1"));
  EXPECT_TRUE(files_.read_file(directory_ / "a")) << "reads are not counted";
  auto second = files_.write_file_durably(directory_ / "a", "2");
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().message, "Cannot write " + (directory_ / "a") + ": No space left on device");
  EXPECT_EQ(on_disk("a"), "1");
  EXPECT_TRUE(files_.write_file_durably(directory_ / "a", "3"));
  EXPECT_EQ(files_.changing_calls(), 3u);
}

TEST_F(FaultFileSystemTest, OrEveryCallAfterItToo) {
  ASSERT_TRUE(files_.write_file_durably(directory_ / "a", "1"));
  files_.fail_call(1, EIO, true);
  EXPECT_FALSE(files_.rename(directory_ / "a", directory_ / "b"));
  EXPECT_FALSE(files_.remove_file(directory_ / "a"));
  EXPECT_FALSE(files_.remove_tree(directory_ / "a"));
  EXPECT_FALSE(files_.create_directories(directory_ / "d"));
  EXPECT_FALSE(files_.sync_file(directory_ / "a"));
  EXPECT_FALSE(files_.sync_directory(directory_.path()));
  EXPECT_EQ(on_disk("a"), "1");
  files_.stop_failing();
  EXPECT_TRUE(files_.remove_file(directory_ / "a"));
}

TEST_F(FaultFileSystemTest, PlainWritesDoNotSurviveAPowerFailure) {
  ASSERT_TRUE(files_.write_file(directory_ / "a", "1"));
  ASSERT_TRUE(files_.write_file(directory_ / "b", "2"));
  ASSERT_TRUE(files_.sync_file(directory_ / "b"));
  ASSERT_TRUE(files_.lose_power());
  EXPECT_EQ(on_disk("a"), "");
  EXPECT_EQ(on_disk("b"), "2");
}

TEST_F(FaultFileSystemTest, DurableWritesSurviveAPowerFailure) {
  ASSERT_TRUE(files_.write_file_durably(directory_ / "a", "1"));
  ASSERT_TRUE(files_.lose_power());
  EXPECT_EQ(on_disk("a"), "1");
}

TEST_F(FaultFileSystemTest, RenamesAreUndoneUnlessTheDirectoryIsSynced) {
  ASSERT_TRUE(files_.write_file_durably(directory_ / "a", "new"));
  ASSERT_TRUE(files_.write_file_durably(directory_ / "b", "old"));
  ASSERT_TRUE(files_.rename(directory_ / "a", directory_ / "b"));
  ASSERT_TRUE(files_.lose_power());
  EXPECT_EQ(on_disk("a"), "new");
  EXPECT_EQ(on_disk("b"), "old");

  ASSERT_TRUE(files_.sync_file(directory_ / "a"));
  ASSERT_TRUE(files_.rename(directory_ / "a", directory_ / "b"));
  ASSERT_TRUE(files_.sync_directory(directory_.path()));
  ASSERT_TRUE(files_.lose_power());
  EXPECT_EQ(on_disk("a"), "-");
  EXPECT_EQ(on_disk("b"), "new");
}

TEST_F(FaultFileSystemTest, ARenameAcrossDirectoriesNeedsBothSynced) {
  ASSERT_TRUE(files_.create_directories(directory_ / "d"));
  ASSERT_TRUE(files_.write_file_durably(directory_ / "a", "1"));
  ASSERT_TRUE(files_.rename(directory_ / "a", directory_ / "d/a"));
  ASSERT_TRUE(files_.sync_directory(directory_ / "d/"));
  ASSERT_TRUE(files_.lose_power());
  EXPECT_EQ(on_disk("a"), "1");
  EXPECT_EQ(on_disk("d/a"), "-");
}

TEST_F(FaultFileSystemTest, FilesRenamedWithoutASyncLoseTheirBytes) {
  write_unsynced("a.tmp", "bytes");
  ASSERT_TRUE(files_.rename(directory_ / "a.tmp", directory_ / "a"));
  ASSERT_TRUE(files_.sync_directory(directory_.path()));
  ASSERT_TRUE(files_.lose_power());
  EXPECT_EQ(on_disk("a"), "");

  write_unsynced("b.tmp", "bytes");
  ASSERT_TRUE(files_.sync_file(directory_ / "b.tmp"));
  ASSERT_TRUE(files_.rename(directory_ / "b.tmp", directory_ / "b"));
  ASSERT_TRUE(files_.sync_directory(directory_.path()));
  ASSERT_TRUE(files_.lose_power());
  EXPECT_EQ(on_disk("b"), "bytes");
}

TEST_F(FaultFileSystemTest, RemovedFilesComeBackUnlessTheDirectoryIsSynced) {
  ASSERT_TRUE(files_.write_file_durably(directory_ / "a", "1"));
  ASSERT_TRUE(files_.remove_file(directory_ / "a"));
  ASSERT_TRUE(files_.lose_power());
  EXPECT_EQ(on_disk("a"), "1");
  ASSERT_TRUE(files_.remove_file(directory_ / "a"));
  ASSERT_TRUE(files_.sync_directory(directory_.path()));
  ASSERT_TRUE(files_.lose_power());
  EXPECT_EQ(on_disk("a"), "-");
}

TEST_F(FaultFileSystemTest, WhatIsRemovedAsAWholeStaysSo) {
  ASSERT_TRUE(files_.create_directories(directory_ / "d"));
  ASSERT_TRUE(files_.write_file_durably(directory_ / "d/a", "1"));
  ASSERT_TRUE(files_.rename(directory_ / "d/a", directory_ / "d/b"));
  ASSERT_TRUE(files_.remove_tree(directory_ / "d"));
  ASSERT_TRUE(files_.lose_power());
  EXPECT_FALSE(files_.exists(directory_ / "d"));
}

TEST_F(FaultFileSystemTest, LocksAndListsPassThrough) {
  ASSERT_TRUE(files_.write_file_durably(directory_ / "a", "12"));
  EXPECT_EQ(files_.list_directory(directory_.path()).value(), std::vector<std::string>{"a"});
  EXPECT_EQ(files_.list_recursive(directory_.path()).value(), std::vector<std::string>{"a"});
  EXPECT_EQ(files_.file_size(directory_ / "a").value(), 2u);
  EXPECT_TRUE(files_.exists(directory_ / "a"));
  EXPECT_TRUE(files_.lock_file(directory_ / "LOCK"));
}

}  // namespace
}  // namespace kalamdb::platform
