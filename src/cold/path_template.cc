#include "cold/path_template.h"

#include <xxhash.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cstdio>
#include <vector>

#include "base/assert.h"

namespace kalamdb::cold {
namespace {

constexpr std::string_view kNamespace = "{namespace}";
constexpr std::string_view kTable = "{tableName}";
constexpr std::string_view kShard = "{shard}";
constexpr std::string_view kUser = "{userId}";

// In the canonical or a legacy spelling.
bool is_namespace(std::string_view part) {
  return part == kNamespace || part == "{namespace_id}" || part == "{namespaceId}" || part == "{namespace-id}";
}
bool is_table(std::string_view part) { return part == kTable || part == "{table_name}" || part == "{table-id}"; }
bool is_shard(std::string_view part) { return part == kShard || part == "{shard_id}" || part == "{shard-id}"; }
bool is_user(std::string_view part) { return part == kUser || part == "{user_id}" || part == "{user-id}"; }

// File systems end names at 255 bytes; a file name's worth of room stays for what tools append.
constexpr size_t kMaxComponentBytes = 200;

std::unexpected<Error> invalid(std::string_view kind, std::string_view rule) {
  return fail(ErrorCode::kInvalidInput, std::string(kind) + " table template: " + std::string(rule));
}

// Splits into literal parts and "{…}" parts. An unmatched brace comes out as a placeholder that nobody knows.
std::vector<std::string_view> split(std::string_view text) {
  std::vector<std::string_view> parts;
  while (!text.empty()) {
    size_t length = text.find('{');
    if (length == 0) length = std::min(text.find('}'), text.size() - 1) + 1;
    parts.push_back(text.substr(0, length));
    text.remove_prefix(parts.back().size());
  }
  return parts;
}

bool is_safe(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) != 0 || std::string_view("-_./").contains(c);
}

// What holds for the template whatever its placeholders are.
Result<> validate_path(std::string_view kind, std::string_view text) {
  if (text.starts_with('/') || text.ends_with('/') || text.contains("//")) {
    return invalid(kind, "the path must be relative and without empty parts");
  }
  for (const std::string_view part : split(text)) {
    if (part.starts_with('{')) {
      if (part == kNamespace || part == kTable || part == kShard || part == kUser) continue;
      return invalid(kind, "unknown placeholder " + std::string(part));
    }
    if (!std::ranges::all_of(part, is_safe)) {
      return invalid(kind, "only letters, digits, '-', '_', '.' and '/' are allowed beside placeholders");
    }
  }
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = std::min(text.find('/', begin), text.size());
    if (text[begin] == '.') return invalid(kind, "no part of the path may start with '.'");
    begin = end + 1;
  }
  return {};
}

}  // namespace

Result<> validate_shared_template(std::string_view path_template) {
  constexpr std::string_view kKind = "Shared";
  const size_t namespace_at = path_template.find(kNamespace);
  const size_t table_at = path_template.find(kTable);
  constexpr auto kMissing = std::string_view::npos;
  if (namespace_at == kMissing && table_at == kMissing) {
    return invalid(kKind, "Both {namespace} and {tableName} are required");
  }
  if (namespace_at == kMissing) return invalid(kKind, "{namespace} is required");
  if (table_at == kMissing) return invalid(kKind, "{tableName} is required");
  if (table_at < namespace_at) return invalid(kKind, "{namespace} must appear before {tableName}");
  if (path_template.contains(kUser)) return invalid(kKind, "{userId} is not allowed");
  return validate_path(kKind, path_template);
}

