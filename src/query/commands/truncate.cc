// TRUNCATE [TABLE] [ns.]t: all rows that the caller may write, in one commit that subscribers see as deletes.
#include "query/commands.h"
#include "query/dml.h"
#include "query/existing_rows.h"
#include "query/sources.h"

namespace kalamdb::query {

namespace {

class Truncate : public Command {
 public:
  explicit Truncate(QualifiedName name) : name_(std::move(name)) {}

  Result<> authorize(const Caller&) const override { return {}; }  // depends on the table: see run()

  Result<StatementResult> run(const Services& services, const StatementContext& context) const override {
    const std::string& namespace_id = namespace_of(name_, context);
    KALAM_CHECK(resolve_table(services, context, {namespace_id, name_.name}, Access::kDelete));
    KALAM_TRY(const PreparedPtr everything,
              prepare("DELETE FROM " + quoted(namespace_id) + "." + quoted(name_.name) + " WHERE true"));
    RetryQueue retries;  // its own: it seldom meets anybody
    KALAM_TRY(StatementResult result, run_writes(services, context, *everything, retries));
    result.message = "Table " + namespace_id + "." + name_.name + " truncated successfully";
    return result;
  }

 private:
  QualifiedName name_;
};

}  // namespace

ParsedCommand parse_truncate(TokenReader& reader) {
  (void)reader.accept("table");
  KALAM_TRY(QualifiedName name, reader.qualified_name("a table name"));
  KALAM_CHECK(reader.end());
  return std::make_unique<Truncate>(std::move(name));
}

}  // namespace kalamdb::query
