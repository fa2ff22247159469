#include "query/dml.h"

#include "query/change.h"
#include "query/constraints.h"
#include "query/insert.h"

namespace kalamdb::query {

namespace {

// What is done to finished writes before they are committed, whichever way they were made.
Result<> complete(const Services& services, const StatementContext& context, const duck::Statement& statement,
                  StatementSources& sources, PreparedWrites& writes) {
  KALAM_CHECK(enforce_checks(services, writes));
  if (statement.returning().empty()) return {};
  KALAM_TRY(writes.returned, returned_rows(services, context, statement, writes.table, writes.request, sources));
  return {};
}

}  // namespace

Result<std::optional<PreparedWrites>> prepare_point_writes(const Services& services, const StatementContext& context,
                                                           const Prepared& prepared, const PointPlan& plan,
                                                           StatementSources& sources) {
  const duck::Statement& statement = *prepared.statement;
  std::optional<PreparedWrites> writes;
  KALAM_CHECK(check_definition(*plan.table, context));
  if (statement.kind() == duck::StatementKind::kInsert) {
    KALAM_CHECK(check_access(*plan.table, context.caller, Access::kInsert));
    KALAM_TRY(writes, prepare_insert_values(services, context, statement, plan.table, plan.inserted, sources));
  } else {
    KALAM_CHECK(check_access(*plan.table, context.caller, Access::kUpdate));
    KALAM_TRY(writes, prepare_point_change(services, context, statement, plan, sources));
  }
  if (writes) KALAM_CHECK(complete(services, context, statement, sources, *writes));
  // That there is nothing to write may be what a plan from before an ALTER TABLE says.
  if (writes && writes->request.rows.empty() && services.catalog.version() != plan.catalog_version) {
    return fail(ErrorCode::kConflict, "Table " + plan.table->qualified_name() + " was altered meanwhile");
  }
  return writes;
}

Result<PreparedWrites> prepare_writes(const Services& services, const StatementContext& context,
                                      const Prepared& prepared) {
  StatementSources sources(services, context);
  const auto plan = point_plan(services, prepared, context.namespace_id);
  if (plan->table != nullptr) {
    KALAM_TRY(auto writes, prepare_point_writes(services, context, prepared, *plan, sources));
    if (writes) return *std::move(writes);
  }
  const duck::Statement& statement = *prepared.statement;
  KALAM_TRY(PreparedWrites writes, statement.kind() == duck::StatementKind::kInsert
                                       ? prepare_insert(services, context, statement, sources)
                                       : prepare_change(services, context, statement, sources));
  KALAM_CHECK(complete(services, context, statement, sources, writes));
  return writes;
}

Result<StatementResult> run_writes(const Services& services, const StatementContext& context, const Prepared& prepared,
                                   RetryQueue& retries) {
  // In a transaction only a plan from before an ALTER TABLE is worth a second look: its snapshot stays as it is.
  const int max_prepared = context.transaction() != nullptr ? 2 : kMaxAttempts;
  std::unique_lock<std::mutex> turn;
  for (int attempt = 1;; ++attempt) {
    auto prepared_writes = prepare_writes(services, context, prepared);
    if (!prepared_writes && prepared_writes.error().code == ErrorCode::kConflict && attempt < max_prepared) continue;
    KALAM_TRY(PreparedWrites writes, std::move(prepared_writes));
    const uint64_t rows = writes.request.rows.size();
    if (rows == 0) return writes_result(*prepared.statement, 0, std::move(writes.returned), nullptr);
    const std::string first_key = writes.request.rows.front().key;
    auto committed = context.transaction() != nullptr ? context.request->transaction->apply(std::move(writes.request))
                                                      : services.storage.committer().commit(std::move(writes.request));
    if (committed) {
      return writes_result(*prepared.statement, rows, std::move(writes.returned), committed->get());
    }
    const bool may_try_again = committed.error().code == ErrorCode::kConflict && context.transaction() == nullptr;
    if (!may_try_again) return fail(std::move(committed).error());
    if (attempt == kMaxAttempts) {
      return fail(ErrorCode::kConflict, "The rows are being changed by others at a high rate; try the statement again");
    }
    if (!turn.owns_lock()) turn = std::unique_lock(retries.of(first_key));
  }
}

StatementResult writes_result(const duck::Statement& statement, uint64_t rows, std::optional<ReturnedRows> returned,
                              const storage::ChangeSet* changes) {
  StatementResult result;
  result.row_count = rows - (changes != nullptr ? changes->ignored_rows.size() : 0);
  if (returned) {
    result.rows = returned_result(*std::move(returned), changes);
    result.is_committed = true;
    return result;
  }
  const char* verb = statement.kind() == duck::StatementKind::kInsert   ? "Inserted "
                     : statement.kind() == duck::StatementKind::kUpdate ? "Updated "
                                                                        : "Deleted ";
  result.message = verb + std::to_string(result.row_count) + " row(s)";
  return result;
}

}  // namespace kalamdb::query
