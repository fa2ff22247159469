// Reads KalamDB's own statements token by token. Keywords match in any letter case.
#pragma once

#include <initializer_list>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "duck/tokens.h"

namespace kalamdb::query {

// A table as written; `namespace_id` is empty when it was not qualified. Both in lower case.
struct QualifiedName {
  std::string namespace_id;
  std::string name;
};

struct Name {
  std::string text;  // as written, quotes resolved
  bool quoted = false;
};

// Not thread-safe; borrows the SQL text.
class TokenReader {
 public:
  TokenReader(std::string_view sql, std::vector<duck::Token> tokens) : sql_(sql), tokens_(std::move(tokens)) {}

  bool at_end() const { return next_ == tokens_.size(); }
  // Moves past the words if they come next, all of them; else stays.
  bool accept(std::initializer_list<std::string_view> words) { return accept(std::span(words.begin(), words.size())); }
  bool accept(std::span<const std::string_view> words);
  bool accept(std::string_view word) { return accept({word}); }
  // True if the words come next; stays.
  bool peek(std::initializer_list<std::string_view> words) const {
    return peek(std::span(words.begin(), words.size()));
  }
  bool peek(std::span<const std::string_view> words) const;
  // Errors: kInvalidSql "Expected WORD near 'token'".
  Result<> expect(std::string_view word);
  // An identifier, quoted or not, or a keyword used as one.
  Result<Name> name(std::string_view what);
  // `[namespace.]name`, lowercased.
  Result<QualifiedName> qualified_name(std::string_view what);
  // A string literal's value.
  Result<std::string> string(std::string_view what);
  // A string literal's value, or the text of a word.
  Result<std::string> string_or_word(std::string_view what);
  // A non-negative integer.
  Result<int64_t> integer(std::string_view what);
  // Fails unless everything was read.
  Result<> end() const;

  // The next token; only when !at_end().
  const duck::Token& token() const { return tokens_[next_]; }
  std::string_view token_text() const { return duck::text(sql_, tokens_[next_]); }
  void skip() { ++next_; }
  // The SQL text itself and where the next token starts in it (its end when there is none).
  std::string_view sql() const { return sql_; }
  size_t offset() const { return at_end() ? sql_.size() : tokens_[next_].offset; }
  size_t position() const { return next_; }
  void rewind(size_t position) { next_ = position; }

  // "Expected X near 'token'."
  Error unexpected(std::string_view expected) const;

 private:
  std::string_view sql_;
  std::vector<duck::Token> tokens_;
  size_t next_ = 0;
};

// `sql` with the strings behind PASSWORD, CREDENTIALS, OAUTH and TOKEN replaced by '***', for errors and logs. What
// cannot be split into tokens is left out as a whole when it has one of these words.
std::string redact_secrets(std::string_view sql);

bool equal_ignoring_case(std::string_view a, std::string_view b);
std::string lower(std::string_view text);

}  // namespace kalamdb::query
