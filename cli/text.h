// Small helpers for text: display width, JSON strings, SQL literals.
#pragma once

#include <string>
#include <string_view>

namespace kalamdb::cli {

// Columns that `text` (UTF-8) takes on a terminal. Needs a UTF-8 locale (use_utf8_locale). Bytes that are not UTF-8
// count one each.
size_t display_width(std::string_view text);

// Makes the C library count characters as UTF-8 even where the environment names no such locale.
void use_utf8_locale();

// Appends `text` with control characters written as \n, \t or \x1b, so that no value can command the terminal.
void append_printable(std::string& out, std::string_view text);

// Appends `text` as a JSON string with its quotes.
void append_json_string(std::string& out, std::string_view text);

// Appends `text` as an SQL string literal: quoted, with quotes inside doubled.
void append_sql_string(std::string& out, std::string_view text);

// Appends `name` as a quoted SQL identifier.
void append_sql_identifier(std::string& out, std::string_view name);

// `json` indented by two spaces a level; every number and string keeps its text. Expects valid JSON.
std::string pretty_json(std::string_view json);

// Base64url without padding, as in JWTs; an empty string for text that is not it.
std::string decode_base64url(std::string_view text);

}  // namespace kalamdb::cli
