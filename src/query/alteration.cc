// The alterations that concern a table as a whole, and the grammar of all.
#include "query/alteration.h"

#include <algorithm>

#include "model/names.h"
#include "query/column_parser.h"
#include "query/constraints.h"
#include "query/create_table_parser.h"

namespace kalamdb::query {

using model::TableDefinition;

namespace {

// SET TBLPROPERTIES (option = value, …), SET ACCESS LEVEL level.
class SetOptions : public Alteration {
 public:
  SetOptions(OptionValues values, std::string description)
      : values_(std::move(values)), description_(std::move(description)) {}

  Result<> authorize(const TableDefinition& table, const auth::Actor& actor) const override {
    CreateTableAst ast;
    for (const auto& [name, value] : values_) {
      if (name != "access_level") continue;
      KALAM_CHECK(apply_table_option(ast, name, value));
      KALAM_CHECK(auth::check_set_access_level(table, ast.options.access_level, actor));
    }
    return auth::check_alter_table(table, actor);
  }

  Result<Outcome> apply(const Services& services, const StatementContext&, TableDefinition& table) const override {
    CreateTableAst ast;
    ast.options = table.options;
    for (const auto& [name, value] : values_) {
      if (name == "type") return fail(ErrorCode::kInvalidOperation, "Option type is fixed when a table is created");
      KALAM_CHECK(apply_table_option(ast, name, value));
    }
    if (ast.given.contains("access_level") && table.type != model::TableType::kShared) {
      return fail(ErrorCode::kInvalidOperation, "ACCESS LEVEL can only be set on SHARED tables");
    }
    KALAM_CHECK(check_table_options(ast, table.type));
    if (table.type == model::TableType::kStream) {
      KALAM_CHECK(settle_eviction(ast, /*is_new=*/false, services.limits.default_stream_ttl_seconds));
    }
    const bool changed = table.options != ast.options;
    table.options = std::move(ast.options);
    return Outcome{.changed = changed, .description = description_};
  }

 private:
  OptionValues values_;
  std::string description_;
};

class RenameTable : public Alteration {
 public:
  explicit RenameTable(std::string name) : name_(std::move(name)) {}

  Result<Outcome> apply(const Services&, const StatementContext&, TableDefinition& table) const override {
    const bool changed = table.name != name_;
    table.name = name_;
    return Outcome{.changed = changed, .description = "RENAME TO " + name_};
  }

 private:
  std::string name_;
};

class AddCheck : public Alteration {
 public:
  explicit AddCheck(model::CheckConstraint check) : check_(std::move(check)) {}

  Result<Outcome> apply(const Services& services, const StatementContext&, TableDefinition& table) const override {
    model::CheckConstraint check = check_;
    KALAM_CHECK(bind_check(services, table, check));
    Outcome outcome{.description = "ADD CONSTRAINT " + check.name + " CHECK (" + check.expression + ")"};
    outcome.check = [check](const ExistingRows& rows) -> Result<> {
      KALAM_TRY(const bool violated, rows.any("(NOT (" + check.expression + "\n))"));
      if (!violated) return {};
      return fail(ErrorCode::kConstraintViolation,
                  "CHECK constraint '" + check.name + "' is not met by a row that is there");
    };
    table.checks.push_back(std::move(check));
    return outcome;
  }

 private:
  model::CheckConstraint check_;
};

class DropConstraint : public Alteration {
 public:
  DropConstraint(std::string name, bool if_exists) : name_(std::move(name)), if_exists_(if_exists) {}

  Result<Outcome> apply(const Services&, const StatementContext&, TableDefinition& table) const override {
    const auto removed = std::erase_if(table.checks, [&](const auto& check) { return check.name == name_; });
    if (removed == 0 && !if_exists_) {
      return fail(ErrorCode::kInvalidOperation, "Constraint '" + name_ + "' does not exist");
    }
    return Outcome{.changed = removed > 0, .description = "DROP CONSTRAINT " + name_};
  }

