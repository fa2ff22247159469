// DROP [USER|SHARED|STREAM] TABLE [IF EXISTS] [ns.]t
#include "auth/permissions.h"
#include "query/commands.h"
#include "query/maintenance.h"

namespace kalamdb::query {

namespace {

class DropTable : public Command {
 public:
  DropTable(QualifiedName name, bool if_exists) : name_(std::move(name)), if_exists_(if_exists) {}

  Result<> authorize(const Caller& caller) const override { return auth::check_drop_table(caller.role); }

  Result<StatementResult> run(const Services& services, const StatementContext& context) const override {
    const std::string& namespace_id = namespace_of(name_, context);
    StatementResult result;
    KALAM_TRY(const auto existing, services.catalog.find_table(namespace_id, name_.name));
    if (if_exists_ && existing == nullptr) {
      result.message = "Table " + namespace_id + "." + name_.name + " does not exist (skipped)";
      return result;
    }
    KALAM_TRY(const model::TablePtr table, services.catalog.drop_table(namespace_id, name_.name));
    KALAM_TRY(const std::string job_id, start_cleanup(services, *table, context.caller.user));
    result.message = "Table " + table->qualified_name() + " dropped successfully. Cleanup job: " + job_id;
    return result;
  }

 private:
  QualifiedName name_;
  bool if_exists_;
};

}  // namespace

ParsedCommand parse_drop_table(TokenReader& reader) {
  const bool if_exists = reader.accept({"if", "exists"});
  KALAM_TRY(QualifiedName name, reader.qualified_name("a table name"));
  if (!reader.accept("cascade")) (void)reader.accept("restrict");
  KALAM_CHECK(reader.end());
  return std::make_unique<DropTable>(std::move(name), if_exists);
}

}  // namespace kalamdb::query
