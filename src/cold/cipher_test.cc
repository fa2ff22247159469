#include "cold/cipher.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include "platform/temporary_directory.h"

namespace kalamdb::cold {
namespace {

class CipherTest : public testing::Test {
 protected:
  Cipher open(const std::string& path) {
    auto cipher = Cipher::open(files_, random_, path);
    EXPECT_TRUE(cipher) << cipher.error().message;
    return *cipher;
  }

  platform::TemporaryDirectory directory_;
  platform::RealFileSystem files_;
  platform::SystemRandom random_;
  const std::string path_ = directory_ / "storage.key";
};

TEST_F(CipherTest, ReadsWhatItWroteWithTheSameKeyFile) {
  for (const std::string& plain : {std::string(), std::string("{\"secret_key\": \"x\"}"), std::string(100'000, '\0')}) {
    const std::string sealed = open(path_).encrypt(plain, "storage:s1");
    EXPECT_EQ(open(path_).decrypt(sealed, "storage:s1").value(), plain);
    EXPECT_TRUE(plain.size() < 4 || !sealed.contains(plain.substr(0, 4)));
    EXPECT_NE(sealed, open(path_).encrypt(plain, "storage:s1")) << "a nonce is never used twice";
  }
  EXPECT_FALSE(open(path_).decrypt(open(path_).encrypt("x", "storage:s1"), "storage:s2"));
  EXPECT_FALSE(open(directory_ / "other.key").decrypt(open(path_).encrypt("x", ""), ""));
}

TEST_F(CipherTest, EveryChangedBitIsSeen) {
  const Cipher cipher = open(path_);
  const std::string sealed = cipher.encrypt("secret", "c");
  for (size_t at = 0; at < sealed.size(); ++at) {
    for (int bit = 0; bit < 8; ++bit) {
      std::string changed = sealed;
      changed[at] = static_cast<char>(changed[at] ^ 1 << bit);
      EXPECT_EQ(cipher.decrypt(changed, "c").error().code, ErrorCode::kCorruption);
    }
    EXPECT_FALSE(cipher.decrypt(sealed.substr(0, at), "c"));
  }
  EXPECT_FALSE(cipher.decrypt(sealed + "x", "c"));
}

// Test case 16 of the GCM specification, whose key, nonce and texts NIST gives: this is AES-256-GCM and nothing else.
TEST_F(CipherTest, IsTheStandardCipher) {
  const auto from_hex = [](std::string_view hex) {
    std::string out;
    for (size_t i = 0; i < hex.size(); i += 2) {
      out.push_back(static_cast<char>(std::stoi(std::string(hex.substr(i, 2)), nullptr, 16)));
    }
    return out;
  };
  ASSERT_TRUE(
      files_.write_file_durably(path_, from_hex("feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308")));
  EXPECT_EQ(open(path_)
                .decrypt("\x01" + from_hex("cafebabefacedbaddecaf888"
                                           "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa"
                                           "8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662"
                                           "76fc6ece0f4e1768cddf8853bb2d551b"),
                         from_hex("feedfacedeadbeeffeedfacedeadbeefabaddad2"))
                .value(),
            from_hex("d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"
                     "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39"));
}

TEST_F(CipherTest, TheKeyFileIsForItsOwnerAlone) {
  open(path_);
  struct stat status;
  ASSERT_EQ(::stat(path_.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0600u);
  EXPECT_EQ(status.st_size, 32);
}

TEST_F(CipherTest, AFileThatIsNoKeyIsLeftAlone) {
  ASSERT_TRUE(files_.write_file_durably(path_, "short"));
  const auto cipher = Cipher::open(files_, random_, path_);
  EXPECT_EQ(cipher.error().code, ErrorCode::kCorruption);
  EXPECT_EQ(files_.read_file(path_).value(), "short");
  EXPECT_FALSE(Cipher::open(files_, random_, directory_ / "missing/storage.key"));
}

}  // namespace
}  // namespace kalamdb::cold
