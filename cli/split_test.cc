#include <gtest/gtest.h>

#include "cli/sql_split.h"

namespace kalamdb::cli {
namespace {

std::vector<std::string> texts(std::string_view sql) {
  std::vector<std::string> out;
  for (const SqlPiece& piece : split_sql(sql)) out.emplace_back(piece.text);
  return out;
}

using Texts = std::vector<std::string>;

TEST(SplitSql, EndsStatementsAtSemicolonsOutsideQuotesAndComments) {
  EXPECT_EQ(texts("SELECT 1; SELECT 2;"), (Texts{"SELECT 1", "SELECT 2"}));
  EXPECT_EQ(texts("SELECT ';', ';'';' ;x;"), (Texts{"SELECT ';', ';'';'", "x"}));
  EXPECT_EQ(texts("SELECT \"a;\"\"b\"; y"), (Texts{"SELECT \"a;\"\"b\"", "y"}));
  EXPECT_EQ(texts("SELECT 1 -- one; two\n; SELECT /* ; /* ; */ ; */ 2;"),
            (Texts{"SELECT 1 -- one; two", "SELECT /* ; /* ; */ ; */ 2"}));
  EXPECT_EQ(texts("SELECT $$a;b$$, $t$ ; $$ ; $t$; z;"), (Texts{"SELECT $$a;b$$, $t$ ; $$ ; $t$", "z"}));
  EXPECT_EQ(texts("SELECT $1; SELECT a$b$c; SELECT $2;"), (Texts{"SELECT $1", "SELECT a$b$c", "SELECT $2"}));
  EXPECT_EQ(texts("SELECT E'it\\';s'; SELECT 'a\\'; b;"), (Texts{"SELECT E'it\\';s'", "SELECT 'a\\'", "b"}));
}

TEST(SplitSql, LeavesOutEmptyStatementsAndLeadingComments) {
  EXPECT_EQ(texts(" ;; -- only a comment\n /* another */ ;"), Texts{});
  EXPECT_EQ(texts("-- about it\nSELECT 1;"), Texts{"SELECT 1"});
}

TEST(SplitSql, KnowsLinesAndWhatIsStillOpen) {
  const auto pieces = split_sql("SELECT 1;\n\n-- note\nSELECT 2;\nSELECT 'open;\n");
  ASSERT_EQ(pieces.size(), 3u);
  EXPECT_EQ(pieces[0].line, 1u);
  EXPECT_EQ(pieces[1].line, 4u);
  EXPECT_EQ(pieces[2].line, 5u);
  EXPECT_TRUE(pieces[1].complete);
  EXPECT_FALSE(pieces[2].complete);
  EXPECT_FALSE(split_sql("SELECT 1").front().complete);
  EXPECT_FALSE(split_sql("SELECT 1 /* ;").front().complete);
  EXPECT_FALSE(split_sql("SELECT $$ ;").front().complete);
}

TEST(SplitSql, TakesBackslashLinesAsCommands) {
  const auto pieces = split_sql("\\dt\nSELECT 1;\n\\d app.notes\n");
  ASSERT_EQ(pieces.size(), 3u);
  EXPECT_TRUE(pieces[0].meta);
  EXPECT_EQ(pieces[0].text, "\\dt");
  EXPECT_FALSE(pieces[1].meta);
  EXPECT_EQ(pieces[2].text, "\\d app.notes");
}

TEST(JoinTransactions, KeepsATransactionInOnePiece) {
  const std::string_view sql = "SELECT 0; BEGIN; INSERT a; INSERT b; COMMIT; SELECT 1; START TRANSACTION; X;";
  const auto pieces = join_transactions(sql, split_sql(sql));
  ASSERT_EQ(pieces.size(), 4u);
  EXPECT_EQ(pieces[1].text, "BEGIN; INSERT a; INSERT b; COMMIT");
  EXPECT_TRUE(pieces[1].complete);
  EXPECT_EQ(pieces[2].text, "SELECT 1");
  EXPECT_EQ(pieces[3].text, "START TRANSACTION; X");
  EXPECT_FALSE(pieces[3].complete);
}

}  // namespace
}  // namespace kalamdb::cli
