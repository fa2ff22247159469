// Where segments lie below a storage's base directory: templates such as "{namespace}/{tableName}/{userId}".
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/ids.h"
#include "base/result.h"

namespace kalamdb::cold {

inline constexpr std::string_view kDefaultSharedTemplate = "{namespace}/{tableName}";
inline constexpr std::string_view kDefaultUserTemplate = "{namespace}/{tableName}/{userId}";

// Whether a template may be used: its placeholders are there and in order, and nothing in it leads out of the base
// directory. Errors: kInvalidInput with the rule that it breaks.
Result<> validate_shared_template(std::string_view path_template);
Result<> validate_user_template(std::string_view path_template);

// A valid template, or one spelled in a legacy way, in two: what is one for a table, up to its component with
// {tableName}, and what is filled in for each user ("" where nothing is left). No component with {userId} or {shard} is
// in the first.
struct SplitTemplate {
  std::string table;
  std::string rest;
};
SplitTemplate split_at_table(std::string_view path_template);

inline constexpr uint32_t kDefaultUserShards = 8;

// What the placeholders stand for.
struct PathNames {
  std::string namespace_id;
  std::string table_name;
  UserId user;                                // empty for SHARED tables and for shards
  uint32_t user_shards = kDefaultUserShards;  // how many values {shard} has, at least 1
  std::optional<uint32_t> shard;              // of segments that its users share; {userId} is then "shard-N"
};

// Whether a USER table's template gives each user a place of its own; otherwise users of one shard share segments.
bool names_user(std::string_view path_template);

// Fills in a valid template, spelled in the canonical or a legacy way ({table_name}, {user-id}, …). {shard} is nothing
// for SHARED tables, and components that are nothing are left out. Errors: kInvalidInput for an unknown placeholder.
Result<std::string> resolve_path(std::string_view path_template, const PathNames& names);

// The shard that a user's rows lie in, of so many: less than `shards`, and the same for all time.
uint32_t user_shard(const UserId& user, uint32_t shards);

// A user id as one path component: letters, digits, '-', '_' and '@' stay, '.' too but for the first character, every
// other byte becomes %XX, and a long one ends in a hash. Two users never get the same component.
std::string path_component(const UserId& user);

}  // namespace kalamdb::cold
