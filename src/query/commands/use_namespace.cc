// USE [NAMESPACE] name, SET NAMESPACE name: for the rest of the request.
#include "query/commands.h"

namespace kalamdb::query {

namespace {

class UseNamespace : public Command {
 public:
  explicit UseNamespace(std::string name) : name_(std::move(name)) {}

  Result<> authorize(const Caller&) const override { return {}; }
  bool is_allowed_in_transaction() const override { return true; }

  Result<StatementResult> run(const Services& services, const StatementContext& context) const override {
    if (!services.catalog.has_namespace(name_)) {
      return fail(ErrorCode::kNamespaceNotFound, "Namespace '" + name_ + "' not found");
    }
    context.request->namespace_id = name_;
    StatementResult result;
    result.message = "Namespace switched to '" + name_ + "'";
    return result;
  }

 private:
  std::string name_;
};

}  // namespace

ParsedCommand parse_use_namespace(TokenReader& reader) {
  KALAM_TRY(const Name name, reader.name("a namespace name"));
  KALAM_CHECK(reader.end());
  return std::make_unique<UseNamespace>(lower(name.text));
}

}  // namespace kalamdb::query
