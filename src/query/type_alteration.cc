// ALTER TABLE … MODIFY COLUMN and ALTER COLUMN … TYPE.
#include "model/convert.h"
#include "query/altered_column.h"
#include "query/column_parser.h"

namespace kalamdb::query {

using model::ColumnDefault;
using model::ColumnDefinition;
using model::TableDefinition;

namespace {

class ModifyColumn : public Alteration {
 public:
  // `column` has the name, the new type and, if `nullable` is given, that too.
  ModifyColumn(ColumnDefinition column, std::optional<bool> nullable, const char* verb)
      : name_(std::move(column.name)), type_(column.type), nullable_(nullable), verb_(verb) {}

  Result<Outcome> apply(const Services&, const StatementContext&, TableDefinition& table) const override {
    Outcome outcome{.changed = false};
    outcome.description = verb_ == "TYPE" ? "ALTER COLUMN " + name_ + " TYPE " : "MODIFY COLUMN " + name_ + " ";
    outcome.description += sql_name(type_);
    KALAM_TRY(ColumnDefinition * column, column_to_modify(table, name_));
    if (nullable_ && *nullable_ != column->nullable) {
      KALAM_TRY(outcome.check, set_nullable(*column, *nullable_));
      outcome.changed = true;
    }
    if (column->type == type_) return outcome;
    outcome.changed = true;
    KALAM_TRY(auto converts, change_type(table, *column));
    if (!outcome.check) {
      outcome.check = std::move(converts);
    } else if (converts) {
      outcome.check = [first = outcome.check, converts](const ExistingRows& rows) -> Result<> {
        KALAM_CHECK(first(rows));
        return converts(rows);
      };
    }
    return outcome;
  }

 private:
  // Returns what existing values must do, if not every one converts.
  Result<std::function<Result<>(const ExistingRows&)>> change_type(const TableDefinition& table,
                                                                   ColumnDefinition& column) const {
    const model::DataType from = column.type;
    const std::string what = "Cannot change the type of column " + named(name_) + " from " + sql_name(from) + " to " +
                             sql_name(type_) + ": ";
    if (column.is_primary_key() || column.partition_key) return refuse(what + "it is part of the table's key");
    const model::Conversion conversion = model::conversion(from, type_);
    if (conversion == model::Conversion::kNone) return refuse(what + "there is no conversion between them");
    KALAM_CHECK(check_unconstrained(table, column));
    const auto converted = [&](const model::Value& value, const char* role) -> Result<model::Value> {
      auto result = model::convert(model::view(value), from, type_);
      if (!result) return refuse(what + "its " + role + ": " + result.error().message);
      return result;
    };
    KALAM_TRY(column.default_value.literal, converted(*column.default_value.literal, "DEFAULT does not convert"));
    KALAM_TRY(model::Value missing, converted(column.older_rows->missing, "value in older rows does not convert"));
    KALAM_TRY(const uint32_t slot, new_slot(table));
    const ColumnDefinition before = column;
    model::OlderRows& older = column.older_rows.edit();
    older.missing = std::move(missing);
    older.former.insert(older.former.begin(), {column.slot(), from});
    column.own_slot = slot;
    column.type = type_;
    if (conversion == model::Conversion::kAlways) return nullptr;
    return [before, to = type_, what](const ExistingRows& rows) -> Result<> {
      KALAM_TRY(const bool all, rows.all(before, [&](const model::ValueView& value) {
        return model::convert(value, before.type, to).has_value();
      }));
      if (!all) return refuse(what + "a value that is there does not convert; change or delete such rows first");
      return {};
    };
  }

  std::string name_;
  model::DataType type_;
  std::optional<bool> nullable_;
  std::string_view verb_;
};

// The type that a column is to have.
Result<ColumnDefinition> read_new_type(TokenReader& reader, std::string name) {
  ColumnDefinition column;
  column.name = std::move(name);
  KALAM_CHECK(read_type(reader, column));
  if (column.default_value.kind != ColumnDefault::Kind::kNone) {
    return refuse("Column " + named(column.name) +
                  ": SERIAL is BIGINT with a DEFAULT; use TYPE BIGINT, and SET DEFAULT "
                  "SNOWFLAKE_ID()");
  }
  return column;
}

}  // namespace

ParsedAlteration parse_modify_column(TokenReader& reader) {
  KALAM_TRY(Name name, reader.name("a column name"));
  KALAM_TRY(ColumnDefinition column, read_new_type(reader, std::move(name.text)));
  std::optional<bool> nullable;
  if (reader.accept({"not", "null"})) {
    nullable = false;
  } else if (reader.accept("null")) {
    nullable = true;
  }
  return std::make_unique<ModifyColumn>(std::move(column), nullable, "MODIFY");
}

ParsedAlteration parse_column_type(TokenReader& reader, std::string name) {
  KALAM_TRY(ColumnDefinition column, read_new_type(reader, std::move(name)));
  if (reader.peek({"using"})) {
    return fail(ErrorCode::kNotImplemented, "USING is not supported: values convert as a CAST converts them");
  }
  return std::make_unique<ModifyColumn>(std::move(column), std::nullopt, "TYPE");
}

}  // namespace kalamdb::query
