// Primary keys as bytes that sort as the values do.
//
// Each column is encoded so that memcmp order is value order, and columns are concatenated in key order: integers,
// dates and times as big-endian with the sign bit flipped; FLOAT and DOUBLE with IEEE bits flipped to sort; DECIMAL as
// a flipped big-endian 128-bit integer; BOOLEAN and UUID as they are; texts and bytes with 0x00 escaped as 0x00 0xFF
// and ended by 0x00 0x00 (the scheme of CockroachDB and TiDB, docs/decisions/0004).
#pragma once

#include <string>
#include <string_view>

#include "model/table.h"

namespace kalamdb::model {

// Whether columns of the type may be in a primary key: all but EMBEDDING.
bool can_be_key(TypeTag tag);

// Appends one non-NULL key column. -0.0 and 0.0 are one key, and so are all NaNs, which sort last.
void append_key(std::string& out, const ValueView& value, const DataType& type);

// The key of a row whose `values[i]` belongs to `table.columns[i]`. Key columns must not be NULL.
std::string encode_key(const TableDefinition& table, const Row& values);

// Reads one key column from the front of `bytes` and advances it. Errors: kCorruption.
Result<Value> read_key(std::string_view& bytes, const DataType& type);

// The key's values as text, for messages: "42" or "(a, 7)"; "?" where the key is malformed.
std::string key_to_text(const TableDefinition& table, std::string_view key);

}  // namespace kalamdb::model
