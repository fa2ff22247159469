// The alterations that concern a table as a whole, and the grammar of all.
#include "query/alteration.h"

#include <algorithm>

#include "model/names.h"
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

  Result<Outcome> apply(const Services&, const StatementContext&, TableDefinition& table) const override {
    CreateTableAst ast;
    ast.options = table.options;
    for (const auto& [name, value] : values_) {
      if (name == "type" || name == "storage_id" || name == "use_user_storage") {
        return fail(ErrorCode::kInvalidOperation, "Option " + name + " is fixed when a table is created");
      }
      KALAM_CHECK(apply_table_option(ast, name, value));
    }
    if (ast.has_access_level && table.type != model::TableType::kShared) {
      return fail(ErrorCode::kInvalidOperation, "ACCESS LEVEL can only be set on SHARED tables");
    }
    KALAM_CHECK(check_table_options(ast, table.type));
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
  if (adds || reader.accept("drop")) {
    for (const char* word : {"constraint", "check", "primary", "unique", "foreign"}) {
      if (reader.peek({word})) {
        return fail(ErrorCode::kNotImplemented, "ALTER TABLE changes no constraints yet; create the table with them");
      }
    }
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
