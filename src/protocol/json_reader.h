// Reading of JSON messages with simdjson, for the sources of this folder only: the parser's objects never leave it.
#pragma once

#include <simdjson.h>

#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace kalamdb::protocol {

inline constexpr size_t kDefaultMaxNesting = 64;

// Parses `text` with the thread's parser; what comes back is valid until the thread's next call. `padding` is how many
// bytes behind the text may be read; with simdjson::SIMDJSON_PADDING of them nothing is copied.
// Errors: kInvalidInput with the reason alone ("nested deeper than 64 levels").
Result<simdjson::dom::element> parse_json(std::string_view text, size_t padding = 0,
                                          size_t max_nesting = kDefaultMaxNesting);
inline Result<simdjson::dom::element> parse_json(const std::string& text, size_t max_nesting = kDefaultMaxNesting) {
  return parse_json(text, text.capacity() - text.size(), max_nesting);
}

// Takes the value of a field that may be there once. Errors: kInvalidInput "duplicate field `name`" and "`name` must be
// a string".
Result<> read_string(std::string_view name, simdjson::dom::element value, std::optional<std::string>& target);
// The same where null stands for an absent value.
Result<> read_nullable_string(std::string_view name, simdjson::dom::element value, std::optional<std::string>& target);

// A position as a JSON number or a decimal string. nullopt if it is neither.
std::optional<int64_t> as_seq(simdjson::dom::element value);

}  // namespace kalamdb::protocol
