#include <gtest/gtest.h>

#include "cli/import_batch.h"
#include "cli/import_columns.h"
#include "cli/import_sender.h"
#include "cli/import_source.h"

namespace kalamdb::cli {
namespace {

// Each record as "line:field|field|…", NULL for an empty field without quotes.
std::vector<std::string> csv(std::string_view text) {
  InputBuffer input;
  input.open_text(text);
  CsvReader reader(input);
  std::vector<std::string> out;
  Record record;
  std::vector<CsvField> fields;
  std::string problem;
  while (*reader.next(record, fields, problem)) {
    std::string line = std::to_string(record.line) + ":";
    for (size_t i = 0; i < fields.size(); ++i) {
      if (i > 0) line += '|';
      line += fields[i].text.empty() && !fields[i].quoted ? "NULL" : std::string(fields[i].text);
    }
    out.push_back(problem.empty() ? line : line + "bad");
  }
  return out;
}

using Texts = std::vector<std::string>;

TEST(Csv, ReadsFieldsAsTheStandardSays) {
  EXPECT_EQ(csv("a,b\n1,2\n"), (Texts{"1:a|b", "2:1|2"}));
  EXPECT_EQ(csv("a,b\r\n1,\"x,y\"\r\n"), (Texts{"1:a|b", "2:1|x,y"}));
  EXPECT_EQ(csv("\"a \"\"b\"\"\",\"\"\"\"\n"), Texts{"1:a \"b\"|\""});
  EXPECT_EQ(csv("a,\"two\nlines\",c\nnext,,\n"), (Texts{"1:a|two\nlines|c", "3:next|NULL|NULL"}));
  EXPECT_EQ(csv("a,\"\",\n\n\nb,c,d"), (Texts{"1:a||NULL", "4:b|c|d"}));
  EXPECT_EQ(csv("a,\"last\""), Texts{"1:a|last"});
  EXPECT_EQ(csv(""), Texts{});
}

TEST(Csv, SaysWhichLineHasWrongQuotes) {
  EXPECT_EQ(csv("a\n\"x\"y\nb\n"), (Texts{"1:a", "2:bad", "3:b"}));
  EXPECT_EQ(csv("a\n\"open\nb\n"), (Texts{"1:a", "2:bad", "3:b"}));
}

TEST(Csv, ReadsRecordsLargerThanTheFirstBuffer) {
  const std::string path = testing::TempDir() + "kalam_large.csv";
  const std::string large(3 << 20, 'x');
  std::FILE* file = std::fopen(path.c_str(), "w");
  ASSERT_NE(file, nullptr);
  std::fprintf(file, "\xEF\xBB\xBFhead,b\n1,\"%s\"\n2,y\n", large.c_str());
  std::fclose(file);
  InputBuffer input;
  ASSERT_TRUE(input.open(path));
  CsvReader reader(input);
  Record record;
  std::vector<CsvField> fields;
  std::string problem;
  ASSERT_TRUE(*reader.next(record, fields, problem));
  EXPECT_EQ(fields[0].text, "head");
  ASSERT_TRUE(*reader.next(record, fields, problem));
  EXPECT_EQ(fields[1].text, large);
  ASSERT_TRUE(*reader.next(record, fields, problem));
  EXPECT_EQ(fields[1].text, "y");
  EXPECT_EQ(record.line, 3u);
  EXPECT_FALSE(*reader.next(record, fields, problem));
  std::remove(path.c_str());
}

TEST(Lines, SkipsBlankOnesAndCountsThem) {
  InputBuffer input;
  input.open_text("{}\n\n  \r\n{\"a\":1}\r\nlast");
  LineReader reader(input);
  Record record;
  ASSERT_TRUE(*reader.next(record));
  EXPECT_EQ(record.line, 1u);
  ASSERT_TRUE(*reader.next(record));
  EXPECT_EQ(record.text, "{\"a\":1}");
  EXPECT_EQ(record.line, 4u);
  ASSERT_TRUE(*reader.next(record));
  EXPECT_EQ(record.text, "last");
  EXPECT_EQ(record.line, 5u);
  EXPECT_FALSE(*reader.next(record));
}

std::string literal(ColumnClass type, std::string_view text) {
  std::string out;
  return append_text_literal(out, type, text) ? out : "refused";
}

TEST(Literals, AreCheckedByColumn) {
  EXPECT_EQ(literal(ColumnClass::kText, "it's"), "'it''s'");
  EXPECT_EQ(literal(ColumnClass::kInteger, "-12"), "-12");
  EXPECT_EQ(literal(ColumnClass::kInteger, "1.5"), "refused");
  EXPECT_EQ(literal(ColumnClass::kInteger, "1); DROP TABLE t"), "refused");
  EXPECT_EQ(literal(ColumnClass::kNumber, "1.5e-3"), "1.5e-3");
  EXPECT_EQ(literal(ColumnClass::kNumber, "NaN"), "refused");
  EXPECT_EQ(literal(ColumnClass::kNumber, "."), "refused");
  EXPECT_EQ(literal(ColumnClass::kNumber, "1e"), "refused");
  EXPECT_EQ(literal(ColumnClass::kBoolean, "T"), "TRUE");
  EXPECT_EQ(literal(ColumnClass::kBoolean, "maybe"), "refused");
  std::string out;
  EXPECT_TRUE(append_bytes_literal(out, "[0,255,16]"));
  EXPECT_EQ(out, "X'00FF10'");
  EXPECT_FALSE(append_bytes_literal(out, "[256]"));
  out.clear();
  EXPECT_TRUE(append_number_literal(out, ColumnClass::kText, "1.50"));
  EXPECT_EQ(out, "'1.50'");
}

TEST(Literals, ColumnClassesComeFromSqlNames) {
  EXPECT_EQ(column_class("BIGINT"), ColumnClass::kInteger);
  EXPECT_EQ(column_class("decimal(10,2)"), ColumnClass::kNumber);
  EXPECT_EQ(column_class("TIMESTAMP"), ColumnClass::kTime);
  EXPECT_EQ(column_class("EMBEDDING(3)"), ColumnClass::kText);
  EXPECT_EQ(column_class("BYTES"), ColumnClass::kBytes);
}

class Batches : public testing::Test {
 protected:
  void add(const std::vector<std::pair<size_t, std::string>>& cells, std::string_view user, uint64_t line) {
    builder_.start_row();
    for (const auto& [column, text] : cells) {
      builder_.cell() += text;
      builder_.end_cell(column);
    }
    ASSERT_TRUE(builder_.end_row(user, line, ""));
  }

