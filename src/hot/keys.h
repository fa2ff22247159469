// Keys of the hot store as bytes, and ranges over them. The layout is described in hot/store.h.
//
// A user id is escaped (0x00 as 0x00 0xFF) and ended by 0x00 0x00, so that no user's prefix is a prefix of another's
// and users sort as their bytes do.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/ids.h"

namespace kalamdb::hot {

enum class RecordSpace : uint8_t;

// What every row and change of a table starts with.
std::string table_prefix(TableId table);
// What every row and change of one user in a table starts with; the scope. `user` is empty for SHARED tables.
std::string scope_prefix(TableId table, const UserId& user);
// What scope_prefix() has behind the table's prefix, and a primary key: what sorts rows of several users.
std::string user_key(const UserId& user, std::string_view key);
// What records of one shard of a USER table's users start with: no user's scope prefix.
std::string shard_prefix(TableId table, uint32_t shard);
std::string row_key(TableId table, const UserId& user, std::string_view key);
std::string change_key(TableId table, const UserId& user, Seq seq);
std::string record_key(RecordSpace space, std::string_view key);

// The length of the scope prefix at the front of a row or change key; 0 if `stored_key` has none.
size_t scope_prefix_length(std::string_view stored_key);
// The user in the scope prefix at the front of `stored_key`; nullopt if it has none.
std::optional<UserId> scope_user(std::string_view stored_key);

// The smallest string that is greater than every string that starts with `prefix`; empty if there is none.
std::string prefix_end(std::string_view prefix);
// The smallest string greater than `key`.
std::string successor(std::string_view key);

}  // namespace kalamdb::hot
