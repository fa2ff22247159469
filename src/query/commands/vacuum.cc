// VACUUM [TABLE] [[ns.]t]; ANALYZE [TABLE] [[ns.]t]. Without a table: all that have segments.
#include "query/commands.h"
#include "query/commands/maintained_table.h"

namespace kalamdb::query {

namespace {

// A statement that starts a job for a table or for all, over all rows or, for who may no more, their own.
class Maintain : public Command {
 public:
  struct Kind {
    std::string statement;  // "VACUUM"
    std::string what;       // "Vacuum"
    std::string one;        // "a vacuum"
    Result<std::string> (*start)(const Services& services, const model::TablePtr& table,
                                 const std::optional<UserId>& user, const UserId& by);
  };

  Maintain(Kind kind, std::optional<QualifiedName> name) : kind_(std::move(kind)), name_(std::move(name)) {}

  Result<> authorize(const Caller&) const override { return {}; }  // depends on the table: see run()

  Result<StatementResult> run(const Services& services, const StatementContext& context) const override {
    if (!name_) {
      const auto user = maintains_all(context.caller) ? std::nullopt : std::optional(context.caller.user);
      return started_or_skipped(kind_.start(services, nullptr, user, context.caller.user), kind_.what, kind_.one,
                                "all tables");
    }
    KALAM_TRY(const model::TablePtr table, find_maintained_table(services, context, *name_, kind_.statement));
    KALAM_TRY(const auto user, maintained_user(*table, context.caller, kind_.statement));
    return started_or_skipped(kind_.start(services, table, user, context.caller.user), kind_.what, kind_.one,
                              job_subject(*table));
  }

 private:
  Kind kind_;
  std::optional<QualifiedName> name_;
};

ParsedCommand parse(TokenReader& reader, Maintain::Kind kind) {
  std::optional<QualifiedName> name;
  (void)reader.accept("table");
  if (!reader.at_end()) {
    KALAM_TRY(name, reader.qualified_name("a table name"));
  }
  KALAM_CHECK(reader.end());
  return std::make_unique<Maintain>(std::move(kind), std::move(name));
}

}  // namespace

ParsedCommand parse_vacuum(TokenReader& reader) {
  return parse(reader, {"VACUUM", "Vacuum", "a vacuum", start_vacuum});
}

ParsedCommand parse_analyze(TokenReader& reader) {
  return parse(reader, {"ANALYZE", "Analysis", "an analysis", start_analysis});
}

}  // namespace kalamdb::query
