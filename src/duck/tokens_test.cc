#include "duck/tokens.h"

#include <gtest/gtest.h>

#include <random>

#include "duckdb.hpp"
#include "duckdb/parser/parser.hpp"

namespace kalamdb::duck {
namespace {

// The tokens joined by spaces, each with a letter for its kind.
std::string shown(std::string_view sql) {
  const auto tokens = tokenize(sql);
  if (!tokens) return "error: " + tokens.error().message;
  std::string out;
  for (const Token& token : *tokens) {
    if (!out.empty()) out += ' ';
    out += "wqnso"[static_cast<size_t>(token.kind)];
    out += ':';
    out += text(sql, token);
  }
  return out;
}

std::string value(std::string_view sql) {
  const auto tokens = tokenize(sql);
  if (!tokens || tokens->size() != 1) return "not one token";
  return unquote(sql, tokens->front());
}

TEST(Tokens, Kinds) {
  EXPECT_EQ(shown("SELECT a FROM \"T x\" WHERE b >= 1.5e-3;"),
            "w:SELECT w:a w:FROM q:\"T x\" w:WHERE w:b o:>= n:1.5e-3 o:;");
  EXPECT_EQ(shown("f($1,?,$x)"), "w:f o:( o:$ n:1 o:, o:? o:, o:$ w:x o:)");
  EXPECT_EQ(shown("1..2 .5 5. 1_000 1e5 1e 2e+"), "n:1 o:.. n:2 n:.5 n:5. n:1_000 n:1e5 n:1 w:e n:2 w:e o:+");
  EXPECT_EQ(shown("x'AB' E'\\'' $$a;b$$ $t$ $$ $t$"), "s:x'AB' s:E'\\'' s:$$a;b$$ s:$t$ $$ $t$");
  EXPECT_EQ(shown("a$b größe _c"), "w:a$b w:größe w:_c");
  EXPECT_EQ(shown("((a))[1]{}"), "o:( o:( w:a o:) o:) o:[ n:1 o:] o:{ o:}");
}

TEST(Tokens, Operators) {
  EXPECT_EQ(shown("a=-1"), "w:a o:= o:- n:1");
  EXPECT_EQ(shown("a->>'b' a->'b' a::int x:=1 a||b"),
            "w:a o:->> s:'b' w:a o:-> s:'b' w:a o::: w:int w:x o::= n:1 w:a o:|| w:b");
  EXPECT_EQ(shown("a@-1 a<>b a!=b a<=b"), "w:a o:@- n:1 w:a o:<> w:b w:a o:!= w:b w:a o:<= w:b");
  EXPECT_EQ(shown("a+/*c*/b --x\n*c"), "w:a o:+ w:b o:* w:c");
}

TEST(Tokens, CommentsAndSpaces) {
  EXPECT_EQ(shown("/* a /* b */ ' */ 1 -- ' \n 2"), "n:1 n:2");
  EXPECT_EQ(shown("SELECT\u00a0a\u2003,\u3000b\ufeff"), "w:SELECT w:a o:, w:b");
  EXPECT_EQ(shown("'a\u00a0b'"), "s:'a\u00a0b'");
  EXPECT_EQ(shown(""), "");
  EXPECT_EQ(shown(" -- nothing"), "");
}

TEST(Tokens, Errors) {
  EXPECT_EQ(shown("SELECT 'abc"), "error: Unterminated quoted string in SQL batch");
  EXPECT_EQ(shown("'abc''"), "error: Unterminated quoted string in SQL batch");
  EXPECT_EQ(shown("E'abc\\'"), "error: Unterminated quoted string in SQL batch");
  EXPECT_EQ(shown("E'abc\\"), "error: Unterminated quoted string in SQL batch");
  EXPECT_EQ(shown("x'"), "error: Unterminated quoted string in SQL batch");
  EXPECT_EQ(shown("\"abc"), "error: Unterminated quoted identifier in SQL batch");
  EXPECT_EQ(shown("$t$ $$"), "error: Unterminated dollar-quoted string in SQL batch");
  EXPECT_EQ(shown("/* /* */"), "error: Unterminated block comment in SQL batch");
  EXPECT_EQ(shown("/*/"), "error: Unterminated block comment in SQL batch");
  EXPECT_EQ(shown(std::string_view("a\0b", 3)), "error: SQL text contains a NUL byte");
  EXPECT_EQ(shown("a \xff"), "error: SQL text is not valid UTF-8");
  EXPECT_EQ(shown("U&'a'").substr(0, 6), "error:");
  EXPECT_EQ(tokenize("'").error().code, ErrorCode::kBatchParse);
}

TEST(Tokens, Unquote) {
  EXPECT_EQ(value("'it''s'"), "it's");
  EXPECT_EQ(value("''"), "");
  EXPECT_EQ(value("'a\\n'"), "a\\n");
  EXPECT_EQ(value("E'a\\n\\t\\\\\\'''\\x41\\101\\u00e9\\U0001F600\\q'"), "a\n\t\\''AAé😀q");
  EXPECT_EQ(value("E'\\ud83d\\ude00'"), "😀");
  EXPECT_EQ(value("$$a'b$$"), "a'b");
  EXPECT_EQ(value("$x$a$$b$x$"), "a$$b");
  EXPECT_EQ(value("X'DEad'"), "DEad");
  EXPECT_EQ(value("\"a\"\"b\""), "a\"b");
  EXPECT_EQ(value("Word"), "Word");
  EXPECT_EQ(value("'a'\n  -- it's\n 'b'"), "ab");
}

TEST(Tokens, Split) {
  const auto statements = split_statements(" SELECT ';' ; ;; -- x;\n INSERT /* ; */ INTO t VALUES ($$;$$) ;");
  ASSERT_TRUE(statements);
  ASSERT_EQ(statements->size(), 2u);
  EXPECT_EQ((*statements)[0], "SELECT ';'");
  EXPECT_EQ((*statements)[1], "INSERT /* ; */ INTO t VALUES ($$;$$)");
  EXPECT_EQ(split_statements("EXECUTE AS USER 'a' (SELECT 1; SELECT 2); SELECT 3")->size(), 2u);
  EXPECT_EQ(split_statements("SELECT 1); SELECT 2")->size(), 2u);
  EXPECT_TRUE(split_statements(" ;; -- nothing\n")->empty());
  EXPECT_EQ(split_statements("SELECT 1; SELECT 'x").error().message, "Unterminated quoted string in SQL batch");
}

TEST(Tokens, LongInput) {
  EXPECT_EQ(tokenize(std::string(1 << 20, '('))->size(), 1u << 20);
  EXPECT_EQ(tokenize(std::string(1 << 20, '-'))->size(), 0u);
  EXPECT_EQ(tokenize(std::string(1 << 20, '+'))->size(), 1u << 20);
  EXPECT_FALSE(tokenize("SELECT " + std::string(1 << 20, '\'') + "'"));
}

// Where words, numbers and strings start, and the signs that KalamDB's own grammar and splitting depend on.
std::vector<size_t> starts(const std::string& sql) {
  std::vector<size_t> out;
  const auto tokens = tokenize(sql);
  for (const Token& token : *tokens) {
    if (token.kind != TokenKind::kOperator || std::strchr(";(),", sql[token.offset]) != nullptr) {
      out.push_back(token.offset);
    }
  }
  return out;
}

std::vector<size_t> duckdb_starts(const std::string& sql) {
  std::vector<size_t> out;
  for (const auto& token : duckdb::Parser::Tokenize(sql)) {
    const char c = sql[token.start];
    const bool sign = std::strchr("+-*/<>=~!@#%^&|`?:.[]{}$\\", c) != nullptr;
    if (c == '$' && token.type == duckdb::SimplifiedTokenType::SIMPLIFIED_TOKEN_OPERATOR) {
      if (token.start + 1 < sql.size() && std::isdigit(static_cast<unsigned char>(sql[token.start + 1]))) {
        out.push_back(token.start + 1);  // DuckDB's `$1` is our `$` and `1`
      }
    } else if (!sign || c == '$' ||
               (c == '.' && token.type == duckdb::SimplifiedTokenType::SIMPLIFIED_TOKEN_NUMERIC_CONSTANT)) {
      out.push_back(token.start);
    }
  }
  return out;
}

// Random texts of the characters and fragments on which the two could differ.
TEST(Tokens, AgreesWithDuckDb) {
  const std::vector<std::string> fragments = {
      "'", "''", "E'", "e'", "\\", "\\'", "\"", "\"\"", "--", "\n", "/*", "*/", "$$", "$a$", "$1", "x'", "b'",
      "a", "B1", "_",  "$",  "1",  "1.5", "1e", ".",    "..", ";",  "(",  ")",  ",",  " ",   "=",  "-",  "+",
      "<", ">",  "::", ":",  "|",  "@",   "é",  "n'",   "\t", "\r", "[",  "]",  "*",  "%",   "/",  "e",  "5_0",
  };
  std::mt19937 random(20240601);
  size_t compared = 0;
  for (int round = 0; round < 40'000; ++round) {
    std::string sql;
    for (size_t n = 1 + random() % 12; n > 0; --n) sql += fragments[random() % fragments.size()];
    if (!tokenize(sql) || sql.find("\"\"") != std::string::npos) continue;  // DuckDB stops at an empty identifier
    ++compared;
    ASSERT_EQ(starts(sql), duckdb_starts(sql)) << sql;
  }
  EXPECT_GT(compared, 5'000u);
}

}  // namespace
}  // namespace kalamdb::duck
