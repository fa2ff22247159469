#include "cold/segment_users.h"

#include <algorithm>

#include "base/assert.h"
#include "cold/checksum.h"
#include "cold/record_reader.h"

namespace kalamdb::cold {

void SegmentUsers::add_row(const UserId& user) {
  if (users_.empty() || users_.back().user != user) {
    KALAM_ASSERT(users_.empty() || users_.back().user.value < user.value);
    users_.push_back({user, row_count_});
  }
  ++row_count_;
}

PositionRange SegmentUsers::range(size_t index) const {
  return {users_[index].first, index + 1 < users_.size() ? users_[index + 1].first : row_count_};
}

PositionRange SegmentUsers::range_of(const UserId& user) const {
  const auto found = std::ranges::lower_bound(users_, user.value, {}, [](const User& one) { return one.user.value; });
  if (found == users_.end() || found->user != user) return {};
  return range(static_cast<size_t>(found - users_.begin()));
}

const UserId* SegmentUsers::user_at(uint32_t position) const {
  if (position >= row_count_) return nullptr;
  return &std::prev(std::ranges::upper_bound(users_, position, {}, &User::first))->user;
}

size_t SegmentUsers::memory_bytes() const {
  size_t bytes = users_.capacity() * sizeof(User);
  for (const User& one : users_) {
    if (one.user.value.capacity() > std::string().capacity()) bytes += one.user.value.capacity();
  }
  return bytes;
}

std::string SegmentUsers::encode() const {
  std::string record;
  append_little_endian<uint32_t>(record, row_count_);
  append_little_endian<uint32_t>(record, static_cast<uint32_t>(users_.size()));
  for (const User& one : users_) {
    append_little_endian<uint32_t>(record, one.first);
    append_text(record, one.user.value);
  }
  append_checksum(record);
  return record;
}

Result<SegmentUsers> SegmentUsers::decode(std::string_view record) {
  const auto damaged = [] { return fail(ErrorCode::kCorruption, "The record of a segment's users is damaged"); };
  const auto body = check_and_strip(record);
  if (!body) return damaged();
  RecordReader reader(*body);
  SegmentUsers users;
  users.row_count_ = reader.number<uint32_t>();
  const auto count = reader.number<uint32_t>();
  for (uint32_t i = 0; i < count && reader.ok(); ++i) {
    User next;
    next.first = reader.number<uint32_t>();
    next.user = UserId(reader.text());
    const bool fits = users.users_.empty()
                          ? next.first == 0
                          : users.users_.back().user.value < next.user.value && users.users_.back().first < next.first;
    if (!fits || next.first >= users.row_count_) return damaged();
    users.users_.push_back(std::move(next));
  }
  if (!reader.at_end() || users.users_.empty() != (users.row_count_ == 0)) return damaged();
  return users;
}

}  // namespace kalamdb::cold
