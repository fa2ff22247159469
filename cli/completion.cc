#include "cli/completion.h"

#include <strings.h>

#include <algorithm>
#include <cctype>

namespace kalamdb::cli {

std::vector<std::string> complete_word(std::string_view prefix, const std::vector<std::string>& words) {
  std::vector<std::string> found;
  const bool lower = std::any_of(prefix.begin(), prefix.end(), [](unsigned char c) { return std::islower(c) != 0; });
  for (const std::string& word : words) {
    if (word.size() <= prefix.size()) continue;
    const bool keyword = std::isupper(static_cast<unsigned char>(word.front())) != 0;
    if (keyword ? strncasecmp(word.c_str(), prefix.data(), prefix.size()) != 0 : !word.starts_with(prefix)) continue;
    std::string candidate = word;
    if (keyword && lower) {
      for (char& c : candidate) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    }
    found.push_back(std::move(candidate));
  }
  std::sort(found.begin(), found.end());
  found.erase(std::unique(found.begin(), found.end()), found.end());
  return found;
}

std::string common_prefix(const std::vector<std::string>& candidates) {
  if (candidates.empty()) return {};
  std::string prefix = candidates.front();
  for (const std::string& candidate : candidates) {
    size_t same = 0;
    while (same < prefix.size() && same < candidate.size() && prefix[same] == candidate[same]) ++same;
    prefix.resize(same);
  }
  return prefix;
}

std::vector<std::string> static_words() {
  return {"SELECT",
          "FROM",
          "WHERE",
          "GROUP BY",
          "ORDER BY",
          "LIMIT",
          "OFFSET",
          "INSERT INTO",
          "VALUES",
          "UPDATE",
          "SET",
          "DELETE FROM",
          "CREATE",
          "TABLE",
          "USER",
          "SHARED",
          "STREAM",
          "NAMESPACE",
          "ALTER",
          "DROP",
          "PRIMARY KEY",
          "NOT NULL",
          "DEFAULT",
          "IF NOT EXISTS",
          "JOIN",
          "LEFT JOIN",
          "DISTINCT",
          "UNION",
          "HAVING",
          "ON CONFLICT",
          "DO NOTHING",
          "RETURNING",
          "BEGIN",
          "COMMIT",
          "ROLLBACK",
          "EXPLAIN",
          "DESCRIBE",
          "SHOW",
          "TABLES",
          "NAMESPACES",
          "SUBSCRIBE TO",
          "EXECUTE AS USER",
          "STORAGE FLUSH TABLE",
          "STORAGE FLUSH ALL",
          "STORAGE COMPACT TABLE",
          "COUNT",
          "BETWEEN",
          "LIKE",
          "TIMESTAMP",
          "BIGINT",
          "BOOLEAN",
          "DOUBLE",
          "INTEGER",
          "\\as",
          "\\c",
          "\\credentials",
          "\\d",
          "\\delete-credentials",
          "\\dn",
          "\\dt",
          "\\du",
          "\\flush",
          "\\format",
          "\\health",
          "\\help",
          "\\history",
          "\\i",
          "\\info",
          "\\quit",
          "\\refresh",
          "\\sessions",
          "\\stats",
          "\\subscribe",
          "\\update-credentials",
          "\\x"};
}

}  // namespace kalamdb::cli
