// ALTER TABLE … ADD, DROP, RENAME and ALTER COLUMN, but for changes of type.
#include <algorithm>

#include "model/names.h"
#include "model/row_codec.h"
#include "query/altered_column.h"
#include "query/column_parser.h"
#include "query/constraints.h"
#include "query/row_values.h"
#include "query/system_tables.h"

namespace kalamdb::query {

using model::ColumnDefault;
using model::ColumnDefinition;
using model::TableDefinition;

namespace {

// Differs from row to row.
bool is_volatile(const ColumnDefault& value) {
  return value.kind == ColumnDefault::Kind::kFunction && value.function != "NOW" && value.function != "CURRENT_USER";
}

class AddColumn : public Alteration {
 public:
  AddColumn(ColumnDefinition column, std::vector<model::CheckConstraint> checks, bool if_not_exists)
      : column_(std::move(column)), checks_(std::move(checks)), if_not_exists_(if_not_exists) {}

  Result<Outcome> apply(const Services& services, const StatementContext& context,
                        TableDefinition& table) const override {
    Outcome outcome{.description = "ADD COLUMN " + column_.name + " " + sql_name(column_.type)};
    if (table.find_column(column_.name) != nullptr) {
      if (!if_not_exists_) return refuse("Column " + named(column_.name) + " already exists");
      outcome.changed = false;
      return outcome;
    }
    ColumnDefinition column = column_;
    column.ordinal = table.max_ordinal() + 1;
    KALAM_TRY(const uint32_t slot, new_slot(table));
    if (slot != column.ordinal) column.own_slot = slot;
    // What rows that are there read as, for good: later changes of the default are for later rows.
    if (is_volatile(column.default_value)) {
      outcome.check =
          no_rows("Cannot add column " + named(column.name) + " with DEFAULT " + column.default_value.function +
                  "() to a table that has rows, since each would need a value of its own; add it without a "
                  "DEFAULT, fill it with UPDATE, then use ALTER COLUMN … SET DEFAULT");
    } else {
      RowValues values(services, context, services.clock.now_us());
      KALAM_TRY(model::Value missing, values.default_of(column));
      column.older_rows = model::OlderRows{.former = {}, .missing = std::move(missing)};
    }
    if (!column.nullable && !outcome.check && model::is_null(column.older_rows->missing)) {
      outcome.check = no_rows("Cannot add NOT NULL column " + named(column.name) + " without a DEFAULT");
    }
    table.columns.push_back(std::move(column));
    for (const auto& check : checks_) KALAM_CHECK(add_check(services, table, check));
    return outcome;
  }

 private:
  // In rows that are there the column is the same everywhere, so that one stands for all.
  static Result<> add_check(const Services& services, TableDefinition& table, model::CheckConstraint check) {
    KALAM_CHECK(bind_check(services, table, check));
    const ColumnDefinition& column = table.columns.back();
    if (check.ordinals != std::vector{column.ordinal}) {
      return fail(ErrorCode::kNotImplemented,
                  "A CHECK in ADD COLUMN is on the new column only; add others with ADD CONSTRAINT");
    }
    model::Row row(table.columns.size());
    row.back() = column.older_rows->missing;
    KALAM_TRY(const bool meets, meets_check(services, table, check, model::encode_row(table, row)));
    if (!meets) {
      return fail(ErrorCode::kConstraintViolation, "The DEFAULT of column " + named(column.name) +
                                                       " does not meet the CHECK constraint '" + check.name + "'");
    }
    table.checks.push_back(std::move(check));
    return {};
  }

  static std::function<Result<>(const ExistingRows&)> no_rows(std::string refusal) {
    return [refusal = std::move(refusal)](const ExistingRows& rows) -> Result<> {
      KALAM_TRY(const bool has_rows, rows.any("true"));
      if (has_rows) return refuse(refusal);
      return {};
    };
  }

  ColumnDefinition column_;
  std::vector<model::CheckConstraint> checks_;
  bool if_not_exists_;
};

class DropColumn : public Alteration {
 public:
  DropColumn(std::string name, bool if_exists) : name_(std::move(name)), if_exists_(if_exists) {}

  Result<Outcome> apply(const Services&, const StatementContext&, TableDefinition& table) const override {
    Outcome outcome{.description = "DROP COLUMN " + name_};
    if (if_exists_ && table.find_column(name_) == nullptr) {
      outcome.changed = false;
      return outcome;
    }
    KALAM_TRY(const ColumnDefinition* column, find_column(table, name_, "drop", "modified"));
    if (column->is_primary_key() || column->partition_key) {
      return refuse("Cannot drop column " + named(name_) + ": it is part of the " +
                    (column->is_primary_key() ? "PRIMARY KEY" : "PARTITION BY"));
    }
    KALAM_CHECK(check_unconstrained(table, *column));
    const auto own = std::ranges::count_if(table.columns, [](const auto& other) { return !other.is_system(); });
    if (own == 1) return refuse("Cannot drop column " + named(name_) + ": it is the only one");
    table.columns.erase(table.columns.begin() + (column - table.columns.data()));
    return outcome;
  }

 private:
  std::string name_;
  bool if_exists_;
};

class RenameColumn : public Alteration {
 public:
  RenameColumn(std::string from, std::string to) : from_(std::move(from)), to_(std::move(to)) {}

