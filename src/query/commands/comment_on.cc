// COMMENT ON TABLE [ns.]t IS 'text' | NULL; COMMENT ON COLUMN [ns.]t.c IS 'text' | NULL
#include "query/alteration.h"
#include "query/commands.h"

namespace kalamdb::query {

namespace {

class SetComment : public Alteration {
 public:
  // `column` is empty for the table's own; `text` is empty for none.
  SetComment(std::string column, std::string text) : column_(std::move(column)), text_(std::move(text)) {}

  Result<Outcome> apply(const Services&, const StatementContext&, model::TableDefinition& table) const override {
    std::string* comment = &table.comment;
    for (auto& column : table.columns) {
      if (equal_ignoring_case(column.name, column_)) comment = &column.comment;
    }
    if (!column_.empty() && comment == &table.comment) {
      return fail(ErrorCode::kInvalidOperation, "Column '" + column_ + "' does not exist");
    }
    Outcome outcome{.changed = *comment != text_};
    outcome.description = column_.empty() ? "COMMENT ON TABLE" : "COMMENT ON COLUMN " + column_;
    *comment = text_;
    return outcome;
  }

 private:
  std::string column_;
  std::string text_;
};

}  // namespace

ParsedCommand parse_comment_on(TokenReader& reader) {
  const bool of_column = reader.accept("column");
  if (!of_column) KALAM_CHECK(reader.expect("table"));
  std::vector<std::string> names;
  do {
    KALAM_TRY(Name name, reader.name("a name"));
    names.push_back(std::move(name.text));
  } while (reader.accept("."));
  std::string column;
  if (of_column) {
    column = std::move(names.back());
    names.pop_back();
  }
  if (names.empty() || names.size() > 2) {
    return fail(ErrorCode::kInvalidSql,
                of_column ? "COMMENT ON COLUMN needs table.column" : "Too many names for a table");
  }
  KALAM_CHECK(reader.expect("is"));
  std::string text;
  if (!reader.accept("null")) {
    KALAM_TRY(text, reader.string("a comment in quotes, or NULL"));
  }
  KALAM_CHECK(reader.end());
  const QualifiedName table{names.size() == 2 ? lower(names.front()) : "", lower(names.back())};
  return alter_table(table, false, std::make_unique<SetComment>(std::move(column), std::move(text)));
}

}  // namespace kalamdb::query
