#include "duck/dialect.h"

#include <strings.h>

#include <algorithm>
#include <array>
#include <optional>
#include <vector>

#include "duck/tokens.h"
#include "model/value.h"

namespace kalamdb::duck {
namespace {

bool same_word(std::string_view a, std::string_view b) {
  return a.size() == b.size() && strncasecmp(a.data(), b.data(), a.size()) == 0;
}

template <size_t N>
bool is_one_of(std::string_view word, const std::array<std::string_view, N>& words) {
  return std::ranges::any_of(words, [&](std::string_view other) { return same_word(word, other); });
}

struct TypeWord {
  std::string_view kalam;
  std::string_view duck;
};
constexpr std::array kTypeWords = {
    TypeWord{"BYTES", "BLOB"},           TypeWord{"JSONB", "JSON"},       TypeWord{"CLOB", "VARCHAR"},
    TypeWord{"FILE", "VARCHAR"},         TypeWord{"TINYINT", "SMALLINT"}, TypeWord{"MEDIUMINT", "INTEGER"},
    TypeWord{"DATETIME", "TIMESTAMPTZ"},
};
constexpr std::array<std::string_view, 5> kBytesWords = {"BYTES", "BYTEA", "BLOB", "BINARY", "VARBINARY"};
constexpr char kHexDigits[] = "0123456789ABCDEF";
constexpr std::array<std::string_view, 3> kDecimalWords = {"DECIMAL", "NUMERIC", "DEC"};
constexpr std::string_view kDefaultDecimal = "DECIMAL(38, 10)";

// Functions whose second argument may be a lambda.
constexpr std::array<std::string_view, 11> kLambdaFunctions = {
    "list_transform", "array_transform", "list_apply",  "array_apply",  "apply",  "list_filter",
    "array_filter",   "filter",          "list_reduce", "array_reduce", "reduce",
};

class Translator {
 public:
  explicit Translator(std::string_view sql, std::vector<Token> tokens) : sql_(sql), tokens_(std::move(tokens)) {}

  Result<std::string> run() {
    for (size_t i = 0; i < tokens_.size(); ++i) {
      if (tokens_[i].kind == TokenKind::kString) {
        KALAM_CHECK(string(i));
      } else if (tokens_[i].kind == TokenKind::kWord) {
        word(i);
      } else if (tokens_[i].kind == TokenKind::kOperator) {
        sign(i);
      }
    }
    out_.append(sql_, copied_);
    return std::move(out_);
  }

 private:
  struct Bracket {
    size_t open;    // the index of its token
    size_t commas;  // directly within it, so far
    bool is_cast;   // CAST ( or TRY_CAST (
  };

  std::string_view at(size_t i) const { return i < tokens_.size() ? text(sql_, tokens_[i]) : std::string_view(); }
  bool is_unquoted(size_t i) const { return i < tokens_.size() && tokens_[i].kind == TokenKind::kWord; }

  // Replaces the tokens from `first` to `last`.
  void replace(size_t first, size_t last, std::string_view by) {
    out_.append(sql_, copied_, tokens_[first].offset - copied_);
    out_ += by;
    copied_ = tokens_[last].offset + tokens_[last].length;
  }

