#include "duck/tokens.h"

#include <simdjson.h>

#include <array>
#include <cstring>
#include <limits>

namespace kalamdb::duck {
namespace {

enum CharClass : uint8_t { kOther, kBlank, kIdentifierStart, kDigit, kOperatorChar };

constexpr std::array<uint8_t, 256> kClasses = [] {
  std::array<uint8_t, 256> classes{};
  for (unsigned char c : {' ', '\t', '\n', '\r', '\f', '\v'}) classes[c] = kBlank;
  for (int c = 'a'; c <= 'z'; ++c) classes[c] = classes[c - 'a' + 'A'] = kIdentifierStart;
  for (int c = 0x80; c <= 0xFF; ++c) classes[c] = kIdentifierStart;
  classes['_'] = kIdentifierStart;
  for (int c = '0'; c <= '9'; ++c) classes[c] = kDigit;
  for (unsigned char c : {'~', '!', '@', '#', '^', '&', '|', '`', '+', '-', '*', '/', '%', '<', '>', '='}) {
    classes[c] = kOperatorChar;
  }
  return classes;
}();

CharClass class_of(char c) { return static_cast<CharClass>(kClasses[static_cast<unsigned char>(c)]); }
bool is_newline(char c) { return c == '\n' || c == '\r'; }
bool is_digit(char c) { return class_of(c) == kDigit; }
bool is_identifier(char c) { return class_of(c) == kIdentifierStart || is_digit(c); }
int hex_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

}  // namespace

bool Lexer::fail(const char* what) {
  error_ = what;
  pos_ = sql_.size();
  return false;
}

// DuckDB's parser turns Unicode spaces outside quotes into blanks before it tokenizes. Returns the length of the one at
// `at`, or 0.
size_t Lexer::unicode_space(size_t at) const {
  auto byte = [&](size_t i) { return static_cast<unsigned char>(this->at(i)); };
  if (byte(at) == 0xC2 && byte(at + 1) == 0xA0) return 2;
  if (byte(at) == 0xE2 && byte(at + 1) == 0x80) {
    return (byte(at + 2) >= 0x80 && byte(at + 2) <= 0x8B) || byte(at + 2) == 0xAF ? 3 : 0;
  }
  if (byte(at) == 0xE2 && byte(at + 1) == 0x81) return byte(at + 2) == 0x9F || byte(at + 2) == 0xA0 ? 3 : 0;
  if (byte(at) == 0xE3 && byte(at + 1) == 0x80) return byte(at + 2) == 0x80 ? 3 : 0;
  if (byte(at) == 0xEF && byte(at + 1) == 0xBB) return byte(at + 2) == 0xBF ? 3 : 0;
  return 0;
}

bool Lexer::skip_block_comment() {  // at "/*"; comments nest
  size_t depth = 0;
  for (; pos_ + 1 < sql_.size(); ++pos_) {
    if (sql_[pos_] == '/' && sql_[pos_ + 1] == '*') {
      ++depth;
      ++pos_;
    } else if (sql_[pos_] == '*' && sql_[pos_ + 1] == '/') {
      ++pos_;
      if (--depth == 0) {
        ++pos_;
        return true;
      }
    }
  }
  return fail("Unterminated block comment in SQL batch");
}

// Moves to the next token; false when there is none.
bool Lexer::skip_blank() {
  while (pos_ < sql_.size()) {
    const char c = sql_[pos_];
    if (class_of(c) == kBlank) {
      ++pos_;
    } else if (c == '-' && at(pos_ + 1) == '-') {
      while (pos_ < sql_.size() && !is_newline(sql_[pos_])) ++pos_;
    } else if (c == '/' && at(pos_ + 1) == '*') {
      if (!skip_block_comment()) return false;
    } else if (size_t length = static_cast<unsigned char>(c) >= 0x80 ? unicode_space(pos_) : 0; length > 0) {
      pos_ += length;
    } else {
      return true;
    }
  }
  return false;
}

void Lexer::word() {
  while (pos_ < sql_.size() && (is_identifier(sql_[pos_]) || sql_[pos_] == '$')) {
    if (static_cast<unsigned char>(sql_[pos_]) >= 0x80 && unicode_space(pos_) > 0) return;
    ++pos_;
  }
}

void Lexer::number() {
  auto digits = [&] {
    while (is_digit(at(pos_)) || (at(pos_) == '_' && is_digit(at(pos_ + 1)))) ++pos_;
  };
  digits();
  if (parameter_) return;                        // $1.5 is $1 and .5
  if (at(pos_) == '.' && at(pos_ + 1) != '.') {  // 1..2 is a range of integers
    ++pos_;
    digits();
  }
  if ((at(pos_) | 0x20) == 'e') {
    const size_t sign = at(pos_ + 1) == '+' || at(pos_ + 1) == '-' ? 1 : 0;
    if (is_digit(at(pos_ + 1 + sign))) {
      pos_ += 1 + sign;
      digits();
    }
  }
}

void Lexer::operator_run() {
  constexpr size_t kLongest = 64;  // as in DuckDB; also keeps a long run of signs from being read again and again
  const size_t start = pos_;
  size_t unusual = std::string_view::npos;  // the first character that no operator of standard SQL has
  while (pos_ < sql_.size() && pos_ - start < kLongest && class_of(sql_[pos_]) == kOperatorChar) {
    if (pos_ > start && ((sql_[pos_] == '-' && at(pos_ + 1) == '-') || (sql_[pos_] == '/' && at(pos_ + 1) == '*')))
      break;
    if (unusual == std::string_view::npos && std::strchr("~!@#^&|`%", sql_[pos_]) != nullptr) unusual = pos_;
    ++pos_;
  }
  // `=-` is two operators and `@-` is one: a trailing sign belongs to the operator only beside an unusual character.
  while (pos_ - start > 1 && (sql_[pos_ - 1] == '+' || sql_[pos_ - 1] == '-') && unusual >= pos_ - 1) --pos_;
}

// Where the next part of a string that goes on after white space with a newline ('a' ⏎ 'b') has its opening quote, or
// 0.
size_t Lexer::continuation(size_t at) const {
  bool newline = false;
  while (at < sql_.size()) {
    if (class_of(sql_[at]) == kBlank && sql_[at] != '\v') {
      newline = newline || is_newline(sql_[at]);
      ++at;
    } else if (sql_[at] == '-' && this->at(at + 1) == '-') {
      while (at < sql_.size() && !is_newline(sql_[at])) ++at;
    } else {
      return newline && sql_[at] == '\'' ? at : 0;
    }
  }
  return 0;
}

// At the opening quote.
bool Lexer::quoted(char quote, bool escapes, bool doubling, const char* unterminated) {
  ++pos_;
  while (true) {
    if (escapes) {
      while (pos_ < sql_.size() && sql_[pos_] != quote && sql_[pos_] != '\\') ++pos_;
      if (at(pos_) == '\\' && pos_ < sql_.size()) {
        pos_ += 2;
        continue;
      }
    } else {
      const void* found = pos_ < sql_.size() ? std::memchr(sql_.data() + pos_, quote, sql_.size() - pos_) : nullptr;
      pos_ = found != nullptr ? static_cast<size_t>(static_cast<const char*>(found) - sql_.data()) : sql_.size();
    }
    if (pos_ >= sql_.size()) return fail(unterminated);
    ++pos_;
    if (doubling && at(pos_) == quote && pos_ < sql_.size()) {
      ++pos_;
      continue;
    }
    const size_t next = quote == '\'' ? continuation(pos_) : 0;
    if (next == 0) return true;
    pos_ = next + 1;
  }
}

// At a `$`: a dollar-quoted string, or the sign alone.
bool Lexer::dollar(Token& token) {
  size_t end = pos_ + 1;
  if (class_of(at(end)) == kIdentifierStart) {
    while (is_identifier(at(end)) && end < sql_.size()) ++end;
  }
  token.kind = TokenKind::kOperator;
  if (at(end) != '$') {
    ++pos_;
    parameter_ = is_digit(at(pos_));
    return true;
  }
  token.kind = TokenKind::kString;
  const std::string_view tag = sql_.substr(pos_, end + 1 - pos_);
  const size_t close = sql_.find(tag, end + 1);
  if (close == std::string_view::npos) return fail("Unterminated dollar-quoted string in SQL batch");
  pos_ = close + tag.size();
  return true;
}

bool Lexer::next(Token& token) {
  if (!skip_blank()) return false;
  const size_t start = pos_;
  const char c = sql_[pos_];
  const char after = at(pos_ + 1);
  bool complete = true;
  constexpr const char* kUnterminatedString = "Unterminated quoted string in SQL batch";
  if (c == '\'') {
    token.kind = TokenKind::kString;
    complete = quoted('\'', false, true, kUnterminatedString);
  } else if (c == '"') {
    token.kind = TokenKind::kQuotedWord;
    complete = quoted('"', false, true, "Unterminated quoted identifier in SQL batch");
  } else if (class_of(c) == kIdentifierStart && after == '\'' && std::strchr("eExXbB", c) != nullptr) {
    token.kind = TokenKind::kString;
    ++pos_;
    const bool is_escaped = (c | 0x20) == 'e';  // X'' and B'' know no doubled quotes
    complete = quoted('\'', is_escaped, is_escaped, kUnterminatedString);
  } else if ((c | 0x20) == 'u' && after == '&' && (at(pos_ + 2) == '\'' || at(pos_ + 2) == '"')) {
    complete = fail("Text with Unicode escapes (U&'…') is not supported: write the characters, or E'\\u…'");
  } else if (class_of(c) == kIdentifierStart) {
    token.kind = TokenKind::kWord;
    word();
  } else if (is_digit(c) || (c == '.' && is_digit(after))) {
    token.kind = TokenKind::kNumber;
    number();
    parameter_ = false;
  } else if (c == '$') {
    complete = dollar(token);
  } else if (class_of(c) == kOperatorChar) {
    token.kind = TokenKind::kOperator;
    operator_run();
  } else if (c == '\0') {
    complete = fail("SQL text contains a NUL byte");
  } else {
    token.kind = TokenKind::kOperator;
    pos_ += (c == ':' && (after == ':' || after == '=')) || (c == '.' && after == '.') ? 2 : 1;
  }
  token.offset = static_cast<uint32_t>(start);
  token.length = static_cast<uint32_t>(pos_ - start);
  return complete;
}

namespace {

Result<> check_text(std::string_view sql) {
  if (sql.size() > std::numeric_limits<uint32_t>::max()) return fail(ErrorCode::kBatchParse, "SQL text is over 4 GiB");
  if (!simdjson::validate_utf8(sql.data(), sql.size())) {
    return fail(ErrorCode::kBatchParse, "SQL text is not valid UTF-8");
  }
  if (std::memchr(sql.data(), '\0', sql.size()) != nullptr) {
    return fail(ErrorCode::kBatchParse, "SQL text contains a NUL byte");
  }
  return {};
}

void append_utf8(std::string& out, uint32_t code) {
  if (code < 0x80) {
    out += static_cast<char>(code);
  } else if (code < 0x800) {
    out += static_cast<char>(0xC0 | (code >> 6));
    out += static_cast<char>(0x80 | (code & 0x3F));
  } else if (code < 0x10000) {
    out += static_cast<char>(0xE0 | (code >> 12));
    out += static_cast<char>(0x80 | ((code >> 6) & 0x3F));
    out += static_cast<char>(0x80 | (code & 0x3F));
  } else {
    out += static_cast<char>(0xF0 | (code >> 18));
    out += static_cast<char>(0x80 | ((code >> 12) & 0x3F));
    out += static_cast<char>(0x80 | ((code >> 6) & 0x3F));
    out += static_cast<char>(0x80 | (code & 0x3F));
  }
}

// Reads up to `most` digits of base 8 or 16 at `at`; moves it past them.
uint32_t escape_digits(std::string_view text, size_t& at, size_t most, int base) {
  uint32_t value = 0;
  for (size_t n = 0; n < most && at < text.size(); ++n, ++at) {
    const int digit = hex_value(text[at]);
    if (digit < 0 || digit >= base) break;
    value = value * base + digit;
  }
  return value;
}

// `at` is just past a backslash of an E'…' string; moves past the escape.
void append_escape(std::string& out, std::string_view text, size_t& at) {
  const char c = text[at];
  switch (c) {
    case 'n':
      out += '\n';
      break;
    case 't':
      out += '\t';
      break;
    case 'r':
      out += '\r';
      break;
    case 'b':
      out += '\b';
      break;
    case 'f':
      out += '\f';
      break;
    case 'x':
      if (at + 1 < text.size() && hex_value(text[at + 1]) >= 0) {
        out += static_cast<char>(escape_digits(text, ++at, 2, 16));
        return;
      }
      out += c;
      break;
    case 'u':
    case 'U': {
      uint32_t code = escape_digits(text, ++at, c == 'u' ? 4 : 8, 16);
      if (code >= 0xD800 && code < 0xDC00 && text.substr(at, 2) == "\\u") {
        size_t low_at = at + 2;
        const uint32_t low = escape_digits(text, low_at, 4, 16);
        if (low >= 0xDC00 && low < 0xE000) {
          code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
          at = low_at;
        }
      }
      append_utf8(out, code > 0x10FFFF || (code >= 0xD800 && code < 0xE000) ? 0xFFFD : code);
      return;
    }
    default:
      if (c >= '0' && c <= '7') {
        out += static_cast<char>(escape_digits(text, at, 3, 8));
        return;
      }
      out += c;
  }
  ++at;
}

// The parts of '…' or "…" after the opening quote, up to its end.
std::string unquote_parts(std::string_view rest, char quote, bool escapes) {
  std::string out;
  out.reserve(rest.size());
  for (size_t i = 0; i < rest.size();) {
    if (escapes && rest[i] == '\\' && i + 1 < rest.size()) {
      append_escape(out, rest, ++i);
    } else if (rest[i] != quote) {
      out += rest[i++];
    } else if (i + 1 < rest.size() && rest[i + 1] == quote) {
      out += quote;
      i += 2;
    } else {  // the end, or a string that goes on in the next line; comments between may hold quotes
      for (++i; i < rest.size() && rest[i] != quote;) {
        if (rest[i] == '-') {
          while (i < rest.size() && !is_newline(rest[i])) ++i;
        } else {
          ++i;
        }
      }
      ++i;
    }
  }
  return out;
}

}  // namespace

Result<std::vector<Token>> tokenize(std::string_view sql) {
  KALAM_CHECK(check_text(sql));
  std::vector<Token> tokens;
  tokens.reserve(sql.size() / 5 + 8);
  Lexer lexer(sql);
  for (Token token; lexer.next(token);) tokens.push_back(token);
  if (*lexer.error() != '\0') return fail(ErrorCode::kBatchParse, lexer.error());
  return tokens;
}

std::string unquote(std::string_view sql, const Token& token) {
  const std::string_view raw = text(sql, token);
  if (token.kind == TokenKind::kQuotedWord) return unquote_parts(raw.substr(1), '"', false);
  if (token.kind != TokenKind::kString) return std::string(raw);
  if (raw.front() == '$') {
    const size_t tag = raw.find('$', 1) + 1;
    return std::string(raw.substr(tag, raw.size() - 2 * tag));
  }
  if (raw.front() == '\'') return unquote_parts(raw.substr(1), '\'', false);
  return unquote_parts(raw.substr(2), '\'', (raw.front() | 0x20) == 'e');
}

Result<std::vector<std::string_view>> split_statements(std::string_view sql) {
  KALAM_CHECK(check_text(sql));
  std::vector<std::string_view> statements;
  size_t begin = 0;
  size_t end = 0;
  bool any = false;
  size_t depth = 0;
  auto finish = [&] {
    if (any) statements.push_back(sql.substr(begin, end - begin));
    any = false;
    depth = 0;
  };
  Lexer lexer(sql);
  for (Token token; lexer.next(token);) {
    const char first = sql[token.offset];
    if (token.kind == TokenKind::kOperator) {
      if (first == '(') ++depth;
      if (first == ')' && depth > 0) --depth;
      if (first == ';' && depth == 0) {
        finish();
        continue;
      }
    }
    if (!any) begin = token.offset;
    any = true;
    end = token.offset + token.length;
  }
  if (*lexer.error() != '\0') return fail(ErrorCode::kBatchParse, lexer.error());
  finish();
  return statements;
}

}  // namespace kalamdb::duck