  ImportColumns columns_{{{"id", ColumnClass::kInteger}, {"Name", ColumnClass::kText}}};
  std::vector<Batch> full_;
  BatchBuilder builder_{columns_, {.table = "app.t", .max_rows = 2, .skip_conflicts = true}, [this](Batch batch) {
                          full_.push_back(std::move(batch));
                        }};
};

TEST_F(Batches, PutCellsInTheTablesOrderAndCutByRows) {
  add({{1, "'a'"}, {0, "1"}}, "", 1);
  add({{0, "2"}, {1, "'b'"}}, "", 2);
  add({{0, "3"}, {1, "'c'"}}, "", 3);
  builder_.flush();
  ASSERT_EQ(full_.size(), 2u);
  EXPECT_EQ(full_[0].sql(0, 2), "INSERT INTO app.t (\"id\",\"Name\") VALUES (1,'a'),(2,'b') ON CONFLICT DO NOTHING");
  EXPECT_EQ(full_[0].sql(1, 2), "INSERT INTO app.t (\"id\",\"Name\") VALUES (2,'b') ON CONFLICT DO NOTHING");
  EXPECT_EQ(full_[1].line(0), 3u);
}

TEST_F(Batches, KeepUsersAndMissingColumnsApart) {
  add({{0, "1"}, {1, "'a'"}}, "o'hara", 1);
  add({{0, "2"}, {1, "'b'"}}, "mary", 2);
  add({{0, "3"}}, "mary", 3);
  builder_.flush();
  ASSERT_EQ(full_.size(), 3u);
  std::vector<std::string> statements;
  for (const Batch& batch : full_) statements.push_back(batch.sql(0, batch.size()));
  std::sort(statements.begin(), statements.end());
  EXPECT_EQ(statements[0], "EXECUTE AS USER 'mary' (INSERT INTO app.t (\"id\") VALUES (3) ON CONFLICT DO NOTHING)");
  EXPECT_EQ(statements[2],
            "EXECUTE AS USER 'o''hara' (INSERT INTO app.t (\"id\",\"Name\") VALUES (1,'a') ON CONFLICT DO NOTHING)");
}

TEST_F(Batches, NeverOutgrowTheServersLimit) {
  const std::string large = "'" + std::string(700'000, 'x') + "'";
  add({{0, "1"}, {1, large}}, "", 1);
  add({{0, "2"}, {1, large}}, "", 2);
  ASSERT_EQ(full_.size(), 1u);
  EXPECT_EQ(full_[0].size(), 1u);
  builder_.start_row();
  builder_.cell() += std::string(1 << 20, 'x');
  builder_.end_cell(1);
  EXPECT_FALSE(builder_.end_row("", 3, ""));
}

TEST(Columns, AreFoundWithoutRegardToCase) {
  const ImportColumns columns({{"id", ColumnClass::kInteger}, {"ID2", ColumnClass::kText}});
  EXPECT_EQ(columns.find("id", 1), 0u);
  EXPECT_EQ(columns.find("Id2", 0), 1u);
  EXPECT_EQ(columns.find("other", 0), std::nullopt);
}

TEST(Messages, NameTheirColumn) {
  EXPECT_EQ(column_in_message("NOT NULL constraint violation: column 'body' cannot be NULL (row 1)"), "body");
  EXPECT_EQ(column_in_message("Column 'x' does not exist"), "x");
  EXPECT_EQ(column_in_message("something else"), "");
}

}  // namespace
}  // namespace kalamdb::cli
