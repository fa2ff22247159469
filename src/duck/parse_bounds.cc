#include "duck/parse_bounds.h"

#include <fmt/format.h>
#include <strings.h>

#include <algorithm>
#include <array>
#include <cmath>

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
        continue;
      }
      on_dialect(token);
      if (token.kind == TokenKind::kOperator && token.length == 1) KALAM_CHECK(on_sign(sql_[token.offset]));
      word_ = token.kind == TokenKind::kQuotedWord ? text(sql_, token) : std::string_view();
    }
    if (*lexer_.error() != '\0') return fail(ErrorCode::kInvalidSql, lexer_.error());
    if (conditions_ > kMaxConditions) return too_many(kMaxConditions, "conditions (AND, OR)");
    if (copied_tokens() > kMaxCopiedTokens) {
      return fail(ErrorCode::kInvalidSql,
                  "SQL statement is too long for its many WITH, CUBE, named WINDOW or (a, b) = clauses");
    }
    return is_dialect_;
  }

 private:
  enum class Opened : uint8_t { kOther, kCte, kArray, kColumns, kCube, kRollup };
  struct Bracket {
    Opened what;
    size_t commas;
  };

  // About how many tokens' worth of tree the parser builds beyond the one that the text has.
  double copied_tokens() const {
    double copies = std::exp2(array_depth_max_);
    for (const size_t ctes : ctes_at_depth_) copies *= ctes == 0 ? 1 : 2.0 * (static_cast<double>(ctes) + 1);
    constexpr double kMostSets = 65536;  // DuckDB's own bound on one GROUP BY
    constexpr double kColumnsInSet = 16;
    const double grouping = groupings_ * std::min(grouping_sets_, kMostSets) * kColumnsInSet;
    const double assignments = assigned_ + (named_windows_ ? windows_ : 0);
    return (tokens_ + grouping) * copies - tokens_ + assignments * tokens_;
  }

  // What dialect.h translates.
  void on_dialect(const Token& token) {
    if (token.kind == TokenKind::kString) {
      is_dialect_ = is_dialect_ || (sql_[token.offset] | 0x20) == 'x' || is_word(word_, "DATETIME");
    } else if (token.kind == TokenKind::kOperator && token.length > 1) {
      const char first = sql_[token.offset];
      is_dialect_ = is_dialect_ || first == '-' || first == ':';
    }
  }

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
        is_dialect_ = is_dialect_ || is_word(word, "CAST");
        break;
      case 6:
        named_windows_ = named_windows_ || is_word(word, "WINDOW");
        break;
      case 8:
        is_dialect_ = is_dialect_ || is_word(word, "TRY_CAST");
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
        if (depth_ > 0) ++open_[depth_ - 1].commas;
        break;
      case '=':
        if (after_columns_ == tokens_ - 1) assigned_ += columns_;
        break;
      default:
        break;
    }
    return {};
  }

  Opened opened_by(char sign) const {
    if (sign != '(') return Opened::kOther;
    if (word_.empty() || is_word(word_, "SET")) return Opened::kColumns;
    if (with_ && (is_word(word_, "AS") || is_word(word_, "MATERIALIZED"))) return Opened::kCte;
    if (is_word(word_, "ARRAY")) return Opened::kArray;
    if (is_word(word_, "CUBE")) return Opened::kCube;
    if (is_word(word_, "ROLLUP") || is_word(word_, "SETS")) return Opened::kRollup;
    return Opened::kOther;
  }

  Result<> open(char sign) {
    if (depth_ == kMaxNesting) {
      return fail(ErrorCode::kInvalidSql, fmt::format("SQL statement is nested more than {} levels deep", kMaxNesting));
    }
    const Opened what = opened_by(sign);
    if (what == Opened::kCte) {
      if (cte_depth_ == kMaxCteNesting) return too_many(kMaxCteNesting, "levels of WITH within WITH");
      if (++ctes_at_depth_[cte_depth_++] > kMaxCtes) return too_many(kMaxCtes, "common table expressions (WITH)");
    }
    if (what == Opened::kArray) array_depth_max_ = std::max(array_depth_max_, ++array_depth_);
    open_[depth_++] = {what, 0};
    return {};
  }

  void close(Bracket bracket) {
    const double items = static_cast<double>(bracket.commas) + 1;
    switch (bracket.what) {
      case Opened::kCte:
        --cte_depth_;
        break;
      case Opened::kArray:
        --array_depth_;
        break;
      case Opened::kColumns:
        columns_ = bracket.commas + 1;
        after_columns_ = tokens_;
        break;
      case Opened::kCube:
      case Opened::kRollup:
        ++groupings_;
        grouping_sets_ *= bracket.what == Opened::kCube ? std::exp2(std::min(items, 64.0)) : items + 1;
        break;
      case Opened::kOther:
        break;
    }
  }

  std::string_view sql_;
  Lexer lexer_;
  std::string_view word_;                  // the last token, if it was a word (a quoted one with its quotes)
  std::array<Bracket, kMaxNesting> open_;  // the first `depth_` are in use
  size_t depth_ = 0;
  size_t tokens_ = 0;
  size_t conditions_ = 0;
  std::array<size_t, kMaxCteNesting> ctes_at_depth_{};
  size_t cte_depth_ = 0;
  size_t array_depth_ = 0;
  size_t array_depth_max_ = 0;
  size_t windows_ = 0;
  size_t groupings_ = 0;
  double grouping_sets_ = 1;  // of all GROUP BYs multiplied
  size_t columns_ = 0;        // in the latest list that could be assigned to
  size_t after_columns_ = 0;  // the number of the token that closed it
  size_t assigned_ = 0;       // columns of (a, b) = …
  bool is_dialect_ = false;
  bool with_ = false;
  bool named_windows_ = false;
};

}  // namespace

Result<bool> check_parse_bounds(std::string_view sql) { return Counter(sql).run(); }

}  // namespace kalamdb::duck
