// A set of row positions within a segment: what a deletion vector is made of. Wraps a Roaring bitmap.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace kalamdb {

// Positions begin ≤ position < end of a segment.
struct PositionRange {
  uint32_t begin = 0;
  uint32_t end = 0;

  bool empty() const { return begin == end; }
  uint32_t size() const { return end - begin; }
  bool operator==(const PositionRange&) const = default;
};

// Copying copies the bitmap. Reading from several threads is safe while nobody writes.
class PositionSet {
 public:
  PositionSet();
  PositionSet(const PositionSet& other);
  PositionSet& operator=(const PositionSet& other);
  PositionSet(PositionSet&&) noexcept;
  PositionSet& operator=(PositionSet&&) noexcept;
  ~PositionSet();

  void add(uint32_t position);
  void add(PositionRange range);
  bool contains(uint32_t position) const;
  // True if any position in [begin, end) is in the set.
  bool intersects(uint32_t begin, uint32_t end) const { return count(begin, end) > 0; }
  // How many positions in [begin, end) are.
  uint64_t count(uint32_t begin, uint32_t end) const;
  // Appends the positions in [begin, end), ascending.
  void append_range(uint32_t begin, uint32_t end, std::vector<uint32_t>& out) const;
  // Those that are not in `other`, ascending.
  std::vector<uint32_t> minus(const PositionSet& other) const;
  uint64_t size() const;
  bool empty() const { return size() == 0; }

  // The portable Roaring serialisation (https://github.com/RoaringBitmap/RoaringFormatSpec).
  std::string encode() const;
  // Errors: kCorruption.
  static Result<PositionSet> decode(std::string_view bytes);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace kalamdb
