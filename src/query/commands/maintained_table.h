// What the statements that maintain tables share: flushes, compactions and the like.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "query/command.h"
#include "query/maintenance.h"

namespace kalamdb::query {

// The table, for `statement` ("STORAGE COMPACT TABLE"). Errors: kNotFound, kInvalidOperation for what has no segments.
Result<model::TablePtr> find_maintained_table(const Services& services, const StatementContext& context,
                                              const QualifiedName& name, const std::string& statement);

// Whether the caller may maintain all rows of every table; else those of their own in USER tables.
bool maintains_all(const Caller& caller);

// Whose rows the caller may maintain by `statement` ("OPTIMIZE"): all (nullopt), or of a USER table their own.
// Errors: kUnauthorized.
Result<std::optional<UserId>> maintained_user(const model::TableDefinition& table, const Caller& caller,
                                              std::string_view statement);

// The answer to a statement that starts a job: `what` is "Storage compaction", `one` "a compaction", `subject` "table
// 'ns.t'".
Result<StatementResult> started_or_skipped(const Result<std::string>& job, const std::string& what,
                                           const std::string& one, const std::string& subject);
inline std::string job_subject(const model::TableDefinition& table) { return "table '" + table.qualified_name() + "'"; }

// `[IN [NAMESPACE] name]`.
Result<std::optional<std::string>> read_in_namespace(TokenReader& reader);

}  // namespace kalamdb::query
