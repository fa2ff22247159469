#include "duck/parse_bounds.h"

#include <fmt/format.h>
#include <strings.h>

#include <array>

#include "duck/tokens.h"

namespace kalamdb::duck {
namespace {

std::unexpected<Error> too_many(size_t most, std::string_view what) {
  return fail(ErrorCode::kInvalidSql, fmt::format("SQL statement has more than {} {}", most, what));
}

bool is_word(std::string_view text, std::string_view word) {
  return text.size() == word.size() && strncasecmp(text.data(), word.data(), word.size()) == 0;
}

class Counter {
 public:
  explicit Counter(std::string_view sql) : sql_(sql), lexer_(sql) {}

  Result<bool> run() {
    for (Token token; lexer_.next(token);) {
      ++tokens_;
      if (token.kind == TokenKind::kWord) {
        on_word(text(sql_, token));
      } else {
        has_hex_ = has_hex_ || (token.kind == TokenKind::kString && (sql_[token.offset] | 0x20) == 'x');
        if (token.kind == TokenKind::kOperator && token.length == 1) KALAM_CHECK(on_sign(sql_[token.offset]));
        word_ = token.kind == TokenKind::kQuotedWord ? text(sql_, token) : std::string_view();
      }
      if (conditions_ > kMaxConditions) return too_many(kMaxConditions, "conditions (AND, OR)");
      if (ctes_ > kMaxCtes) return too_many(kMaxCtes, "common table expressions (WITH)");
    }
    if (*lexer_.error() != '\0') return fail(ErrorCode::kInvalidSql, lexer_.error());
    const size_t copies = assigned_ + (named_windows_ ? windows_ : 0);
    if (copies * tokens_ > kMaxCopiedTokens) {
      return fail(ErrorCode::kInvalidSql,
                  "SQL statement is too long for its many named windows or (a, b) = assignments");
    }
    return has_hex_;
  }

 private:
  enum class Opened : uint8_t { kOther, kCte, kArray, kColumns };

  void on_word(std::string_view word) {
    switch (word.size()) {
      case 2:
        conditions_ += is_word(word, "OR");
        break;
      case 3:
        conditions_ += is_word(word, "AND");
        break;
      case 4:
        with_ = with_ || is_word(word, "WITH");
        windows_ += is_word(word, "OVER");
        break;
      case 6:
        named_windows_ = named_windows_ || is_word(word, "WINDOW");
        break;
      default:
        break;
    }
    word_ = word;
  }

  Result<> on_sign(char sign) {
    switch (sign) {
      case '(':
      case '[':
      case '{':
        return open(sign);
      case ')':
      case ']':
      case '}':
        if (depth_ > 0) close(open_[--depth_]);
        break;
      case ',':
        if (depth_ > 0 && open_[depth_ - 1] == Opened::kColumns) ++columns_;
        break;
      case '=':
        if (after_columns_ == tokens_ - 1) assigned_ += columns_ + 1;
        break;
      default:
        break;
    }
    return {};
  }

  Result<> open(char sign) {
    if (depth_ == kMaxNesting) {
      return fail(ErrorCode::kInvalidSql, fmt::format("SQL statement is nested more than {} levels deep", kMaxNesting));
    }
    Opened what = Opened::kOther;
    if (sign == '(' && with_ && (is_word(word_, "AS") || is_word(word_, "MATERIALIZED"))) {
      what = Opened::kCte;
      ++ctes_;
      if (++cte_depth_ > kMaxCteNesting) return too_many(kMaxCteNesting, "levels of WITH within WITH");
    } else if (sign == '(' && is_word(word_, "ARRAY")) {
      what = Opened::kArray;
      if (++array_depth_ > kMaxArraySubqueryNesting) {
        return too_many(kMaxArraySubqueryNesting, "levels of ARRAY(SELECT …) within each other");
      }
    } else if (sign == '(' && (word_.empty() || is_word(word_, "SET"))) {
      what = Opened::kColumns;
      columns_ = 0;
    }
    open_[depth_++] = what;
    return {};
  }

  void close(Opened what) {
    if (what == Opened::kCte) --cte_depth_;
    if (what == Opened::kArray) --array_depth_;
    if (what == Opened::kColumns) after_columns_ = tokens_;
  }

  std::string_view sql_;
  Lexer lexer_;
  std::string_view word_;  // the last token, if it was a word (a quoted one with its quotes)
  std::array<Opened, kMaxNesting> open_;
  size_t depth_ = 0;
  size_t tokens_ = 0;
  size_t conditions_ = 0;
  size_t ctes_ = 0;
  size_t cte_depth_ = 0;
  size_t array_depth_ = 0;
  size_t windows_ = 0;
  size_t columns_ = 0;        // commas in the latest list that could be assigned to
  size_t after_columns_ = 0;  // the number of the token that closed it
  size_t assigned_ = 0;
  bool has_hex_ = false;
  bool with_ = false;
  bool named_windows_ = false;
};

}  // namespace

Result<bool> check_parse_bounds(std::string_view sql) { return Counter(sql).run(); }

}  // namespace kalamdb::duck
