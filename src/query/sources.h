// The tables of one statement for one caller: names resolved, rights checked, scope and snapshot bound. All tables of a
// statement are read at the same snapshot.
#pragma once

#include <string>

#include "duck/source.h"
#include "duck/statement.h"
#include "query/command.h"

namespace kalamdb::query {

class ViewTables;

// Not thread-safe; one statement's.
class StatementSources : public duck::SourceResolver {
 public:
  // Both must outlive it.
  StatementSources(const Services& services, const StatementContext& context)
      : services_(services), context_(context) {}

  Result<duck::TableSource> open(const duck::TableName& name) override { return open_in(context_.namespace_id, name); }
  // The same for a view, which has a namespace of its own for unqualified names.
  Result<duck::TableSource> open_in(const std::string& default_namespace, const duck::TableName& name,
                                    std::shared_ptr<const ViewTables> view = nullptr);
  // The statement changes rows of this table: opening it as another version is kConflict.
  void expect(const model::TablePtr& table) { expected_ = table; }
  // The snapshot that this statement reads: its transaction's, else taken at the first call.
  const hot::SnapshotPtr& snapshot();

 private:
  const Services& services_;
  const StatementContext& context_;
  hot::SnapshotPtr snapshot_;
  model::TablePtr expected_;
};

// A user table, no view, for reading or writing by `caller`. Errors: kTableNotFound, kPermissionDenied;
// kInvalidOperation for a view and for a SHARED table under EXECUTE AS USER.
enum class Access : uint8_t { kRead, kWrite };
Result<model::TablePtr> resolve_table(const Services& services, const StatementContext& context,
                                      const duck::TableName& name, Access access);
// The rights and the EXECUTE AS USER rule alone.
Result<> check_access(const model::TableDefinition& table, const Caller& caller, Access access);

// Whose rows of the table the caller sees and writes.
inline UserId scope_of(const model::TableDefinition& table, const Caller& caller) {
  return table.is_per_user() ? caller.user : UserId();
}

}  // namespace kalamdb::query
