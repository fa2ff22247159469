#include "model/names.h"

#include <algorithm>
#include <array>
#include <string>
#include <unordered_set>

namespace kalamdb::model {
namespace {

constexpr std::array<std::string_view, 13> kReservedNamespaces = {
    "system",
    "sys",
    "root",
    "kalamdb",
    "kalam",
    "main",
    "default",
    "sql",
    "admin",
    "internal",
    "information_schema",
    "pg_catalog",
    "datafusion",
};

constexpr std::array<std::string_view, 11> kReservedColumns = {
    "_seq", "_deleted", "_id", "_row_id", "_rowid", "_key", "_updated", "_created", "_timestamp", "_version", "_hash",
};

// The words that the SQL parser does not take for a name without quotes, and those that would only confuse.
constexpr std::string_view kReservedWords[] = {
    "all",       "alter",        "analyse",     "analyze",    "and",         "anti",       "any",     "array",
    "as",        "asc",          "asof",        "asymmetric", "both",        "case",       "cast",    "check",
    "collate",   "column",       "constraint",  "create",     "cross",       "database",   "default", "deferrable",
    "delete",    "desc",         "describe",    "distinct",   "do",          "drop",       "else",    "end",
    "except",    "explain",      "false",       "fetch",      "for",         "foreign",    "from",    "full",
    "glob",      "grant",        "group",       "having",     "ilike",       "in",         "index",   "initially",
    "inner",     "insert",       "intersect",   "into",       "is",          "isnull",     "join",    "lambda",
    "lateral",   "leading",      "left",        "like",       "limit",       "natural",    "not",     "notnull",
    "null",      "offset",       "on",          "only",       "or",          "order",      "outer",   "overlaps",
    "pivot",     "pivot_longer", "pivot_wider", "placing",    "positional",  "primary",    "qualify", "references",
    "returning", "right",        "schema",      "select",     "semi",        "show",       "similar", "some",
    "summarize", "symmetric",    "table",       "tables",     "tablesample", "tablespace", "then",    "to",
    "trailing",  "true",         "union",       "unique",     "unpivot",     "update",     "using",   "variadic",
    "view",      "when",         "where",       "window",     "with",
};
static_assert(std::ranges::is_sorted(kReservedWords));

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; }

std::string to_lower(std::string_view text) {
  std::string out(text);
  std::ranges::transform(out, out.begin(), lower);
  return out;
}

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_letter(char c) { return lower(c) >= 'a' && lower(c) <= 'z'; }

std::unexpected<Error> refuse(std::string message) { return fail(ErrorCode::kInvalidOperation, std::move(message)); }

std::string quote(std::string_view name) { return "'" + std::string(name) + "'"; }

Result<> validate_form(std::string_view name) {
  if (name.empty()) return refuse("Name cannot be empty");
  if (name.size() > kMaxNameLength) {
    return refuse("Name is too long (" + std::to_string(name.size()) + " characters, max " +
                  std::to_string(kMaxNameLength) + ")");
  }
  if (name[0] == '_') return refuse("Name cannot start with underscore (reserved for system columns)");
  if (is_digit(name[0])) return refuse("Name cannot start with a number");
  if (name.find(' ') != std::string_view::npos) return refuse("Name cannot contain spaces");
  if (!std::ranges::all_of(name, [](char c) { return is_letter(c) || is_digit(c) || c == '_'; })) {
    return refuse("Name " + quote(name) + " contains invalid characters (only alphanumeric and underscore allowed)");
  }
  return {};
}

Result<> refuse_reserved_word(std::string_view name) {
  if (!is_reserved_word(name)) return {};
  return refuse("Name " + quote(name) + " is a reserved SQL keyword and cannot be used");
}

}  // namespace

bool is_reserved_namespace(std::string_view name) {
  return std::ranges::find(kReservedNamespaces, to_lower(name)) != kReservedNamespaces.end();
}

bool is_reserved_word(std::string_view word) {
  return std::ranges::binary_search(kReservedWords, std::string_view(to_lower(word)));
}

bool is_reserved_column(std::string_view name) {
  return std::ranges::find(kReservedColumns, to_lower(name)) != kReservedColumns.end();
}

Result<> validate_namespace_name(std::string_view name) {
  // Before the rules for names: `default` is a reserved word as well.
  if (is_reserved_namespace(name)) return refuse("Namespace " + quote(name) + " is reserved and cannot be used");
  KALAM_CHECK(validate_form(name));
  return refuse_reserved_word(name);
}

Result<> validate_table_name(std::string_view name) {
  KALAM_CHECK(validate_form(name));
  return refuse_reserved_word(name);
}

Result<> validate_column_name(std::string_view name, bool quoted) {
  if (is_reserved_column(name)) return refuse("Column name " + quote(name) + " is reserved and cannot be used");
  KALAM_CHECK(validate_form(name));
  if (quoted) return {};
  return refuse_reserved_word(name);
}

Result<> validate_distinct_columns(std::span<const ColumnDefinition> columns) {
  std::unordered_set<std::string> seen;
  for (const ColumnDefinition& column : columns) {
    if (!seen.insert(to_lower(column.name)).second) {
      return refuse("Duplicate column name " + quote(column.name) + ". Column names are case-insensitive.");
    }
  }
  return {};
}

Result<> validate_user_id(std::string_view id) {
  if (id.empty()) return refuse("User id cannot be empty");
  if (id.size() > kMaxUserIdLength) {
    return refuse("User id is too long (" + std::to_string(id.size()) + " bytes, max " +
                  std::to_string(kMaxUserIdLength) + ")");
  }
  if (id.find("..") != std::string_view::npos) return refuse("User id cannot contain '..'");
  if (id.find_first_of("/\\") != std::string_view::npos) return refuse("User id cannot contain '/' or '\\'");
  if (id.find('\0') != std::string_view::npos) return refuse("User id cannot contain a NUL character");
  return {};
}

Result<> validate_storage_id(std::string_view id) {
  if (id.empty()) return refuse("Storage id cannot be empty");
  bool valid = std::ranges::all_of(id, [](char c) { return is_letter(c) || is_digit(c) || c == '_' || c == '-'; });
  if (valid) return {};
  return refuse("Storage id " + quote(id) + " contains invalid characters (only letters, digits, '_' and '-' allowed)");
}

}  // namespace kalamdb::model
