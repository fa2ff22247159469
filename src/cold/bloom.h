// A Bloom filter over the encoded primary keys of a segment: "is this key perhaps here?" without opening the file.
//
// Split into blocks of 512 bits, one cache line for each key (Putze, Sanders, Singler: Cache-, Hash- and
// Space-Efficient Bloom Filters). About 10 bits and 6 probes a key give false positives for one absent key in a
// hundred. The record is [u8 format = 1][blocks of 64 bytes][XXH3 of everything before, u64].
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "base/result.h"

namespace kalamdb::cold {

// Immutable; reading it from several threads is safe.
class BloomFilter {
 public:
  static BloomFilter build(std::span<const std::string> keys);
  // Errors: kCorruption.
  static Result<BloomFilter> decode(std::string record);

  // False: the key is certainly not there.
  bool may_contain(std::string_view key) const;
  const std::string& record() const { return record_; }

 private:
  explicit BloomFilter(std::string record) : record_(std::move(record)) {}
  uint64_t block_count() const;

  std::string record_;
};

}  // namespace kalamdb::cold
