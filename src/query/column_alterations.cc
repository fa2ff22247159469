// ALTER TABLE … ADD, DROP, RENAME, MODIFY and ALTER COLUMN.
#include <algorithm>

#include "model/convert.h"
#include "model/names.h"
#include "query/alteration.h"
#include "query/column_parser.h"
#include "query/row_values.h"
#include "query/system_tables.h"

namespace kalamdb::query {

using model::ColumnDefault;
using model::ColumnDefinition;
using model::TableDefinition;

namespace {

std::unexpected<Error> refuse(std::string message) { return fail(ErrorCode::kInvalidOperation, std::move(message)); }

std::string named(const std::string& column) { return "'" + column + "'"; }

// The column of `table` that is to be altered. `refusal` is what a system column is answered with, behind its name.
Result<ColumnDefinition*> find_column(TableDefinition& table, const std::string& name, const char* action,
                                      const char* refusal) {
  const ColumnDefinition* column = table.find_column(name);
  if (model::is_reserved_column(name)) {
    return refuse(std::string("Cannot ") + action + " column " + named(name) + ": system column cannot be " + refusal);
  }
  if (column == nullptr) return refuse("Column " + named(name) + " does not exist");
  return const_cast<ColumnDefinition*>(column);
}

Result<ColumnDefinition*> column_to_modify(TableDefinition& table, const std::string& name) {
  return find_column(table, name, "modify", "altered");
}

// A CHECK is kept as text, which would not follow.
Result<> check_unconstrained(const TableDefinition& table, const ColumnDefinition& column) {
  for (const auto& check : table.checks) {
    if (std::ranges::find(check.ordinals, column.ordinal) == check.ordinals.end()) continue;
    return refuse("Column " + named(column.name) + " is used by the CHECK constraint '" + check.name +
                  "'; drop the constraint first");
  }
  return {};
}

Result<uint32_t> new_slot(const TableDefinition& table) {
  const uint32_t slot = table.max_slot() + 1;
  if (slot > UINT16_MAX)
    return refuse("Table " + table.qualified_name() + " has been altered too often; make a new one");
  return slot;
}

// Differs from row to row.
bool is_volatile(const ColumnDefault& value) {
  return value.kind == ColumnDefault::Kind::kFunction && value.function != "NOW" && value.function != "CURRENT_USER";
}

class AddColumn : public Alteration {
 public:
  AddColumn(ColumnDefinition column, bool if_not_exists) : column_(std::move(column)), if_not_exists_(if_not_exists) {}

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
      RowValues values(services, context);
      KALAM_TRY(column.missing, values.default_of(column));
    }
    if (!column.nullable && !outcome.check && model::is_null(column.missing)) {
      outcome.check = no_rows("Cannot add NOT NULL column " + named(column.name) + " without a DEFAULT");
    }
    table.columns.push_back(std::move(column));
    return outcome;
  }

 private:
  static std::function<Result<>(const ExistingRows&)> no_rows(std::string refusal) {
    return [refusal = std::move(refusal)](const ExistingRows& rows) -> Result<> {
      KALAM_TRY(const bool has_rows, rows.any("true"));
      if (has_rows) return refuse(refusal);
      return {};
    };
  }

  ColumnDefinition column_;
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

std::function<Result<>(const ExistingRows&)> no_nulls(const ColumnDefinition& column) {
  return [name = column.name](const ExistingRows& rows) -> Result<> {
    KALAM_TRY(const bool has_null, rows.any(quoted(name) + " IS NULL"));
    if (has_null) return refuse("Column " + named(name) + " has rows with NULL; UPDATE them before SET NOT NULL");
    return {};
  };
}

class SetNullable : public Alteration {
 public:
  SetNullable(std::string name, bool nullable) : name_(std::move(name)), nullable_(nullable) {}

  Result<Outcome> apply(const Services&, const StatementContext&, TableDefinition& table) const override {
    Outcome outcome{.description = "ALTER COLUMN " + name_ + (nullable_ ? " DROP NOT NULL" : " SET NOT NULL")};
    KALAM_TRY(ColumnDefinition * column, column_to_modify(table, name_));
    if (nullable_ && column->is_primary_key()) {
      return refuse("Column " + named(name_) + " is a PRIMARY KEY and cannot be nullable");
    }
    outcome.changed = column->nullable != nullable_;
    if (!nullable_) outcome.check = no_nulls(*column);
    column->nullable = nullable_;
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

class ModifyColumn : public Alteration {
 public:
  // `column` has the name, the new type and, if `nullable` is given, that too.
  ModifyColumn(ColumnDefinition column, std::optional<bool> nullable, const char* verb)
      : name_(std::move(column.name)), type_(column.type), nullable_(nullable), verb_(verb) {}

  Result<Outcome> apply(const Services& services, const StatementContext& context,
                        TableDefinition& table) const override {
    Outcome outcome{.changed = false};
    outcome.description = verb_ == "TYPE" ? "ALTER COLUMN " + name_ + " TYPE " : "MODIFY COLUMN " + name_ + " ";
    outcome.description += sql_name(type_);
    KALAM_TRY(ColumnDefinition * column, column_to_modify(table, name_));
    if (nullable_ && *nullable_ != column->nullable) {
      KALAM_TRY(const Outcome set, SetNullable(name_, *nullable_).apply(services, context, table));
      outcome.changed = true;
      outcome.check = set.check;
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
    const auto convert_in_definition = [&](model::Value& value, const char* role) -> Result<> {
      auto converted = model::convert(model::view(value), from, type_);
      if (!converted) return refuse(what + "its " + role + ": " + converted.error().message);
      value = *std::move(converted);
      return {};
    };
    KALAM_CHECK(convert_in_definition(column.default_value.literal, "DEFAULT does not convert"));
    KALAM_CHECK(convert_in_definition(column.missing, "value in older rows does not convert"));
    KALAM_TRY(const uint32_t slot, new_slot(table));
    const ColumnDefinition before = column;
    column.former.insert(column.former.begin(), {column.slot(), from});
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

Result<std::string> read_name(TokenReader& reader, std::string_view what) {
  KALAM_TRY(Name name, reader.name(what));
  return std::move(name.text);
}

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
  if (!checks.empty()) {
    return fail(ErrorCode::kNotImplemented, "ADD COLUMN takes no CHECK: add the column, then ADD CONSTRAINT");
  }
  if (column.is_primary_key()) {
    return refuse("Cannot add column " + named(name) + " as PRIMARY KEY: the key of a table stays as it was created");
  }
  if (reader.peek({"first"}) || reader.peek({"after"})) {
    return fail(ErrorCode::kNotImplemented, "FIRST and AFTER are not supported: a new column is the last one");
  }
  return std::make_unique<AddColumn>(std::move(column), if_not_exists);
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

ParsedAlteration parse_modify_column(TokenReader& reader) {
  KALAM_TRY(std::string name, read_name(reader, "a column name"));
  KALAM_TRY(ColumnDefinition column, read_new_type(reader, std::move(name)));
  std::optional<bool> nullable;
  if (reader.accept({"not", "null"})) {
    nullable = false;
  } else if (reader.accept("null")) {
    nullable = true;
  }
  return std::make_unique<ModifyColumn>(std::move(column), nullable, "MODIFY");
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
    KALAM_TRY(ColumnDefinition column, read_new_type(reader, std::move(name)));
    if (reader.peek({"using"})) {
      return fail(ErrorCode::kNotImplemented, "USING is not supported: values convert as a CAST converts them");
    }
    return std::make_unique<ModifyColumn>(std::move(column), std::nullopt, "TYPE");
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
