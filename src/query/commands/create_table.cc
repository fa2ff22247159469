// CREATE TABLE; its grammar is in create_table_parser.h.
#include "query/create_table_parser.h"

#include <algorithm>

#include "auth/permissions.h"
#include "query/commands.h"
#include "query/constraints.h"
#include "query/system_tables.h"
#include "query/views.h"

namespace kalamdb::query {

using model::TableType;

namespace {

class CreateTable : public Command {
 public:
  explicit CreateTable(CreateTableAst ast) : ast_(std::move(ast)) {}

  Result<> authorize(const Caller&) const override { return {}; }  // depends on the namespace: see run()

  Result<StatementResult> run(const Services& services, const StatementContext& context) const override {
    const std::string& namespace_id = namespace_of(ast_.name, context);
    if (is_system_namespace(namespace_id)) {
      return fail(ErrorCode::kInvalidOperation, "Cannot create system table '" + namespace_id + "." + ast_.name.name +
                                                    "'. System tables are managed internally.");
    }
    const Caller& caller = context.caller;
    // A user who may not create SHARED tables means a USER table in the namespace of their own name.
    const bool own_namespace = namespace_id == lower(caller.user.value) && !is_admin(caller.role);
    const TableType type = ast_.type.value_or(own_namespace ? TableType::kUser : TableType::kShared);
    KALAM_CHECK(auth::check_create_table(type, caller.role));
    if (ast_.options.access_level == model::AccessLevel::kDba && !is_admin(caller.role)) {
      return fail(ErrorCode::kPermissionDenied, "Only DBA or System roles can create tables with ACCESS_LEVEL='DBA'");
    }
    CreateTableAst ast = ast_;
    KALAM_CHECK(check_table_options(ast, type));
    if (type == TableType::kStream) {
      KALAM_CHECK(settle_eviction(ast, /*is_new=*/true, services.limits.default_stream_ttl_seconds));
    }
    if (type == TableType::kStream && std::ranges::any_of(ast_.columns, &model::ColumnDefinition::partition_key)) {
      return fail(ErrorCode::kInvalidOperation, "PARTITION BY does not apply to STREAM tables: they are never flushed");
    }

    StatementResult result;
    result.message = "CREATE TABLE: " + std::string(lower_name(type)) + " table " + namespace_id + "." +
                     ast_.name.name + " created successfully";
    if (ast_.if_not_exists) {
      KALAM_TRY(const auto existing, services.catalog.find_table(namespace_id, ast_.name.name));
      if (existing != nullptr && !existing->is_view()) return result;
    }
    model::TableDefinition draft;
    draft.namespace_id = namespace_id;
    draft.name = ast_.name.name;
    draft.type = type;
    draft.columns = ast_.columns;
    draft.options = std::move(ast.options);
    draft.comment = ast_.comment;
    draft.created_by = caller.user.value;
    for (model::CheckConstraint check : ast_.checks) {
      KALAM_CHECK(bind_check(services, draft, check));
      draft.checks.push_back(std::move(check));
    }
    KALAM_CHECK(services.catalog.create_table(std::move(draft)));
    rebind_views(services);
    return result;
  }

 private:
  CreateTableAst ast_;
};

}  // namespace

ParsedCommand parse_create_table_command(TokenReader& reader) {
  KALAM_TRY(CreateTableAst ast, parse_create_table(reader));
  return std::make_unique<CreateTable>(std::move(ast));
}

}  // namespace kalamdb::query
