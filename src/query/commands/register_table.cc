// REGISTER TABLE [ns.]t FROM [STORAGE id] 'folder' [PRIMARY KEY (columns)]; UNREGISTER TABLE [ns.]t
#include "auth/permissions.h"
#include "query/commands.h"
#include "query/create_table_parser.h"
#include "query/register.h"

namespace kalamdb::query {

namespace {

class RegisterTable : public Command {
 public:
  explicit RegisterTable(Registration registration) : registration_(std::move(registration)) {}

  Result<> authorize(const Caller& caller) const override {
    return auth::check_admin(auth::AdminArea::kRegister, caller.role);
  }

  Result<StatementResult> run(const Services& services, const StatementContext& context) const override {
    Registration registration = registration_;
    if (registration.namespace_id.empty()) registration.namespace_id = context.namespace_id;
    KALAM_TRY(const std::string job, start_register(services, registration, context.caller.user));
    StatementResult result;
    result.message = "Registration of " + registration.namespace_id + "." + registration.table + " started from '" +
                     registration.folder.display() + "'. Job ID: " + job;
    return result;
  }

 private:
  const Registration registration_;
};

class UnregisterTable : public Command {
 public:
  explicit UnregisterTable(QualifiedName name) : name_(std::move(name)) {}

  Result<> authorize(const Caller& caller) const override {
    return auth::check_admin(auth::AdminArea::kRegister, caller.role);
  }

  Result<StatementResult> run(const Services& services, const StatementContext& context) const override {
    const std::string& namespace_id = namespace_of(name_, context);
    KALAM_TRY(const auto started, start_unregister(services, namespace_id, name_.name, context.caller.user));
    StatementResult result;
    result.message = "Table " + namespace_id + "." + name_.name + " unregistered; its files stay in storage '" +
                     started.folder.storage_id + "', '" + started.folder.directory + "'. Job ID: " + started.job_id;
    return result;
  }

 private:
  const QualifiedName name_;
};

}  // namespace

ParsedCommand parse_register_table(TokenReader& reader) {
  KALAM_TRY(QualifiedName name, reader.qualified_name("a table name"));
  Registration registration{.namespace_id = name.namespace_id, .table = name.name, .folder = {}, .key = {}};
  KALAM_CHECK(reader.expect("from"));
  KALAM_TRY(registration.folder, read_backup_target(reader));
  if (reader.accept({"primary", "key"})) {
    KALAM_TRY(registration.key, read_column_list(reader));
  }
  KALAM_CHECK(reader.end());
  return std::make_unique<RegisterTable>(std::move(registration));
}

ParsedCommand parse_unregister_table(TokenReader& reader) {
  KALAM_TRY(QualifiedName name, reader.qualified_name("a table name"));
  KALAM_CHECK(reader.end());
  return std::make_unique<UnregisterTable>(std::move(name));
}

}  // namespace kalamdb::query
