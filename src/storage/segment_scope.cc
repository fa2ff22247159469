#include "storage/segment_scope.h"

#include <algorithm>
#include <map>

#include "base/bytes.h"
#include "cold/path_template.h"
#include "hot/keys.h"

namespace kalamdb::storage {

SegmentScope shard_scope(TableId table, uint32_t shard) {
  return {.key = hot::shard_prefix(table, shard), .user = {}, .shard = shard};
}

SegmentScope segment_scope(const model::TableDefinition& table, const UserId& user) {
  if (table.options.shares_segments) {
    return shard_scope(table.id, cold::user_shard(user, table.options.user_shards));
  }
  return {.key = hot::scope_prefix(table.id, user), .user = user, .shard = std::nullopt};
}

std::optional<SegmentScope> scope_of_key(std::string_view record_key) {
  if (auto user = hot::scope_user(record_key)) {
    return SegmentScope{std::string(record_key.substr(0, hot::scope_prefix_length(record_key))), *std::move(user), {}};
  }
  const size_t length = hot::shard_prefix(TableId(), 0).size();
  if (record_key.size() < length) return std::nullopt;
  const SegmentScope scope = shard_scope(TableId(read_big_endian<uint32_t>(record_key.data())),
                                         read_big_endian<uint32_t>(record_key.data() + length - sizeof(uint32_t)));
  if (!record_key.starts_with(scope.key)) return std::nullopt;
  return scope;
}

std::string segment_key(const model::TableDefinition& table, const UserId& user, std::string_view key) {
  return table.options.shares_segments ? hot::user_key(user, key) : std::string(key);
}

std::vector<ScopeUsers> by_scope(const model::TableDefinition& table, const std::vector<UserId>& users) {
  std::map<std::string, ScopeUsers> scopes;
  for (const UserId& user : users) {
    SegmentScope scope = segment_scope(table, user);
    ScopeUsers& of = scopes[scope.key];
    of.scope = std::move(scope);
    of.users.push_back(user);
  }
  std::vector<ScopeUsers> all;
  for (auto& [key, one] : scopes) {
    std::ranges::sort(one.users, {}, &UserId::value);
    all.push_back(std::move(one));
  }
  return all;
}

}  // namespace kalamdb::storage
