#include "cli/text.h"

#include <gtest/gtest.h>

#include "cli/table.h"

namespace kalamdb::cli {
namespace {

std::string sql_string(std::string_view text) {
  std::string out;
  append_sql_string(out, text);
  return out;
}

std::string json_string(std::string_view text) {
  std::string out;
  append_json_string(out, text);
  return out;
}

std::string printable(std::string_view text) {
  std::string out;
  append_printable(out, text);
  return out;
}

TEST(Text, SqlStringsDoubleTheirQuotes) {
  EXPECT_EQ(sql_string(""), "''");
  EXPECT_EQ(sql_string("it's"), "'it''s'");
  EXPECT_EQ(sql_string("'"), "''''");
  EXPECT_EQ(sql_string("''"), "''''''");
  EXPECT_EQ(sql_string("a\\b;--"), "'a\\b;--'");
}

TEST(Text, JsonStringsAreEscaped) { EXPECT_EQ(json_string("a\"b\\c\n\t\x01é"), "\"a\\\"b\\\\c\\n\\t\\u0001é\""); }

TEST(Text, PrintableTextCannotCommandTheTerminal) {
  EXPECT_EQ(printable("a\x1b[31m\nb\x7f"), "a\\x1b[31m\\nb\\x7f");
  EXPECT_EQ(printable("\xC2\x9B"
                      "x é"),
            "\\x9bx é");
}

TEST(Text, WidthCountsColumns) {
  use_utf8_locale();
  EXPECT_EQ(display_width("abc"), 3u);
  EXPECT_EQ(display_width("é"), 1u);
  EXPECT_EQ(display_width("e\u0301"), 1u);  // a combining accent takes no column
  EXPECT_EQ(display_width("日本"), 4u);
  EXPECT_EQ(display_width("\xff\xfe"), 2u);
}

TEST(Text, PrettyJsonKeepsEveryToken) {
  EXPECT_EQ(pretty_json(R"({"a":[1,2.50],"b":{},"c":[],"d":"x,{}:\"y"})"),
            "{\n  \"a\": [\n    1,\n    2.50\n  ],\n  \"b\": {},\n  \"c\": [],\n  \"d\": \"x,{}:\\\"y\"\n}");
}

TEST(Text, Base64Url) {
  EXPECT_EQ(decode_base64url("eyJhIjoxfQ"), "{\"a\":1}");
  EXPECT_EQ(decode_base64url("_-8"), "\xff\xef");
  EXPECT_EQ(decode_base64url("a*b"), "");
}

TEST(Table, AlignsWideCharacters) {
  use_utf8_locale();
  const Table table{{"id", "名前"}, {true, false}, {{"7", "日本"}, {"10", "a"}}};
  EXPECT_EQ(render_table(table),
            "┌────┬──────┐\n"
            "│ id │ 名前 │\n"
            "├────┼──────┤\n"
            "│  7 │ 日本 │\n"
            "│ 10 │ a    │\n"
            "└────┴──────┘\n");
  EXPECT_EQ(render_expanded(table), "─[ row 1 ]─\nid   │ 7\n名前 │ 日本\n─[ row 2 ]─\nid   │ 10\n名前 │ a\n");
}

}  // namespace
}  // namespace kalamdb::cli
