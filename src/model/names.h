// What namespaces, tables, columns, users and storages may be called. Every function refuses with kInvalidOperation and
// a sentence that clients of earlier versions know.
#pragma once

#include <span>
#include <string_view>

#include "base/result.h"
#include "model/table.h"

namespace kalamdb::model {

inline constexpr size_t kMaxNameLength = 64;
inline constexpr size_t kMaxUserIdLength = 128;

// In upper or lower case; the name is stored in lower case. Reserved words are refused, quoted or not.
Result<> validate_namespace_name(std::string_view name);
Result<> validate_table_name(std::string_view name);
// A reserved word may be a column's name if it is written in quotes.
Result<> validate_column_name(std::string_view name, bool quoted);
// Refuses two columns whose names differ in letter case only.
Result<> validate_distinct_columns(std::span<const ColumnDefinition> columns);

// User ids are case-sensitive and may hold anything that can't leave a folder of its name.
Result<> validate_user_id(std::string_view id);
Result<> validate_storage_id(std::string_view id);

bool is_reserved_namespace(std::string_view name);
// In any letter case.
bool is_reserved_word(std::string_view word);
// True for names of system columns, present and possible: "_seq", "_version", … in any letter case.
bool is_reserved_column(std::string_view name);

}  // namespace kalamdb::model
