// What one manifest is about: all of a SHARED table, one user in a USER table, or, where users share segments, one
// shard of a USER table's users.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.h"
#include "model/table.h"

namespace kalamdb::storage {

struct SegmentScope {
  std::string key;  // of the manifest's record; those of its segments' records start with it
  UserId user;      // empty for SHARED tables and for shards
  std::optional<uint32_t> shard;
};

// The one that a user's rows are in.
SegmentScope segment_scope(const model::TableDefinition& table, const UserId& user);
SegmentScope shard_scope(TableId table, uint32_t shard);
// Of the key of a record. nullopt if it is none.
std::optional<SegmentScope> scope_of_key(std::string_view record_key);

// What sorts the rows of a scope, in segments too, and tells them apart: the primary key or, where users share
// segments, the user and the primary key.
std::string segment_key(const model::TableDefinition& table, const UserId& user, std::string_view key);

// A scope and whose rows are in it, ascending.
struct ScopeUsers {
  SegmentScope scope;
  std::vector<UserId> users;
};
std::vector<ScopeUsers> by_scope(const model::TableDefinition& table, const std::vector<UserId>& users);

}  // namespace kalamdb::storage
