// Identifiers that the type system keeps apart.
#pragma once

#include <compare>
#include <cstdint>
#include <functional>
#include <string>
#include <utility>

namespace kalamdb {

// A value of type T that only mixes with others of the same Tag.
template <typename T, typename Tag>
struct NamedType {
  T value{};

  NamedType() = default;
  explicit NamedType(T v) : value(std::move(v)) {}
  auto operator<=>(const NamedType&) const = default;
};

// Commit position and row version: a Snowflake (41 bits of milliseconds since 2024-01-01 UTC, 10 bits of node, 12 bits
// of counter), strictly increasing over the life of a database. 0 means "before everything".
using Seq = int64_t;

// Number of a table, given once and never used again. Tables are stored under it, so a rename moves no row.
using TableId = NamedType<uint32_t, struct TableIdTag>;
// A user's login name, case-sensitive. Empty where rows are common to all (SHARED tables).
using UserId = NamedType<std::string, struct UserIdTag>;

// Milliseconds between the Unix epoch and the Snowflake epoch, 2024-01-01T00:00:00Z.
inline constexpr int64_t kSeqEpochMs = 1704067200000;

// The commit time that a sequence number carries, in microseconds since the Unix epoch (millisecond precision).
inline int64_t seq_time_us(Seq seq) { return ((seq >> 22) + kSeqEpochMs) * 1000; }

}  // namespace kalamdb

template <typename T, typename Tag>
struct std::hash<kalamdb::NamedType<T, Tag>> {
  size_t operator()(const kalamdb::NamedType<T, Tag>& id) const { return std::hash<T>{}(id.value); }
};