  Result<Outcome> apply(const Services&, const StatementContext&, TableDefinition& table) const override {
    KALAM_TRY(ColumnDefinition * column, column_to_modify(table, from_));
    const ColumnDefinition* taken = table.find_column(to_);
    if (taken != nullptr && taken != column) return refuse("Column " + named(to_) + " already exists");
    KALAM_CHECK(check_unconstrained(table, *column));
    Outcome outcome{.changed = column->name != to_, .description = "RENAME COLUMN " + from_ + " TO " + to_};
    column->name = to_;
    return outcome;
  }

 private:
  std::string from_;
  std::string to_;
};

class SetNullable : public Alteration {
 public:
  SetNullable(std::string name, bool nullable) : name_(std::move(name)), nullable_(nullable) {}

  Result<Outcome> apply(const Services&, const StatementContext&, TableDefinition& table) const override {
    Outcome outcome{.description = "ALTER COLUMN " + name_ + (nullable_ ? " DROP NOT NULL" : " SET NOT NULL")};
    KALAM_TRY(ColumnDefinition * column, column_to_modify(table, name_));
    outcome.changed = column->nullable != nullable_;
    KALAM_TRY(outcome.check, set_nullable(*column, nullable_));
    return outcome;
  }

 private:
  std::string name_;
  bool nullable_;
};

class SetDefault : public Alteration {
 public:
  // `text` is what follows DEFAULT; nullopt drops it.
  SetDefault(std::string name, std::optional<std::string> text) : name_(std::move(name)), text_(std::move(text)) {}

  Result<Outcome> apply(const Services&, const StatementContext&, TableDefinition& table) const override {
    KALAM_TRY(ColumnDefinition * column, column_to_modify(table, name_));
    ColumnDefault value;
    if (text_) {
      // What it means depends on the column's type.
      KALAM_TRY(auto tokens, duck::tokenize(*text_));
      TokenReader reader(*text_, std::move(tokens));
      KALAM_TRY(value, read_default(reader, *column));
      KALAM_CHECK(reader.end());
    }
    Outcome outcome{.changed = column->default_value != value};
    column->default_value = std::move(value);
    outcome.description = "ALTER COLUMN " + name_;
    outcome.description += text_ ? " SET DEFAULT " + std::get<std::string>(default_text(*column)) : " DROP DEFAULT";
    return outcome;
  }

 private:
  std::string name_;
  std::optional<std::string> text_;
};

Result<std::string> read_name(TokenReader& reader, std::string_view what) {
  KALAM_TRY(Name name, reader.name(what));
  return std::move(name.text);
}

}  // namespace

ParsedAlteration parse_add_column(TokenReader& reader) {
  const bool if_not_exists = reader.accept({"if", "not", "exists"});
  const size_t position = reader.position();
  KALAM_TRY(const std::string name, read_name(reader, "a column name"));
  if (model::is_reserved_column(name)) {
    return refuse("Cannot add column " + named(name) + ": reserved system column name");
  }
  reader.rewind(position);
  std::vector<model::CheckConstraint> checks;
  KALAM_TRY(ColumnDefinition column, read_column(reader, checks));
  if (column.is_primary_key()) {
    return refuse("Cannot add column " + named(name) + " as PRIMARY KEY: the key of a table stays as it was created");
  }
  if (reader.peek({"first"}) || reader.peek({"after"})) {
    return fail(ErrorCode::kNotImplemented, "FIRST and AFTER are not supported: a new column is the last one");
  }
  return std::make_unique<AddColumn>(std::move(column), std::move(checks), if_not_exists);
}

ParsedAlteration parse_drop_column(TokenReader& reader) {
  const bool if_exists = reader.accept({"if", "exists"});
  KALAM_TRY(std::string name, read_name(reader, "a column name"));
  if (reader.accept("cascade")) {
    return fail(ErrorCode::kNotImplemented, "DROP COLUMN … CASCADE is not supported: drop what uses the column first");
  }
  (void)reader.accept("restrict");
  return std::make_unique<DropColumn>(std::move(name), if_exists);
}

ParsedAlteration parse_alter_column(TokenReader& reader) {
  KALAM_TRY(std::string name, read_name(reader, "a column name"));
  if (reader.accept({"set", "not", "null"})) return std::make_unique<SetNullable>(std::move(name), false);
  if (reader.accept({"drop", "not", "null"})) return std::make_unique<SetNullable>(std::move(name), true);
  if (reader.accept({"drop", "default"})) return std::make_unique<SetDefault>(std::move(name), std::nullopt);
  if (reader.accept({"set", "default"})) {
    std::string text(reader.sql().substr(reader.offset()));
    if (reader.at_end()) return fail(reader.unexpected("a default value"));
    while (!reader.at_end()) reader.skip();
    return std::make_unique<SetDefault>(std::move(name), std::move(text));
  }
  if (reader.accept({"set", "data", "type"}) || reader.accept("type")) {
    return parse_column_type(reader, std::move(name));
  }
  return fail(reader.unexpected("SET NOT NULL, DROP NOT NULL, SET DEFAULT, DROP DEFAULT or TYPE"));
}

ParsedAlteration parse_rename_column(TokenReader& reader) {
  KALAM_TRY(std::string from, read_name(reader, "a column name"));
  KALAM_CHECK(reader.expect("to"));
  KALAM_TRY(Name to, reader.name("a new column name"));
  if (model::is_reserved_column(to.text)) {
    return refuse("Cannot rename column to " + named(to.text) + ": reserved system column name");
  }
  KALAM_CHECK(model::validate_column_name(to.text, to.quoted));
  return std::make_unique<RenameColumn>(std::move(from), std::move(to.text));
}

}  // namespace kalamdb::query
