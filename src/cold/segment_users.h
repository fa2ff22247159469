// Whose rows lie where in a segment that several users share: each user's rows follow one another, users ascend.
//
// The record, see cold/record_reader.h: [u32 rows][u32 users] then for each user [u32 first position][text id], and the
// XXH3 of all of it at the end.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.h"
#include "base/position_set.h"
#include "base/result.h"

namespace kalamdb::cold {

class SegmentUsers {
 public:
  // The next row's user, which is the last one's or a greater one.
  void add_row(const UserId& user);

  uint32_t row_count() const { return row_count_; }
  size_t user_count() const { return users_.size(); }
  const UserId& user(size_t index) const { return users_[index].user; }
  PositionRange range(size_t index) const;
  // Where a user's rows lie; empty where there are none.
  PositionRange range_of(const UserId& user) const;
  // Whose row lies at a position; nullptr if none does.
  const UserId* user_at(uint32_t position) const;
  size_t memory_bytes() const;

  std::string encode() const;
  // Errors: kCorruption.
  static Result<SegmentUsers> decode(std::string_view record);

  bool operator==(const SegmentUsers&) const = default;

 private:
  struct User {
    UserId user;
    uint32_t first = 0;
    bool operator==(const User&) const = default;
  };

  std::vector<User> users_;
  uint32_t row_count_ = 0;
};

}  // namespace kalamdb::cold
