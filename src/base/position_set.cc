#include "base/position_set.h"

#include <roaring/roaring.h>

namespace kalamdb {

struct PositionSet::Impl {
  roaring_bitmap_t* bitmap;
  explicit Impl(roaring_bitmap_t* owned) : bitmap(owned) {}
  ~Impl() { roaring_bitmap_free(bitmap); }
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;
};

PositionSet::PositionSet() : impl_(std::make_unique<Impl>(roaring_bitmap_create())) {}
PositionSet::PositionSet(const PositionSet& other)
    : impl_(std::make_unique<Impl>(roaring_bitmap_copy(other.impl_->bitmap))) {}
PositionSet& PositionSet::operator=(const PositionSet& other) {
  if (this != &other) impl_ = std::make_unique<Impl>(roaring_bitmap_copy(other.impl_->bitmap));
  return *this;
}
PositionSet::PositionSet(PositionSet&&) noexcept = default;
PositionSet& PositionSet::operator=(PositionSet&&) noexcept = default;
PositionSet::~PositionSet() = default;

void PositionSet::add(uint32_t position) { roaring_bitmap_add(impl_->bitmap, position); }
void PositionSet::add(PositionRange range) { roaring_bitmap_add_range(impl_->bitmap, range.begin, range.end); }
bool PositionSet::contains(uint32_t position) const { return roaring_bitmap_contains(impl_->bitmap, position); }
uint64_t PositionSet::count(uint32_t begin, uint32_t end) const {
  return begin < end ? roaring_bitmap_range_cardinality(impl_->bitmap, begin, end) : 0;
}
void PositionSet::append_range(uint32_t begin, uint32_t end, std::vector<uint32_t>& out) const {
  roaring_uint32_iterator_t iterator;
  roaring_init_iterator(impl_->bitmap, &iterator);
  if (!roaring_move_uint32_iterator_equalorlarger(&iterator, begin)) return;
  while (iterator.has_value && iterator.current_value < end) {
    out.push_back(iterator.current_value);
    roaring_advance_uint32_iterator(&iterator);
  }
}
std::vector<uint32_t> PositionSet::minus(const PositionSet& other) const {
  const Impl difference(roaring_bitmap_andnot(impl_->bitmap, other.impl_->bitmap));
  std::vector<uint32_t> positions(roaring_bitmap_get_cardinality(difference.bitmap));
  roaring_bitmap_to_uint32_array(difference.bitmap, positions.data());
  return positions;
}
uint64_t PositionSet::size() const { return roaring_bitmap_get_cardinality(impl_->bitmap); }

std::string PositionSet::encode() const {
  std::string bytes(roaring_bitmap_portable_size_in_bytes(impl_->bitmap), '\0');
  roaring_bitmap_portable_serialize(impl_->bitmap, bytes.data());
  return bytes;
}

Result<PositionSet> PositionSet::decode(std::string_view bytes) {
  roaring_bitmap_t* bitmap = roaring_bitmap_portable_deserialize_safe(bytes.data(), bytes.size());
  if (bitmap == nullptr) return fail(ErrorCode::kCorruption, "A stored deletion vector cannot be read.");
  PositionSet set;
  set.impl_ = std::make_unique<Impl>(bitmap);
  return set;
}

}  // namespace kalamdb
