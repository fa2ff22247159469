// SQL text as tokens, by the lexical rules of DuckDB's own tokenizer (a test compares the two), so that KalamDB's
// grammar and DuckDB's agree on quotes and comments. Unlike DuckDB's it says where a token ends and what is
// unterminated.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace kalamdb::duck {

enum class TokenKind : uint8_t {
  kWord,        // unquoted identifier or keyword
  kQuotedWord,  // "identifier"
  kNumber,
  kString,    // '…', E'…', $$…$$, X'…'
  kOperator,  // one punctuation mark or operator; `;` `(` `)` `,` `$` `?`, brackets and one `.` always alone
};

struct Token {
  TokenKind kind = TokenKind::kWord;
  uint32_t offset = 0;  // in bytes from the start of the text
  uint32_t length = 0;
};

// Reads one token after the other without storing them. Borrows the text. Not thread-safe.
class Lexer {
 public:
  explicit Lexer(std::string_view sql) : sql_(sql) {}
  // False at the end of the text or at something malformed; error() tells which.
  bool next(Token& token);
  // What is malformed, as a sentence; empty if nothing is.
  const char* error() const { return error_; }

 private:
  bool skip_blank();
  size_t unicode_space(size_t at) const;
  bool skip_block_comment();
  bool fail(const char* what);
  void word();
  void number();
  void operator_run();
  bool quoted(char quote, bool escapes, bool doubling, const char* unterminated);
  bool dollar(Token& token);
  size_t continuation(size_t at) const;
  char at(size_t i) const { return i < sql_.size() ? sql_[i] : '\0'; }

  std::string_view sql_;
  size_t pos_ = 0;
  bool parameter_ = false;  // the next token is the number of a $n
  const char* error_ = "";
};

// The tokens of `sql` in order; comments and white space are left out. Errors: kBatchParse for an unterminated string,
// quoted identifier, dollar quote or comment, saying which, and for NUL bytes, invalid UTF-8 and texts over 4 GiB.
Result<std::vector<Token>> tokenize(std::string_view sql);

// The text of a token within the SQL that it came from.
inline std::string_view text(std::string_view sql, const Token& token) {
  return sql.substr(token.offset, token.length);
}
// The value of a string token (quotes and escapes resolved; X'…' as it is written between the quotes) or the name in a
// word (a quoted one without its quotes, an unquoted one as it is: the caller lowercases).
std::string unquote(std::string_view sql, const Token& token);

// Splits a request into its statements at top-level semicolons. Empty statements are left out; each view into `sql`
// reaches from the first token of a statement to its last. Errors: as tokenize().
Result<std::vector<std::string_view>> split_statements(std::string_view sql);

}  // namespace kalamdb::duck