  Result<> string(size_t i) {
    const bool is_hex = (sql_[tokens_[i].offset] | 0x20) == 'x';
    const bool in_cast =
        at(i + 1) == "::" || (same_word(at(i + 1), "AS") && !brackets_.empty() && brackets_.back().is_cast);
    if (!is_hex && !(in_cast && is_one_of(at(i + 2), kBytesWords))) return {};
    const std::string literal = unquote(sql_, tokens_[i]);
    std::optional<std::string> bytes;
    if (is_hex) {
      bytes = model::parse_hex(literal);
      if (!bytes) return fail(ErrorCode::kInvalidSql, "X'…' needs an even number of hexadecimal digits");
    } else if (literal.starts_with("\\x")) {
      bytes = model::parse_hex(std::string_view(literal).substr(2));
    }
    // The parser itself reads a constant that is cast, where it knows neither '\xDEADBEEF' nor text beyond ASCII.
    std::string constant = is_hex ? "('" : "'";
    for (const char c : bytes ? *bytes : literal) {
      const auto byte = static_cast<unsigned char>(c);
      if (bytes || byte >= 0x80) {
        constant.append("\\x").push_back(kHexDigits[byte >> 4]);
        constant.push_back(kHexDigits[byte & 15]);
      } else {
        constant.append(c == '\'' ? 2 : 1, c);
      }
    }
    replace(i, i, constant + (is_hex ? "'::BLOB)" : "'"));
    return {};
  }

  void word(size_t i) {
    const bool after_as = i > 0 && same_word(at(i - 1), "AS") && !brackets_.empty() && brackets_.back().is_cast;
    const bool before_literal = i + 1 < tokens_.size() && tokens_[i + 1].kind == TokenKind::kString;
    if (before_literal && same_word(at(i), "DATETIME")) return replace(i, i, "TIMESTAMPTZ");
    if (!after_as && (i == 0 || at(i - 1) != "::")) return;
    const auto found =
        std::ranges::find_if(kTypeWords, [&](const TypeWord& row) { return same_word(row.kalam, at(i)); });
    if (found != kTypeWords.end()) return replace(i, i, found->duck);
    if (is_one_of(at(i), kDecimalWords) && at(i + 1) != "(") return replace(i, i, kDefaultDecimal);
    if (same_word(at(i), "EMBEDDING") && at(i + 1) == "(" && at(i + 3) == ")") {
      // The parentheses are never looked at again: nothing can be open or close in them.
      tokens_[i + 1].kind = tokens_[i + 3].kind = TokenKind::kNumber;
      replace(i, i + 3, "FLOAT[" + std::string(at(i + 2)) + "]");
    }
  }

  void sign(size_t i) {
    const std::string_view sign = at(i);
    if (sign == "(" || sign == "[" || sign == "{") {
      const bool is_cast =
          sign == "(" && is_unquoted(i - 1) && (same_word(at(i - 1), "CAST") || same_word(at(i - 1), "TRY_CAST"));
      brackets_.push_back({i, 0, is_cast});
    } else if ((sign == ")" || sign == "]" || sign == "}") && !brackets_.empty()) {
      last_opened_ = brackets_.back().open;
      brackets_.pop_back();
    } else if (sign == "," && !brackets_.empty()) {
      ++brackets_.back().commas;
    } else if (sign == "->>") {
      replace(i, i, " " + std::string(kJsonTextArrow) + " ");
    } else if (sign == "->" && !is_lambda(i)) {
      replace(i, i, " " + std::string(kJsonArrow) + " ");
    }
  }

  // Whether the -> at `i` stands behind the parameters of a lambda, x or (x, i).
  bool is_lambda(size_t i) const {
    if (i < 2 || brackets_.empty()) return false;
    const size_t first = at(i - 1) == ")" ? last_opened_ : i - 1;
    const Bracket& call = brackets_.back();
    if (first == 0 || call.open == 0) return false;
    const std::string_view function = at(call.open - 1);
    if (same_word(function, "COLUMNS")) return first == call.open + 1;
    return call.commas == 1 && at(first - 1) == "," && is_one_of(function, kLambdaFunctions);
  }

  std::string_view sql_;
  std::vector<Token> tokens_;
  std::vector<Bracket> brackets_;  // those open
  size_t last_opened_ = 0;         // the opening of the bracket that was closed last
  std::string out_;
  size_t copied_ = 0;
};

}  // namespace

Result<std::string> translate(std::string_view sql) {
  KALAM_TRY(auto tokens, tokenize(sql));
  return Translator(sql, std::move(tokens)).run();
}

}  // namespace kalamdb::duck
