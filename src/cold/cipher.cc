#include "cold/cipher.h"

#include <openssl/evp.h>

#include <algorithm>
#include <memory>

#include "base/assert.h"

namespace kalamdb::cold {
namespace {

// Sealed: version, nonce, encrypted bytes, tag.
constexpr char kVersion = 1;
constexpr size_t kNonceBytes = 12;
constexpr size_t kTagBytes = 16;

using Context = std::unique_ptr<EVP_CIPHER_CTX, decltype(&EVP_CIPHER_CTX_free)>;

const uint8_t* data(std::string_view text) { return reinterpret_cast<const uint8_t*>(text.data()); }
uint8_t* data(std::string& text, size_t at) { return reinterpret_cast<uint8_t*>(text.data() + at); }
int length(std::string_view text) { return static_cast<int>(text.size()); }

}  // namespace

Result<Cipher> Cipher::open(platform::FileSystem& files, platform::Random& random, const std::string& path) {
  Key key;
  if (!files.exists(path)) {
    random.fill(key);
    const std::string_view bytes(reinterpret_cast<const char*>(key.data()), key.size());
    KALAM_CHECK(files.write_file_durably(path, bytes, 0600));
  } else {
    KALAM_TRY(const auto bytes, files.read_file(path));
    if (bytes.size() != key.size()) {
      return fail(ErrorCode::kCorruption, "The key file " + path + " has " + std::to_string(bytes.size()) +
                                              " bytes instead of 32; restore it from a backup");
    }
    std::ranges::copy(bytes, key.begin());
  }
  return Cipher(key, random);
}

std::string Cipher::encrypt(std::string_view plain, std::string_view context) const {
  std::array<uint8_t, kNonceBytes> nonce;
  random_->fill(nonce);
  std::string sealed(1, kVersion);
  sealed.append(reinterpret_cast<const char*>(nonce.data()), nonce.size());
  const size_t begin = sealed.size();
  sealed.resize(begin + plain.size() + kTagBytes);
  const Context aes(EVP_CIPHER_CTX_new(), EVP_CIPHER_CTX_free);
  int done = 0;
  const bool ok = EVP_EncryptInit_ex(aes.get(), EVP_aes_256_gcm(), nullptr, key_.data(), nonce.data()) == 1 &&
                  EVP_EncryptUpdate(aes.get(), nullptr, &done, data(context), length(context)) == 1 &&
                  EVP_EncryptUpdate(aes.get(), data(sealed, begin), &done, data(plain), length(plain)) == 1 &&
                  EVP_EncryptFinal_ex(aes.get(), data(sealed, begin + plain.size()), &done) == 1 &&
                  EVP_CIPHER_CTX_ctrl(aes.get(), EVP_CTRL_GCM_GET_TAG, static_cast<int>(kTagBytes),
                                      data(sealed, begin + plain.size())) == 1;
  KALAM_ASSERT(ok);  // fails only without memory
  return sealed;
}

Result<std::string> Cipher::decrypt(std::string_view sealed, std::string_view context) const {
  const auto refused = [] {
    return fail(ErrorCode::kCorruption,
                "The encrypted credentials were changed or encrypted with another key file; set them again");
  };
  if (sealed.size() < 1 + kNonceBytes + kTagBytes || sealed.front() != kVersion) return refused();
  const std::string_view nonce = sealed.substr(1, kNonceBytes);
  std::string tag(sealed.substr(sealed.size() - kTagBytes));
  sealed = sealed.substr(1 + kNonceBytes, sealed.size() - 1 - kNonceBytes - kTagBytes);
  std::string plain(sealed.size() + 1, '\0');  // one more, so that there is an address of what is empty
  const Context aes(EVP_CIPHER_CTX_new(), EVP_CIPHER_CTX_free);
  int done = 0;
  const bool ok =
      EVP_DecryptInit_ex(aes.get(), EVP_aes_256_gcm(), nullptr, key_.data(), data(nonce)) == 1 &&
      EVP_DecryptUpdate(aes.get(), nullptr, &done, data(context), length(context)) == 1 &&
      EVP_DecryptUpdate(aes.get(), data(plain, 0), &done, data(sealed), length(sealed)) == 1 &&
      EVP_CIPHER_CTX_ctrl(aes.get(), EVP_CTRL_GCM_SET_TAG, static_cast<int>(kTagBytes), data(tag, 0)) == 1 &&
      EVP_DecryptFinal_ex(aes.get(), data(plain, sealed.size()), &done) == 1;
  if (!ok) return refused();
  plain.pop_back();
  return plain;
}

}  // namespace kalamdb::cold
