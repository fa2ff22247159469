// SQL text as tokens, by DuckDB's own tokenizer, so that KalamDB's grammar and DuckDB's agree on quotes and comments.
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
  kOperator,  // one punctuation mark or operator; `;` `(` `)` `,` `.` `$` always alone
};

struct Token {
  TokenKind kind = TokenKind::kWord;
  uint32_t offset = 0;  // in bytes from the start of the text
  uint32_t length = 0;
};

// The tokens of `sql` in order; comments and white space are left out. Errors: kBatchParse for an unterminated string,
// quoted identifier, dollar quote or comment, saying which.
Result<std::vector<Token>> tokenize(std::string_view sql);

// The text of a token within the SQL that it came from.
inline std::string_view text(std::string_view sql, const Token& token) { return sql.substr(token.offset, token.length); }
// The value of a string token (quotes and escapes resolved) or the name in a word (a quoted one as it is, an unquoted
// one as it is: the caller lowercases).
std::string unquote(std::string_view sql, const Token& token);

// Splits a request into its statements at top-level semicolons. Empty statements are left out. Views into `sql`.
Result<std::vector<std::string_view>> split_statements(std::string_view sql);

}  // namespace kalamdb::duck
