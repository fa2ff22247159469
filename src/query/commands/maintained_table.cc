#include "query/commands/maintained_table.h"

#include "auth/permissions.h"
#include "query/system_tables.h"

namespace kalamdb::query {

Result<model::TablePtr> find_maintained_table(const Services& services, const StatementContext& context,
                                              const QualifiedName& name, const std::string& statement) {
  const std::string& namespace_id = namespace_of(name, context);
  const std::string qualified = namespace_id + "." + name.name;
  if (is_system_namespace(namespace_id)) {
    return fail(ErrorCode::kInvalidOperation, statement + " is not supported for SYSTEM tables");
  }
  KALAM_TRY(model::TablePtr table, services.catalog.find_table(namespace_id, name.name));
  if (table == nullptr) return fail(ErrorCode::kNotFound, "Table " + qualified + " not found");
  if (table->is_view()) {
    return fail(ErrorCode::kInvalidOperation, qualified + " is a view, which has no rows of its own");
  }
  if (!has_segments(table->type)) {
    return fail(ErrorCode::kInvalidOperation,
                statement + " is not supported for " + std::string(upper_name(table->type)) + " tables");
  }
  return table;
}

bool maintains_all(const Caller& caller) { return auth::check_maintain_tables("", caller.role).has_value(); }

Result<std::optional<UserId>> maintained_user(const model::TableDefinition& table, const Caller& caller,
                                              std::string_view statement) {
  auto allowed = auth::check_maintain_tables(statement, caller.role);
  if (allowed) return std::nullopt;
  if (table.type == model::TableType::kUser) return caller.user;
  return fail(std::move(allowed).error());
}

Result<StatementResult> started_or_skipped(const Result<std::string>& job, const std::string& what,
                                           const std::string& one, const std::string& subject) {
  StatementResult result;
  if (job) {
    result.message = what + " started for " + subject + ". Job ID: " + *job;
  } else if (job.error().code == ErrorCode::kIdempotentConflict) {
    result.message = what + " skipped: " + one + " is already queued or running for " + subject;
  } else {
    return fail(job.error());
  }
  return result;
}

Result<std::optional<std::string>> read_in_namespace(TokenReader& reader) {
  if (!reader.accept("in")) return std::nullopt;
  (void)reader.accept("namespace");
  KALAM_TRY(const Name name, reader.name("a namespace name"));
  return lower(name.text);
}

}  // namespace kalamdb::query
