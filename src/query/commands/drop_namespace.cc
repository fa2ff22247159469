// DROP NAMESPACE [IF EXISTS] name [CASCADE | RESTRICT]
#include "auth/permissions.h"
#include "query/commands.h"
#include "query/maintenance.h"

namespace kalamdb::query {

namespace {

class DropNamespace : public Command {
 public:
  DropNamespace(std::string name, bool if_exists, bool restricted)
      : name_(std::move(name)), if_exists_(if_exists), restricted_(restricted) {}

  Result<> authorize(const Caller& caller) const override {
    return auth::check_admin(auth::AdminArea::kNamespace, caller.role);
  }

  Result<StatementResult> run(const Services& services, const StatementContext& context) const override {
    StatementResult result;
    if (if_exists_ && !services.catalog.has_namespace(name_)) {
      result.message = "Namespace '" + name_ + "' does not exist";
      return result;
    }
    if (restricted_) {
      KALAM_TRY(const auto tables, services.catalog.tables(name_));
      if (!tables.empty()) {
        return fail(ErrorCode::kInvalidOperation, "Namespace '" + name_ + "' still has " +
                                                      std::to_string(tables.size()) +
                                                      " table(s) and view(s); drop them first or leave RESTRICT out");
      }
    }
    KALAM_TRY(const auto dropped, services.catalog.drop_namespace(name_));
    for (const auto& table : dropped) {
      if (!table->is_view()) KALAM_CHECK(start_cleanup(services, *table, context.caller.user));
    }
    result.message = "Namespace '" + name_ + "' dropped successfully";
    return result;
  }

 private:
  std::string name_;
  bool if_exists_;
  bool restricted_;
};

}  // namespace

ParsedCommand parse_drop_namespace(TokenReader& reader) {
  const bool if_exists = reader.accept({"if", "exists"});
  KALAM_TRY(const Name name, reader.name("a namespace name"));
  const bool restricted = reader.accept("restrict");
  if (!restricted) (void)reader.accept("cascade");
  KALAM_CHECK(reader.end());
  if (lower(name.text) == "default") {
    return fail(ErrorCode::kInvalidOperation, "The namespace 'default' cannot be dropped");
  }
  return std::make_unique<DropNamespace>(lower(name.text), if_exists, restricted);
}

}  // namespace kalamdb::query
