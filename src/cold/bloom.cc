#include "cold/bloom.h"

#include <xxhash.h>

#include <algorithm>

#include "cold/checksum.h"

namespace kalamdb::cold {
namespace {

constexpr char kFormat = 1;
constexpr size_t kHeaderBytes = 1;
constexpr size_t kChecksumBytes = 8;
constexpr size_t kBlockBytes = 64;
constexpr size_t kBitsPerKey = 10;
constexpr int kProbes = 6;

struct Probe {
  uint64_t block;
  uint32_t step;

  // The next bit of the block: a multiplicative walk, whose top 9 bits are the position.
  uint32_t next_bit() {
    const uint32_t bit = step >> 23;
    step *= 0x9E3779B1u;
    return bit;
  }
};

Probe probe_of(std::string_view key, uint64_t block_count) {
  const uint64_t hash = XXH3_64bits(key.data(), key.size());
  // The high half picks the block without a division, the low half the bits within it.
  return {((hash >> 32) * block_count) >> 32, static_cast<uint32_t>(hash)};
}

}  // namespace

uint64_t BloomFilter::block_count() const { return (record_.size() - kHeaderBytes - kChecksumBytes) / kBlockBytes; }

BloomFilter BloomFilter::build(std::span<const std::string> keys) {
  const size_t blocks = std::max<size_t>(1, (keys.size() * kBitsPerKey + kBlockBytes * 8 - 1) / (kBlockBytes * 8));
  std::string record(kHeaderBytes + blocks * kBlockBytes, '\0');
  record[0] = kFormat;
  for (const std::string& key : keys) {
    Probe probe = probe_of(key, blocks);
    char* block = record.data() + kHeaderBytes + probe.block * kBlockBytes;
    for (int i = 0; i < kProbes; ++i) {
      const uint32_t bit = probe.next_bit();
      block[bit / 8] = static_cast<char>(block[bit / 8] | 1 << bit % 8);
    }
  }
  append_checksum(record);
  return BloomFilter(std::move(record));
}

Result<BloomFilter> BloomFilter::decode(std::string record) {
  const auto body = check_and_strip(record);
  if (!body || body->size() < kHeaderBytes + kBlockBytes || (body->size() - kHeaderBytes) % kBlockBytes != 0 ||
      (*body)[0] != kFormat) {
    return fail(ErrorCode::kCorruption, "A stored Bloom filter is damaged");
  }
  return BloomFilter(std::move(record));
}

bool BloomFilter::may_contain(std::string_view key) const {
  Probe probe = probe_of(key, block_count());
  const char* block = record_.data() + kHeaderBytes + probe.block * kBlockBytes;
  for (int i = 0; i < kProbes; ++i) {
    const uint32_t bit = probe.next_bit();
    if ((block[bit / 8] & 1 << bit % 8) == 0) return false;
  }
  return true;
}

}  // namespace kalamdb::cold
