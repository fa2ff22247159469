#include "cold/checksum.h"

#include <openssl/evp.h>
#include <xxhash.h>

#include "base/assert.h"
#include "base/bytes.h"

namespace kalamdb::cold {

void append_checksum(std::string& record) {
  append_little_endian<uint64_t>(record, XXH3_64bits(record.data(), record.size()));
}

std::optional<std::string_view> check_and_strip(std::string_view record) {
  if (record.size() < sizeof(uint64_t)) return std::nullopt;
  const std::string_view body = record.substr(0, record.size() - sizeof(uint64_t));
  if (read_little_endian<uint64_t>(body.data() + body.size()) != XXH3_64bits(body.data(), body.size())) {
    return std::nullopt;
  }
  return body;
}

struct Sha256::Impl {
  std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context{EVP_MD_CTX_new(), EVP_MD_CTX_free};
};

Sha256::Sha256() : impl_(std::make_unique<Impl>()) {
  KALAM_ASSERT(EVP_DigestInit_ex(impl_->context.get(), EVP_sha256(), nullptr) == 1);
}
Sha256::~Sha256() = default;

void Sha256::add(std::string_view bytes) {
  KALAM_ASSERT(EVP_DigestUpdate(impl_->context.get(), bytes.data(), bytes.size()) == 1);
}

std::string Sha256::hex() {
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned int length = 0;
  KALAM_ASSERT(EVP_DigestFinal_ex(impl_->context.get(), digest, &length) == 1);
  constexpr char kDigits[] = "0123456789abcdef";
  std::string out;
  for (unsigned int i = 0; i < length; ++i) {
    out.push_back(kDigits[digest[i] >> 4]);
    out.push_back(kDigits[digest[i] & 15]);
  }
  return out;
}

}  // namespace kalamdb::cold
