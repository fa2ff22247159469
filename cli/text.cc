#include "cli/text.h"

#include <fmt/format.h>

#include <clocale>
#include <cstring>
#include <cwchar>

namespace kalamdb::cli {

namespace {

// Decodes the character at the front of `text` into `point` and gives its length; 1 with U+FFFD for a stray byte.
size_t decode_utf8(std::string_view text, char32_t& point) {
  const auto lead = static_cast<unsigned char>(text.front());
  if (lead < 0x80) {
    point = lead;
    return 1;
  }
  const size_t length = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : lead >= 0xC0 ? 2 : 0;
  point = 0xFFFD;
  if (length == 0 || text.size() < length) return 1;
  char32_t value = lead & (0xFF >> (length + 1));
  for (size_t i = 1; i < length; ++i) {
    if ((text[i] & 0xC0) != 0x80) return 1;
    value = (value << 6) | (text[i] & 0x3F);
  }
  point = value;
  return length;
}

}  // namespace

size_t display_width(std::string_view text) {
  size_t width = 0;
  while (!text.empty()) {
    char32_t point = 0;
    text.remove_prefix(decode_utf8(text, point));
    const int columns = point < 0x80 ? 1 : wcwidth(static_cast<wchar_t>(point));
    width += columns < 0 ? 1 : static_cast<size_t>(columns);
  }
  return width;
}

void use_utf8_locale() {
  const char* name = std::setlocale(LC_CTYPE, "");
  if (name != nullptr && std::strlen(name) > 1 && MB_CUR_MAX > 1) return;
  std::setlocale(LC_CTYPE, "C.UTF-8");
}

void append_printable(std::string& out, std::string_view text) {
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    const auto byte = static_cast<unsigned char>(c);
    if (byte >= 0x20 && byte != 0x7F) {
      // U+0080 to U+009F are control characters too: C2 80 to C2 9F in UTF-8.
      if (byte == 0xC2 && i + 1 < text.size() && static_cast<unsigned char>(text[i + 1]) < 0xA0) {
        fmt::format_to(std::back_inserter(out), "\\x{:02x}", static_cast<unsigned char>(text[++i]));
      } else {
        out.push_back(c);
      }
    } else if (c == '\n') {
      out += "\\n";
    } else if (c == '\t') {
      out += "\\t";
    } else if (c == '\r') {
      out += "\\r";
    } else {
      fmt::format_to(std::back_inserter(out), "\\x{:02x}", byte);
    }
  }
}

void append_json_string(std::string& out, std::string_view text) {
  out.push_back('"');
  size_t plain = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    if (byte >= 0x20 && byte != '"' && byte != '\\') [[likely]]
      continue;
    out.append(text, plain, i - plain);
    plain = i + 1;
    switch (byte) {
      case '"':
        out += "\\\"";
        break;
      case '\\':
        out += "\\\\";
        break;
      case '\n':
        out += "\\n";
        break;
      case '\t':
        out += "\\t";
        break;
      case '\r':
        out += "\\r";
        break;
      default:
        fmt::format_to(std::back_inserter(out), "\\u{:04x}", byte);
    }
  }
  out.append(text, plain);
  out.push_back('"');
}

namespace {

void append_doubling(std::string& out, std::string_view text, char quote) {
  out.push_back(quote);
  for (size_t at = text.find(quote); at != std::string_view::npos; at = text.find(quote)) {
    out.append(text, 0, at + 1);
    out.push_back(quote);
    text.remove_prefix(at + 1);
  }
  out.append(text);
  out.push_back(quote);
}

}  // namespace

void append_sql_string(std::string& out, std::string_view text) { append_doubling(out, text, '\''); }

void append_sql_identifier(std::string& out, std::string_view name) { append_doubling(out, name, '"'); }

std::string pretty_json(std::string_view json) {
  std::string out;
  size_t depth = 0;
  auto new_line = [&] {
    out.push_back('\n');
    out.append(depth * 2, ' ');
  };
  for (size_t i = 0; i < json.size(); ++i) {
    const char c = json[i];
    if (c == '"') {
      const size_t start = i;
      for (++i; i < json.size() && json[i] != '"'; ++i) {
        if (json[i] == '\\') ++i;
      }
      out.append(json.substr(start, i + 1 - start));
    } else if (c == '{' || c == '[') {
      out.push_back(c);
      const size_t inside = json.find_first_not_of(" \t\r\n", i + 1);
      if (inside != std::string_view::npos && (json[inside] == '}' || json[inside] == ']')) {
        out.push_back(json[inside]);
        i = inside;
      } else {
        ++depth;
        new_line();
      }
    } else if (c == '}' || c == ']') {
      if (depth > 0) --depth;
      new_line();
      out.push_back(c);
    } else if (c == ',') {
      out.push_back(c);
      new_line();
    } else if (c == ':') {
      out += ": ";
    } else if (c != ' ' && c != '\t' && c != '\r' && c != '\n') {
      out.push_back(c);
    }
  }
  return out;
}

std::string decode_base64url(std::string_view text) {
  std::string out;
  uint32_t bits = 0;
  int count = 0;
  for (const char c : text) {
    int value = 0;
    if (c >= 'A' && c <= 'Z')
      value = c - 'A';
    else if (c >= 'a' && c <= 'z')
      value = c - 'a' + 26;
    else if (c >= '0' && c <= '9')
      value = c - '0' + 52;
    else if (c == '-')
      value = 62;
    else if (c == '_')
      value = 63;
    else
      return {};
    bits = (bits << 6) | static_cast<uint32_t>(value);
    count += 6;
    if (count >= 8) {
      count -= 8;
      out.push_back(static_cast<char>(bits >> count));
    }
  }
  return out;
}

}  // namespace kalamdb::cli