 private:
  std::string name_;
  bool if_exists_;
};

ParsedAlteration parse_add_constraint(TokenReader& reader) {
  KALAM_TRY(std::string name, read_constraint_name(reader));
  if (!reader.peek({"check"})) {
    return fail(ErrorCode::kNotImplemented,
                "ALTER TABLE can add a CHECK constraint; the key of a table stays as it was "
                "created, and UNIQUE and FOREIGN KEY are not supported yet");
  }
  KALAM_TRY(model::CheckConstraint check, read_check(reader, std::move(name)));
  return std::make_unique<AddCheck>(std::move(check));
}

ParsedAlteration parse_drop_constraint(TokenReader& reader) {
  const bool if_exists = reader.accept({"if", "exists"});
  KALAM_TRY(const Name name, reader.name("a constraint name"));
  return std::make_unique<DropConstraint>(lower(name.text), if_exists);
}

ParsedAlteration parse_set(TokenReader& reader) {
  if (reader.accept({"access", "level"})) {
    KALAM_TRY(std::string level, reader.string_or_word("an access level"));
    CreateTableAst ast;
    KALAM_CHECK(apply_table_option(ast, "access_level", level));
    std::string description = "SET ACCESS LEVEL " + std::string(pascal_name(ast.options.access_level));
    return std::make_unique<SetOptions>(OptionValues{{"access_level", std::move(level)}}, std::move(description));
  }
  if (!reader.accept("tblproperties")) return fail(reader.unexpected("ACCESS LEVEL or TBLPROPERTIES"));
  KALAM_TRY(auto values, read_option_values(reader));
  std::string description = "SET TBLPROPERTIES (";
  for (const auto& [name, value] : values) description += name + " = '" + value + "', ";
  description.replace(description.size() - 2, 2, ")");
  return std::make_unique<SetOptions>(std::move(values), std::move(description));
}

ParsedAlteration parse_rename(TokenReader& reader) {
  if (reader.accept("to")) {
    KALAM_TRY(const Name name, reader.name("a new table name"));
    KALAM_CHECK(model::validate_table_name(lower(name.text)));
    return rename_table(lower(name.text));
  }
  (void)reader.accept("column");
  return parse_rename_column(reader);
}

ParsedAlteration parse_operation(TokenReader& reader) {
  const bool adds = reader.accept("add");
  if (adds) {
    for (const char* word : {"constraint", "check", "primary", "unique", "foreign"}) {
      if (reader.peek({word})) return parse_add_constraint(reader);
    }
  }
  if (adds || reader.accept("drop")) {
    if (!adds && reader.accept("constraint")) return parse_drop_constraint(reader);
    (void)reader.accept("column");
    return adds ? parse_add_column(reader) : parse_drop_column(reader);
  }
  if (reader.accept("modify")) {
    (void)reader.accept("column");
    return parse_modify_column(reader);
  }
  if (reader.accept("alter")) {
    (void)reader.accept("column");
    return parse_alter_column(reader);
  }
  if (reader.accept("rename")) return parse_rename(reader);
  if (reader.accept("set")) return parse_set(reader);
  return fail(reader.unexpected("ADD, DROP, MODIFY, ALTER, RENAME or SET"));
}

}  // namespace

std::unique_ptr<const Alteration> rename_table(std::string name) {
  return std::make_unique<RenameTable>(std::move(name));
}

ParsedAlteration parse_alteration(TokenReader& reader) {
  for (const char* verb : {"create", "drop"}) {
    if (reader.peek({verb, "index"}) || reader.peek({verb, "vector", "index"})) {
      return fail(ErrorCode::kNotImplemented, "Indexes are not supported yet; leave them out");
    }
  }
  KALAM_TRY(auto alteration, parse_operation(reader));
  if (reader.peek({","})) {
    return fail(ErrorCode::kInvalidSql, "ALTER TABLE takes one operation; write a statement for each");
  }
  KALAM_CHECK(reader.end());
  return alteration;
}

}  // namespace kalamdb::query
