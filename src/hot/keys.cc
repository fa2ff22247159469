#include "hot/keys.h"

#include "base/bytes.h"
#include "hot/store.h"

namespace kalamdb::hot {
namespace {

constexpr size_t kTableBytes = sizeof(uint32_t);

// Behind the table's prefix, in place of a user: in an escaped id 0x00 is followed by 0x00 or 0xFF.
constexpr std::string_view kShardMark("\0\1", 2);

void append_user(std::string& out, const UserId& user) {
  for (const char c : user.value) {
    out.push_back(c);
    if (c == '\0') out.push_back('\xFF');
  }
  out.append(2, '\0');
}

void append_scope(std::string& out, TableId table, const UserId& user) {
  append_big_endian<uint32_t>(out, table.value);
  append_user(out, user);
}

}  // namespace

std::string table_prefix(TableId table) {
  std::string out;
  append_big_endian<uint32_t>(out, table.value);
  return out;
}

std::string scope_prefix(TableId table, const UserId& user) {
  std::string out;
  append_scope(out, table, user);
  return out;
}

std::string user_key(const UserId& user, std::string_view key) {
  std::string out;
  out.reserve(user.value.size() + 2 + key.size());
  append_user(out, user);
  out.append(key);
  return out;
}

std::string shard_prefix(TableId table, uint32_t shard) {
  std::string out = table_prefix(table);
  out.append(kShardMark);
  append_big_endian<uint32_t>(out, shard);
  return out;
}

std::string row_key(TableId table, const UserId& user, std::string_view key) {
  std::string out;
  out.reserve(kTableBytes + user.value.size() + 2 + key.size());
  append_scope(out, table, user);
  out.append(key);
  return out;
}

std::string change_key(TableId table, const UserId& user, Seq seq) {
  std::string out;
  out.reserve(kTableBytes + user.value.size() + 2 + sizeof seq);
  append_scope(out, table, user);
  append_big_endian<uint64_t>(out, static_cast<uint64_t>(seq));
  return out;
}

std::string record_key(RecordSpace space, std::string_view key) {
  std::string out;
  out.reserve(1 + key.size());
  out.push_back(static_cast<char>(space));
  out.append(key);
  return out;
}

size_t scope_prefix_length(std::string_view stored_key) {
  size_t at = kTableBytes;
  while (true) {
    at = stored_key.find('\0', at);
    if (at == std::string_view::npos || at + 1 >= stored_key.size()) return 0;
    if (stored_key[at + 1] == '\0') return at + 2;
    if (stored_key[at + 1] == kShardMark[1]) return 0;
    at += 2;
  }
}

std::optional<UserId> scope_user(std::string_view stored_key) {
  const size_t length = scope_prefix_length(stored_key);
  if (length == 0) return std::nullopt;
  std::string user;
  for (size_t i = kTableBytes; i < length - 2; ++i) {
    user.push_back(stored_key[i]);
    if (stored_key[i] == '\0') ++i;
  }
  return UserId(std::move(user));
}

std::string prefix_end(std::string_view prefix) {
  std::string out(prefix);
  while (!out.empty() && out.back() == '\xFF') out.pop_back();
  if (!out.empty()) out.back() = static_cast<char>(static_cast<unsigned char>(out.back()) + 1);
  return out;
}

std::string successor(std::string_view key) {
  std::string out(key);
  out.push_back('\0');
  return out;
}

}  // namespace kalamdb::hot
