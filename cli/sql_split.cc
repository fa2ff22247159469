#include "cli/sql_split.h"

#include <strings.h>

#include <algorithm>

namespace kalamdb::cli {

namespace {

bool is_word_char(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || (c & 0x80);
}

bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f' || c == '\v'; }

bool same_word(std::string_view a, std::string_view b) {
  return a.size() == b.size() && strncasecmp(a.data(), b.data(), a.size()) == 0;
}

// Walks over SQL text one token-like stretch at a time.
class Scanner {
 public:
  explicit Scanner(std::string_view sql) : sql_(sql) {}

  bool at_end() const { return at_ >= sql_.size(); }
  size_t position() const { return at_; }
  char peek() const { return sql_[at_]; }

  bool skip_semicolon() {
    if (peek() != ';') return false;
    ++at_;
    return true;
  }

  // Skips one blank stretch or comment; false when there is neither here.
  bool skip_blank() {
    if (is_blank(peek())) {
      ++at_;
    } else if (starts("--")) {
      at_ = std::min(sql_.find('\n', at_), sql_.size());
    } else if (starts("/*")) {
      skip_block_comment();
    } else {
      return false;
    }
    return true;
  }

  // Skips one quoted stretch, word or character. A quote that never closes reaches to the end and gives false.
  bool skip_token() {
    const char c = peek();
    if (c == '\'') return skip_quoted('\'', at_ > 0 && is_escape_prefix(at_ - 1));
    if (c == '"') return skip_quoted('"', false);
    if (c == '$') return skip_dollar();
    if (is_word_char(c)) {
      // A '$' inside a word belongs to it; an E right before a quote is looked at by the quote.
      while (!at_end() && (is_word_char(peek()) || peek() == '$')) ++at_;
      return true;
    }
    ++at_;
    return true;
  }

  size_t line_end() const { return std::min(sql_.find('\n', at_), sql_.size()); }
  void move_to(size_t position) { at_ = position; }

 private:
  bool starts(std::string_view text) const { return sql_.substr(at_).starts_with(text); }

  bool is_escape_prefix(size_t position) const {
    return (sql_[position] == 'e' || sql_[position] == 'E') && (position == 0 || !is_word_char(sql_[position - 1]));
  }

  // Block comments nest, as in PostgreSQL.
  void skip_block_comment() {
    size_t depth = 0;
    do {
      if (starts("/*")) {
        ++depth;
        at_ += 2;
      } else if (starts("*/")) {
        --depth;
        at_ += 2;
      } else {
        ++at_;
      }
    } while (depth > 0 && !at_end());
  }

  bool skip_quoted(char quote, bool backslash_escapes) {
    for (++at_; !at_end(); ++at_) {
      if (backslash_escapes && peek() == '\\') {
        ++at_;
      } else if (peek() == quote) {
        ++at_;
        if (at_end() || peek() != quote) return true;
      }
    }
    at_ = sql_.size();
    return false;
  }

  bool skip_dollar() {
    size_t end = at_ + 1;
    while (end < sql_.size() && is_word_char(sql_[end])) ++end;
    const bool is_tag = end < sql_.size() && sql_[end] == '$' && !(sql_[at_ + 1] >= '0' && sql_[at_ + 1] <= '9');
    if (!is_tag) {
      at_ = end;  // a parameter, $1
      return true;
    }
    const std::string_view tag = sql_.substr(at_, end + 1 - at_);
    const size_t close = sql_.find(tag, end + 1);
    at_ = close == std::string_view::npos ? sql_.size() : close + tag.size();
    return close != std::string_view::npos;
  }

  std::string_view sql_;
  size_t at_ = 0;
};

// The first word of a statement, and whether it opens or closes a transaction.
std::string_view first_word(std::string_view text) {
  size_t end = 0;
  while (end < text.size() && is_word_char(text[end])) ++end;
  return text.substr(0, end);
}

bool opens_transaction(std::string_view text) {
  const std::string_view word = first_word(text);
  return same_word(word, "begin") || same_word(word, "start");
}

bool closes_transaction(std::string_view text) {
  const std::string_view word = first_word(text);
  return same_word(word, "commit") || same_word(word, "rollback") || same_word(word, "end") || same_word(word, "abort");
}

}  // namespace

std::vector<SqlPiece> split_sql(std::string_view sql) {
  std::vector<SqlPiece> pieces;
  Scanner scanner(sql);
  size_t counted = 0;
  size_t line = 1;
  while (true) {
    while (!scanner.at_end() && (scanner.skip_semicolon() || scanner.skip_blank())) {
    }
    if (scanner.at_end()) return pieces;
    const size_t start = scanner.position();
    line += static_cast<size_t>(std::count(sql.begin() + counted, sql.begin() + start, '\n'));
    counted = start;
    SqlPiece piece{.line = line};
    size_t end = 0;
    if (scanner.peek() == '\\') {
      end = scanner.line_end();
      scanner.move_to(end);
      piece.meta = true;
    } else {
      bool closed = true;
      while (!scanner.at_end() && scanner.peek() != ';') closed = scanner.skip_blank() || scanner.skip_token();
      end = scanner.position();
      piece.complete = closed && !scanner.at_end();
    }
    while (end > start && is_blank(sql[end - 1])) --end;
    piece.text = sql.substr(start, end - start);
    pieces.push_back(piece);
  }
}

std::vector<SqlPiece> join_transactions(std::string_view sql, const std::vector<SqlPiece>& pieces) {
  std::vector<SqlPiece> joined;
  bool open = false;
  for (const SqlPiece& piece : pieces) {
    if (!open || piece.meta) {
      open = !piece.meta && opens_transaction(piece.text);
      joined.push_back(piece);
      joined.back().complete = piece.complete && !open;
      continue;
    }
    SqlPiece& transaction = joined.back();
    const size_t start = static_cast<size_t>(transaction.text.data() - sql.data());
    const size_t end = static_cast<size_t>(piece.text.data() - sql.data()) + piece.text.size();
    transaction.text = sql.substr(start, end - start);
    open = !closes_transaction(piece.text);
    transaction.complete = piece.complete && !open;
  }
  return joined;
}

}  // namespace kalamdb::cli
