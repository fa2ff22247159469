// One value as bytes without its type: what a row's slot and the wire form's payload hold. Numbers are little-endian in
// the width of their type (DATE 4 bytes, TIME and timestamps 8), texts and bytes are as they are.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "model/value.h"

namespace kalamdb::model {

// Bytes of every value of the type; nullopt where it depends on the value (texts, JSON, FILE, BYTES).
std::optional<size_t> fixed_size(const DataType& type);
// Bytes of this non-NULL value of `type`.
size_t stored_size(const ValueView& value, const DataType& type);
// Writes stored_size() bytes. Returns the end.
char* store_value(char* out, const ValueView& value, const DataType& type);
// Reads all of `bytes` as one value that borrows from it; false if they are not one of `type`. Not for EMBEDDING,
// whose floats need alignment.
bool load_value(std::string_view bytes, const DataType& type, ValueView& value);
// The same for an EMBEDDING, copied.
std::optional<std::vector<float>> load_vector(std::string_view bytes, const DataType& type);

}  // namespace kalamdb::model
