#include "cli/import_columns.h"

#include <simdjson.h>
#include <strings.h>

#include <algorithm>
#include <cctype>

#include "cli/text.h"

namespace kalamdb::cli {

namespace {

bool same_word(std::string_view a, std::string_view b) {
  return a.size() == b.size() && strncasecmp(a.data(), b.data(), a.size()) == 0;
}

size_t skip_digits(std::string_view text, size_t at) {
  while (at < text.size() && text[at] >= '0' && text[at] <= '9') ++at;
  return at;
}

}  // namespace

ColumnClass column_class(std::string_view sql_type) {
  std::string type(sql_type.substr(0, sql_type.find('(')));
  std::transform(type.begin(), type.end(), type.begin(), [](unsigned char c) { return std::toupper(c); });
  for (const char* name : {"SMALLINT", "INT", "INTEGER", "BIGINT", "TINYINT", "HUGEINT", "INT2", "INT4", "INT8"}) {
    if (type == name) return ColumnClass::kInteger;
  }
  for (const char* name : {"FLOAT", "REAL", "DOUBLE", "DOUBLE PRECISION", "DECIMAL", "NUMERIC"}) {
    if (type == name) return ColumnClass::kNumber;
  }
  if (type == "BOOLEAN" || type == "BOOL") return ColumnClass::kBoolean;
  if (type == "BYTES" || type == "BLOB" || type == "BYTEA") return ColumnClass::kBytes;
  for (const char* name : {"TIMESTAMP", "DATETIME", "DATE", "TIME"}) {
    if (type.starts_with(name)) return ColumnClass::kTime;
  }
  return ColumnClass::kText;
}

std::optional<size_t> ImportColumns::find(std::string_view name, size_t hint) const {
  if (hint < columns_.size() && columns_[hint].name == name) return hint;
  for (size_t i = 0; i < columns_.size(); ++i) {
    if (columns_[i].name == name) return i;
  }
  for (size_t i = 0; i < columns_.size(); ++i) {
    if (same_word(columns_[i].name, name)) return i;
  }
  return std::nullopt;
}

bool is_integer(std::string_view text) {
  const size_t start = !text.empty() && (text[0] == '-' || text[0] == '+') ? 1 : 0;
  return start < text.size() && skip_digits(text, start) == text.size();
}

bool is_number(std::string_view text) {
  size_t at = !text.empty() && (text[0] == '-' || text[0] == '+') ? 1 : 0;
  const size_t whole = at;
  at = skip_digits(text, at);
  size_t digits = at - whole;
  if (at < text.size() && text[at] == '.') {
    const size_t fraction = ++at;
    at = skip_digits(text, at);
    digits += at - fraction;
  }
  if (digits == 0) return false;
  if (at < text.size() && (text[at] == 'e' || text[at] == 'E')) {
    ++at;
    if (at < text.size() && (text[at] == '-' || text[at] == '+')) ++at;
    const size_t exponent = at;
    at = skip_digits(text, at);
    if (at == exponent) return false;
  }
  return at == text.size();
}

bool append_text_literal(std::string& out, ColumnClass type, std::string_view text) {
  switch (type) {
    case ColumnClass::kInteger:
      if (!is_integer(text)) return false;
      out += text;
      return true;
    case ColumnClass::kNumber:
      if (!is_number(text)) return false;
      out += text;
      return true;
    case ColumnClass::kBoolean:
      for (const char* word : {"true", "t", "1", "yes"}) {
        if (same_word(text, word)) {
          out += "TRUE";
          return true;
        }
      }
      for (const char* word : {"false", "f", "0", "no"}) {
        if (same_word(text, word)) {
          out += "FALSE";
          return true;
        }
      }
      return false;
    default:
      append_sql_string(out, text);
      return true;
  }
}

bool append_number_literal(std::string& out, ColumnClass type, std::string_view number) {
  if (type == ColumnClass::kText) {
    append_sql_string(out, number);  // the number's own spelling
    return true;
  }
  if (type == ColumnClass::kTime) {  // microseconds or days, as results have them
    if (!is_integer(number)) return false;
    out += number;
    return true;
  }
  if (type == ColumnClass::kBoolean || type == ColumnClass::kBytes) return false;
  return append_text_literal(out, type, number);
}

bool append_bytes_literal(std::string& out, std::string_view json_array) {
  constexpr char kHex[] = "0123456789ABCDEF";
  simdjson::dom::parser parser;
  simdjson::dom::array bytes;
  if (parser.parse(std::string(json_array)).get(bytes) != simdjson::SUCCESS) return false;
  std::string literal = "X'";
  for (const simdjson::dom::element byte : bytes) {
    uint64_t value = 0;
    if (byte.get(value) != simdjson::SUCCESS || value > 255) return false;
    literal += kHex[value >> 4];
    literal += kHex[value & 15];
  }
  out += literal + '\'';
  return true;
}

}  // namespace kalamdb::cli
