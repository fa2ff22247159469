#include "cold/path_template.h"

#include <xxhash.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cstdio>
#include <vector>

namespace kalamdb::cold {
namespace {

constexpr std::string_view kNamespace = "{namespace}";
constexpr std::string_view kTable = "{tableName}";
constexpr std::string_view kUser = "{userId}";

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
      if (part == kNamespace || part == kTable || part == kUser) continue;
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
  if (!path_template.contains(kUser)) return invalid(kKind, "{userId} is required");
  // Those that are there must be in this order.
  constexpr std::array kOrder = {kNamespace, kTable, kUser};
  for (size_t i = 0; i < kOrder.size(); ++i) {
    for (size_t j = i + 1; j < kOrder.size(); ++j) {
      const size_t first = path_template.find(kOrder[i]);
      const size_t second = path_template.find(kOrder[j]);
      if (first != std::string_view::npos && second < first) {
        return invalid(kKind, std::string(kOrder[i]) + " must appear before " + std::string(kOrder[j]));
      }
    }
  }
  return validate_path(kKind, path_template);
}

Result<std::string> resolve_path(std::string_view path_template, const PathNames& names) {
  std::string path;
  for (const std::string_view part : split(path_template)) {
    if (!part.starts_with('{')) {
      path += part;
    } else if (part == kNamespace || part == "{namespace_id}" || part == "{namespaceId}" || part == "{namespace-id}") {
      path += names.namespace_id;
    } else if (part == kTable || part == "{table_name}" || part == "{table-id}") {
      path += names.table_name;
    } else if (part == kUser || part == "{user_id}" || part == "{user-id}") {
      path += path_component(names.user);
    } else {
      return fail(ErrorCode::kInvalidInput, "The path template has the unknown placeholder " + std::string(part));
    }
  }
  return path;
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
