// SQL text as KalamDB's users write it, turned into what DuckDB's parser takes for the same. For the other files of
// this folder only.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace kalamdb::duck {

// The operators that stand for JSON's -> and ->> in a translated text: DuckDB binds its own more loosely than AND, so
// that they would take the rest of a condition for their key.
inline constexpr const char* kJsonArrow = "@->";
inline constexpr const char* kJsonTextArrow = "@->>";

// Replaces
// - X'DEAD', which DuckDB reads as the text xDEAD, by a BLOB constant;
// - -> and ->> by kJsonArrow and kJsonTextArrow, but the -> of a lambda as second argument of list_transform() and the
//   like or first of COLUMNS();
// - names of KalamDB's types in casts (::, CAST, TRY_CAST, DATETIME '…') by DuckDB's, with the meaning that they have
// for
//   columns: BYTES, JSONB, CLOB, FILE, TINYINT, MEDIUMINT, DATETIME, EMBEDDING(n), DECIMAL without numbers.
// Errors: those of tokenize(); kInvalidSql for an X'…' that is not hexadecimal.
Result<std::string> translate(std::string_view sql);

}  // namespace kalamdb::duck
