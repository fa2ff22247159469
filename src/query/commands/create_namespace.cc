// CREATE NAMESPACE [IF NOT EXISTS] name
#include "auth/permissions.h"
#include "model/names.h"
#include "query/commands.h"

namespace kalamdb::query {

namespace {

class CreateNamespace : public Command {
 public:
  CreateNamespace(std::string name, bool if_not_exists) : name_(std::move(name)), if_not_exists_(if_not_exists) {}

  Result<> authorize(const Caller& caller) const override {
    return auth::check_admin(auth::AdminArea::kNamespace, caller.role);
  }

  Result<StatementResult> run(const Services& services, const StatementContext&) const override {
    StatementResult result;
    if (auto created = services.catalog.create_namespace(name_); !created) {
      if (!if_not_exists_ || created.error().code != ErrorCode::kAlreadyExists) return fail(created.error());
      result.message = "Namespace '" + name_ + "' already exists";
      return result;
    }
    result.message = "Namespace '" + name_ + "' created successfully";
    return result;
  }

 private:
  std::string name_;
  bool if_not_exists_;
};

}  // namespace

ParsedCommand parse_create_namespace(TokenReader& reader) {
  const bool if_not_exists = reader.accept({"if", "not", "exists"});
  KALAM_TRY(const Name name, reader.name("a namespace name"));
  KALAM_CHECK(reader.end());
  KALAM_CHECK(model::validate_namespace_name(lower(name.text)));
  return std::make_unique<CreateNamespace>(lower(name.text), if_not_exists);
}

}  // namespace kalamdb::query
