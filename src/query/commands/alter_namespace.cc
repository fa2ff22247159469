// ALTER NAMESPACE name SET OPTIONS (option = value, …): those named, beside those that it has.
#include "auth/permissions.h"
#include "query/commands.h"
#include "query/create_table_parser.h"

namespace kalamdb::query {

namespace {

class AlterNamespace : public Command {
 public:
  AlterNamespace(std::string name, OptionValues options) : name_(std::move(name)), options_(std::move(options)) {}

  Result<> authorize(const Caller& caller) const override {
    return auth::check_admin(auth::AdminArea::kNamespace, caller.role);
  }

  Result<StatementResult> run(const Services& services, const StatementContext&) const override {
    KALAM_CHECK(services.catalog.set_namespace_options(name_, options_));
    StatementResult result;
    result.message = "Namespace '" + name_ + "' altered successfully";
    return result;
  }

 private:
  std::string name_;
  OptionValues options_;
};

}  // namespace

ParsedCommand parse_alter_namespace(TokenReader& reader) {
  KALAM_TRY(const Name name, reader.name("a namespace name"));
  KALAM_CHECK(reader.expect("set"));
  KALAM_CHECK(reader.expect("options"));
  KALAM_TRY(OptionValues options, read_option_values(reader));
  KALAM_CHECK(reader.end());
  return std::make_unique<AlterNamespace>(lower(name.text), std::move(options));
}

}  // namespace kalamdb::query
