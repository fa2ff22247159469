#include "platform/file_system.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <atomic>
#include <thread>

#include "platform/temporary_directory.h"

namespace kalamdb::platform {
namespace {

class FileSystemTest : public testing::Test {
 protected:
  TemporaryDirectory directory_;
  RealFileSystem files_;
};

TEST_F(FileSystemTest, WritesAndReadsBytes) {
  std::string path = directory_ / "a";
  std::string bytes("x\0y", 3);
  ASSERT_TRUE(files_.write_file_durably(path, bytes));
  EXPECT_EQ(files_.read_file(path).value(), bytes);
  EXPECT_EQ(files_.file_size(path).value(), 3u);
  ASSERT_TRUE(files_.write_file_durably(path, ""));
  EXPECT_EQ(files_.read_file(path).value(), "");
  std::string large(3'000'000, 'z');
  ASSERT_TRUE(files_.write_file_durably(path, large));
  EXPECT_EQ(files_.read_file(path).value(), large);
  EXPECT_EQ(files_.list_directory(directory_.path()).value(), std::vector<std::string>{"a"})
      << "nothing temporary is left";
}

TEST_F(FileSystemTest, WritesWhatNeedNotLast) {
  const std::string path = directory_ / "a";
  ASSERT_TRUE(files_.write_file(path, "0123456789"));
  ASSERT_TRUE(files_.write_file(path, "new"));
  EXPECT_EQ(files_.read_file(path).value(), "new");
  EXPECT_FALSE(files_.write_file(directory_ / "missing/a", "x"));
}

TEST_F(FileSystemTest, KeepsRoomOnTheDisk) {
  RealFileSystem full(uint64_t{1} << 62);
  const std::string path = directory_ / "a";
  ASSERT_TRUE(full.write_file_durably(path, "0123456789"));
  for (const auto& refused : {full.require_room(path), full.require_room(directory_ / "b"), full.write_file(path, "b"),
                              full.append_file(path, "b")}) {
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, ErrorCode::kIo);
    EXPECT_NE(refused.error().message.find("storage.min_free_bytes keeps"), std::string::npos);
  }
  EXPECT_EQ(full.read_file(path).value(), "0123456789");
  RealFileSystem empty(1);
  EXPECT_TRUE(empty.require_room(path));
  EXPECT_TRUE(empty.append_file(path, "b"));
  EXPECT_FALSE(empty.require_room(directory_ / "no/such/directory"));
}

TEST_F(FileSystemTest, ReadsRangesThatAreThere) {
  const std::string path = directory_ / "a";
  ASSERT_TRUE(files_.write_file_durably(path, "0123456789"));
  EXPECT_EQ(files_.read_range(path, 0, 10).value(), "0123456789");
  EXPECT_EQ(files_.read_range(path, 3, 4).value(), "3456");
  EXPECT_EQ(files_.read_range(path, 10, 0).value(), "");
  EXPECT_EQ(files_.read_range(path, 8, 3).error().message, "Cannot read 3 bytes at 8 of " + path + ": it has only 10");
  EXPECT_FALSE(files_.read_range(path, 11, 0));
  EXPECT_FALSE(files_.read_range(path, UINT64_MAX, 2));
  EXPECT_FALSE(files_.read_range(path, 2, UINT64_MAX));
  EXPECT_FALSE(files_.read_range(directory_ / "b", 0, 0));
}

TEST_F(FileSystemTest, TellsWhatIsThere) {
  ASSERT_TRUE(files_.write_file_durably(directory_ / "file", "x"));
  ASSERT_TRUE(files_.create_directories(directory_ / "directory"));
  ASSERT_EQ(::symlink("file", (directory_ / "link").c_str()), 0);
  ASSERT_EQ(::mkfifo((directory_ / "fifo").c_str(), 0600), 0);
  EXPECT_EQ(files_.type(directory_ / "file"), FileType::kFile);
  EXPECT_EQ(files_.type(directory_ / "directory"), FileType::kDirectory);
  EXPECT_EQ(files_.type(directory_ / "link"), FileType::kSymbolicLink);
  EXPECT_EQ(files_.type(directory_ / "fifo"), FileType::kOther);
  EXPECT_EQ(files_.type(directory_ / "missing"), FileType::kMissing);
  EXPECT_EQ(files_.type(directory_ / "file/below"), FileType::kMissing);
}

TEST_F(FileSystemTest, FilesThatDoNotTellTheirSizeAreReadWhole) {
  auto status = files_.read_file("/proc/self/status");
  ASSERT_TRUE(status);
  EXPECT_NE(status->find("Pid:"), std::string::npos);
}

TEST_F(FileSystemTest, ModeIsThatOfTheFile) {
  std::string path = directory_ / "secret";
  ASSERT_TRUE(files_.write_file_durably(path, "x", 0600));
  struct stat status;
  ASSERT_EQ(::stat(path.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0600u);
}

TEST_F(FileSystemTest, ErrorsNameThePathAndTheReason) {
  std::string missing = directory_ / "missing";
  auto read = files_.read_file(missing);
  ASSERT_FALSE(read);
  EXPECT_EQ(read.error().code, ErrorCode::kIo);
  EXPECT_EQ(read.error().message, "Cannot open " + missing + ": No such file or directory");
  EXPECT_FALSE(files_.remove_file(missing));
  EXPECT_FALSE(files_.file_size(missing));
  EXPECT_FALSE(files_.sync_file(missing));
  EXPECT_FALSE(files_.sync_directory(missing));
  EXPECT_FALSE(files_.rename(missing, directory_ / "other"));
  EXPECT_FALSE(files_.list_directory(missing));
  EXPECT_FALSE(files_.list_recursive(missing));
  EXPECT_FALSE(files_.write_file_durably(missing + "/x", "y"));
  EXPECT_FALSE(files_.read_file(directory_.path())) << "a directory is not a file";
  EXPECT_TRUE(files_.remove_tree(missing));
}

TEST_F(FileSystemTest, AFailedWriteLeavesTheOldFile) {
  std::string path = directory_ / "is-a-directory";
  ASSERT_TRUE(files_.create_directories(path + "/inside"));
  EXPECT_FALSE(files_.write_file_durably(path, "x"));
  EXPECT_EQ(files_.list_directory(directory_.path()).value(), std::vector<std::string>{"is-a-directory"});
}

TEST_F(FileSystemTest, DirectoriesAndLists) {
  ASSERT_TRUE(files_.create_directories(directory_ / "a/b/c"));
  ASSERT_TRUE(files_.create_directories(directory_ / "a/b/c"));
  ASSERT_TRUE(files_.write_file_durably(directory_ / "a/b/2", ""));
  ASSERT_TRUE(files_.write_file_durably(directory_ / "a/1", ""));
  ASSERT_TRUE(files_.sync_file(directory_ / "a/1"));
  ASSERT_TRUE(files_.sync_directory(directory_ / "a"));
  EXPECT_EQ(files_.list_directory(directory_ / "a").value(), (std::vector<std::string>{"1", "b"}));
  EXPECT_EQ(files_.list_recursive(directory_.path()).value(), (std::vector<std::string>{"a/1", "a/b/2"}));
  ASSERT_TRUE(files_.rename(directory_ / "a/1", directory_ / "a/b/2"));
  EXPECT_EQ(files_.list_recursive(directory_.path()).value(), std::vector<std::string>{"a/b/2"});
  ASSERT_TRUE(files_.remove_tree(directory_ / "a"));
  EXPECT_FALSE(files_.exists(directory_ / "a"));
}

TEST_F(FileSystemTest, SymbolicLinksAreNotFollowed) {
  ASSERT_TRUE(files_.create_directories(directory_ / "in"));
  ASSERT_TRUE(files_.create_directories(directory_ / "out"));
  ASSERT_TRUE(files_.write_file_durably(directory_ / "out/file", "x"));
  std::filesystem::create_symlink(directory_ / "out", directory_ / "in/link");
  EXPECT_TRUE(files_.list_recursive(directory_ / "in").value().empty());
  ASSERT_TRUE(files_.remove_tree(directory_ / "in"));
  EXPECT_TRUE(files_.exists(directory_ / "out/file"));
}

TEST_F(FileSystemTest, ReadersSeeTheOldFileOrTheNewOne) {
  std::string path = directory_ / "a";
  std::string old_bytes(10'000, 'a');
  std::string new_bytes(20'000, 'b');
  ASSERT_TRUE(files_.write_file_durably(path, old_bytes));
  std::atomic<bool> done{false};
  std::thread writer([&] {
    for (int i = 0; i < 50; ++i) EXPECT_TRUE(files_.write_file_durably(path, i % 2 ? old_bytes : new_bytes));
    done = true;
  });
  while (!done) {
    auto bytes = files_.read_file(path);
    EXPECT_TRUE(bytes && (*bytes == old_bytes || *bytes == new_bytes));
  }
  writer.join();
}

TEST_F(FileSystemTest, ALockIsHeldByOneAtATime) {
  std::string path = directory_ / "LOCK";
  auto lock = files_.lock_file(path);
  ASSERT_TRUE(lock);
  auto second = files_.lock_file(path);
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, ErrorCode::kIo);
  EXPECT_EQ(second.error().message, "data directory " + directory_.path() + " is in use by another process");
  lock->reset();
  EXPECT_TRUE(files_.lock_file(path));
}

TEST_F(FileSystemTest, ALockEndsWithItsProcess) {
  std::string path = directory_ / "LOCK";
  pid_t child = ::fork();
  if (child == 0) {
    auto lock = files_.lock_file(path);
    ::_exit(lock ? 0 : 1);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
  EXPECT_TRUE(files_.lock_file(path));
}

}  // namespace
}  // namespace kalamdb::platform
