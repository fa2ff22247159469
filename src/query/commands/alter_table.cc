// ALTER TABLE [IF EXISTS] [ns.]t operation; RENAME TABLE [ns.]t TO name. The operations are in alteration.cc and
// column_alterations.cc.
#include "model/names.h"
#include "query/alteration.h"
#include "query/commands.h"
#include "query/dml.h"
#include "query/system_tables.h"
#include "query/views.h"

namespace kalamdb::query {

namespace {

class AlterTable : public Command {
 public:
  AlterTable(QualifiedName name, bool if_exists, std::unique_ptr<const Alteration> alteration)
      : name_(std::move(name)), if_exists_(if_exists), alteration_(std::move(alteration)) {}

  Result<> authorize(const Caller&) const override { return {}; }  // depends on the table: see run()

  Result<StatementResult> run(const Services& services, const StatementContext& context) const override {
    const std::string& namespace_id = namespace_of(name_, context);
    const std::string qualified = namespace_id + "." + name_.name;
    if (is_system_namespace(namespace_id)) {
      return fail(ErrorCode::kInvalidOperation, "Cannot alter system table '" + qualified + "'");
    }
    for (int attempt = 0; attempt < kMaxAttempts; ++attempt) {
      KALAM_TRY(const model::TablePtr table, services.catalog.find_table(namespace_id, name_.name));
      if (table == nullptr) {
        if (if_exists_) return message("Table " + qualified + " does not exist (skipped)");
        return fail(ErrorCode::kTableNotFound, qualified);
      }
      if (table->is_view())
        return fail(ErrorCode::kInvalidOperation, qualified + " is a view; use CREATE OR REPLACE VIEW");
      KALAM_CHECK(alteration_->authorize(*table, {context.caller.user, context.caller.role}));
      model::TableDefinition changed = *table;
      KALAM_TRY(Alteration::Outcome outcome, alteration_->apply(services, context, changed));
      if (!outcome.changed) {
        return message("Table " + qualified + " unchanged: " + outcome.description + " (version " +
                       std::to_string(table->schema_version) + " - no changes needed)");
      }
      std::shared_ptr<storage::WriteWatch> watch;
      std::function<Result<>()> validate;
      if (outcome.check) {
        // Rows that are there, then those that come meanwhile, the last of them when nothing more can come.
        watch = services.storage.watch_writes(table->id);
        KALAM_CHECK(outcome.check(ScannedRows(services, context, table)));
        validate = [&] { return outcome.check(WrittenRows(services, table, watch->take())); };
        KALAM_CHECK(validate());
      }
      const auto altered =
          services.catalog.alter_table(table, std::move(changed), outcome.description, std::move(validate));
      if (altered) {
        rebind_views(services);
        return message("Table " + qualified + " altered successfully: " + outcome.description + " (version " +
                       std::to_string((*altered)->schema_version) + ")");
      }
      if (altered.error().code != ErrorCode::kConflict) return fail(altered.error());
    }
    return fail(ErrorCode::kConflict,
                "Table " + qualified + " is being altered by others at a high rate; try the statement again");
  }

 private:
  static StatementResult message(std::string text) {
    StatementResult result;
    result.message = std::move(text);
    return result;
  }

  QualifiedName name_;
  bool if_exists_;
  std::unique_ptr<const Alteration> alteration_;
};

}  // namespace

std::unique_ptr<const Command> alter_table(QualifiedName name, bool if_exists,
                                           std::unique_ptr<const Alteration> alteration) {
  return std::make_unique<AlterTable>(std::move(name), if_exists, std::move(alteration));
}

ParsedCommand parse_alter_table(TokenReader& reader) {
  const bool if_exists = reader.accept({"if", "exists"});
  KALAM_TRY(QualifiedName name, reader.qualified_name("a table name"));
  KALAM_TRY(auto alteration, parse_alteration(reader));
  return alter_table(std::move(name), if_exists, std::move(alteration));
}

ParsedCommand parse_rename_table(TokenReader& reader) {
  const bool if_exists = reader.accept({"if", "exists"});
  KALAM_TRY(QualifiedName name, reader.qualified_name("a table name"));
  KALAM_CHECK(reader.expect("to"));
  KALAM_TRY(QualifiedName target, reader.qualified_name("a new table name"));
  KALAM_CHECK(reader.end());
  if (!target.namespace_id.empty() && target.namespace_id != name.namespace_id) {
    return fail(ErrorCode::kInvalidOperation, "A table cannot be renamed into another namespace; give a bare name");
  }
  KALAM_CHECK(model::validate_table_name(target.name));
  return alter_table(std::move(name), if_exists, rename_table(std::move(target.name)));
}

}  // namespace kalamdb::query
