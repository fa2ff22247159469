// CREATE [OR REPLACE] VIEW [IF NOT EXISTS] [ns.]v [(column, …)] AS SELECT …
// DROP VIEW [IF EXISTS] [ns.]v
#include "query/views.h"

#include "auth/permissions.h"
#include "model/names.h"
#include "query/commands.h"
#include "query/system_tables.h"

namespace kalamdb::query {

namespace {

struct CreateViewAst {
  QualifiedName name;
  bool or_replace = false;
  bool if_not_exists = false;
  std::vector<std::string> columns;  // empty: those of the SELECT
  std::string text;                  // of the SELECT
  std::shared_ptr<const duck::Statement> select;
};

class CreateView : public Command {
 public:
  explicit CreateView(CreateViewAst ast) : ast_(std::move(ast)) {}

  Result<> authorize(const Caller& caller) const override {
    return auth::check_admin(auth::AdminArea::kView, caller.role);
  }

  Result<StatementResult> run(const Services& services, const StatementContext& context) const override {
    const std::string& namespace_id = namespace_of(ast_.name, context);
    if (is_system_namespace(namespace_id)) {
      return fail(ErrorCode::kInvalidOperation, "Views cannot be created in namespace '" + namespace_id + "'");
    }
    StatementResult result;
    result.message = "View " + namespace_id + "." + ast_.name.name + " created successfully";
    if (ast_.if_not_exists) {
      KALAM_TRY(const auto existing, services.catalog.find_table(namespace_id, ast_.name.name));
      if (existing != nullptr && existing->is_view()) return result;
    }

    KALAM_TRY(BoundView bound, bind_view(services, *ast_.select, context.namespace_id));
    model::TableDefinition draft;
    draft.namespace_id = namespace_id;
    draft.name = ast_.name.name;
    draft.type = model::TableType::kView;
    draft.columns = std::move(bound.columns);
    KALAM_CHECK(rename_columns(draft.columns));
    draft.view =
        model::ViewDefinition{ast_.text, context.namespace_id, std::move(bound.output), std::move(bound.tables)};
    draft.created_by = context.caller.user.value;
    KALAM_CHECK(services.catalog.create_view(std::move(draft), ast_.or_replace));
    rebind_views(services);
    return result;
  }

 private:
  // To those that are listed, of which there may be fewer.
  Result<> rename_columns(std::vector<model::ColumnDefinition>& columns) const {
    if (ast_.columns.size() > columns.size()) {
      return fail(ErrorCode::kInvalidSql, "CREATE VIEW names " + std::to_string(ast_.columns.size()) +
                                              " columns, but its SELECT gives " + std::to_string(columns.size()));
    }
    for (size_t i = 0; i < ast_.columns.size(); ++i) columns[i].name = ast_.columns[i];
    return model::validate_distinct_columns(columns);
  }

  CreateViewAst ast_;
};

class DropView : public Command {
 public:
  DropView(QualifiedName name, bool if_exists) : name_(std::move(name)), if_exists_(if_exists) {}

  Result<> authorize(const Caller& caller) const override {
    return auth::check_admin(auth::AdminArea::kView, caller.role);
  }

  Result<StatementResult> run(const Services& services, const StatementContext& context) const override {
    const std::string& namespace_id = namespace_of(name_, context);
    const std::string qualified = namespace_id + "." + name_.name;
    StatementResult result;
    KALAM_TRY(const auto existing, services.catalog.find_table(namespace_id, name_.name));
    if (if_exists_ && existing == nullptr) {
      result.message = "View " + qualified + " does not exist (skipped)";
      return result;
    }
    KALAM_CHECK(services.catalog.drop_view(namespace_id, name_.name));
    result.message = "View " + qualified + " dropped successfully";
    return result;
  }

 private:
  QualifiedName name_;
  bool if_exists_;
};

Result<std::vector<std::string>> parse_columns(TokenReader& reader) {
  std::vector<std::string> columns;
  if (!reader.accept("(")) return columns;
  do {
    KALAM_TRY(const Name name, reader.name("a column name"));
    KALAM_CHECK(model::validate_column_name(name.text, name.quoted));
    columns.push_back(name.text);
  } while (reader.accept(","));
  KALAM_CHECK(reader.expect(")"));
  return columns;
}

}  // namespace

ParsedCommand parse_create_view(TokenReader& reader) {
  CreateViewAst ast;
  ast.or_replace = reader.accept({"or", "replace"});
  KALAM_CHECK(reader.expect("view"));
  ast.if_not_exists = reader.accept({"if", "not", "exists"});
  if (ast.or_replace && ast.if_not_exists) {
    return fail(ErrorCode::kInvalidSql, "CREATE VIEW takes OR REPLACE or IF NOT EXISTS, not both");
  }
  KALAM_TRY(ast.name, reader.qualified_name("a view name"));
  KALAM_CHECK(model::validate_table_name(ast.name.name));
  KALAM_TRY(ast.columns, parse_columns(reader));
  KALAM_CHECK(reader.expect("as"));
  ast.text = reader.sql().substr(reader.offset());
  KALAM_TRY(ast.select, duck::Statement::parse(ast.text));
  if (ast.select->kind() != duck::StatementKind::kSelect) {
    return fail(ErrorCode::kInvalidSql, "A view is made of a SELECT and no other statement");
  }
  if (ast.select->parameter_count() > 0) {
    return fail(ErrorCode::kInvalidSql, "The SELECT of a view cannot have parameters");
  }
  return std::make_unique<CreateView>(std::move(ast));
}

ParsedCommand parse_drop_view(TokenReader& reader) {
  const bool if_exists = reader.accept({"if", "exists"});
  KALAM_TRY(QualifiedName name, reader.qualified_name("a view name"));
  if (!reader.accept("cascade")) (void)reader.accept("restrict");
  KALAM_CHECK(reader.end());
  return std::make_unique<DropView>(std::move(name), if_exists);
}

}  // namespace kalamdb::query