Result<> validate_user_template(std::string_view path_template) {
  constexpr std::string_view kKind = "User";
  if (!path_template.contains(kUser) && !path_template.contains(kShard)) {
    return invalid(kKind, "{userId} is required, or {shard} where users share segments");
  }
  // Those that are there must be in this order.
  constexpr std::array kOrder = {kNamespace, kTable, kShard, kUser};
  for (size_t i = 0; i < kOrder.size(); ++i) {
    for (size_t j = i + 1; j < kOrder.size(); ++j) {
      const size_t first = path_template.find(kOrder[i]);
      const size_t second = path_template.find(kOrder[j]);
      if (first != std::string_view::npos && second < first) {
        return invalid(kKind, std::string(kOrder[i]) + " must appear before " + std::string(kOrder[j]));
      }
    }
  }
  KALAM_CHECK(validate_path(kKind, path_template));
  if (split_at_table(path_template).table.empty()) {
    return invalid(kKind, "the first part of the path may not have {userId} or {shard}");
  }
  return {};
}

SplitTemplate split_at_table(std::string_view path_template) {
  size_t begin = 0;
  for (bool has_table = false; !has_table && begin < path_template.size();) {
    const size_t end = std::min(path_template.find('/', begin), path_template.size());
    const auto parts = split(path_template.substr(begin, end - begin));
    if (std::ranges::any_of(parts, is_user) || std::ranges::any_of(parts, is_shard)) break;
    has_table = std::ranges::any_of(parts, is_table);
    begin = std::min(end + 1, path_template.size());
  }
  std::string_view table = path_template.substr(0, begin);
  if (table.ends_with('/')) table.remove_suffix(1);
  return {std::string(table), std::string(path_template.substr(begin))};
}

bool names_user(std::string_view path_template) { return std::ranges::any_of(split(path_template), is_user); }

Result<std::string> resolve_path(std::string_view path_template, const PathNames& names) {
  std::string path;
  for (const std::string_view part : split(path_template)) {
    if (!part.starts_with('{')) {
      path += part;
    } else if (is_namespace(part)) {
      path += names.namespace_id;
    } else if (is_table(part)) {
      path += names.table_name;
    } else if (is_shard(part)) {
      if (names.shard) {
        path += std::to_string(*names.shard);
      } else if (!names.user.value.empty()) {
        path += std::to_string(user_shard(names.user, names.user_shards));
      }
    } else if (is_user(part)) {
      path += names.shard ? "shard-" + std::to_string(*names.shard) : path_component(names.user);
    } else {
      return fail(ErrorCode::kInvalidInput, "The path template has the unknown placeholder " + std::string(part));
    }
  }
  // A shard of nobody leaves an empty component.
  for (size_t at; (at = path.find("//")) != std::string::npos;) path.erase(at, 1);
  if (path.starts_with('/')) path.erase(0, 1);
  if (path.ends_with('/')) path.pop_back();
  return path;
}

uint32_t user_shard(const UserId& user, uint32_t shards) {
  KALAM_ASSERT(shards > 0);
  return static_cast<uint32_t>(XXH3_64bits(user.value.data(), user.value.size()) % shards);
}

std::string path_component(const UserId& user) {
  std::string out;
  for (const char c : user.value) {
    const bool keep = std::isalnum(static_cast<unsigned char>(c)) != 0 || std::string_view("-_@").contains(c) ||
                      (c == '.' && !out.empty());
    if (keep) {
      out.push_back(c);
    } else {
      std::array<char, 4> escaped;
      std::snprintf(escaped.data(), escaped.size(), "%%%02X", static_cast<unsigned char>(c));
      out.append(escaped.data());
    }
  }
  if (out.size() <= kMaxComponentBytes) return out;
  // '~' is escaped above, so that no short id looks like this.
  const XXH128_hash_t hash = XXH3_128bits(user.value.data(), user.value.size());
  std::array<char, 34> suffix;
  std::snprintf(suffix.data(), suffix.size(), "~%016llx%016llx", static_cast<unsigned long long>(hash.high64),
                static_cast<unsigned long long>(hash.low64));
  out.resize(kMaxComponentBytes - (suffix.size() - 1));
  return out + suffix.data();
}

}  // namespace kalamdb::cold
