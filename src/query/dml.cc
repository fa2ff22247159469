#include "query/dml.h"

#include "query/change.h"
#include "query/insert.h"
#include "query/sources.h"

namespace kalamdb::query {

duck::QueryContext query_context(const Services& services, const StatementContext& context) {
  duck::QueryContext query;
  query.current_user = context.caller.user.value;
  query.current_role = lower_name(context.caller.role);
  query.now_us = services.clock.now_us();
  query.parameters = context.parameters;
  query.timeout_ms = services.limits.statement_timeout_ms;
  return query;
}

Result<std::optional<PreparedWrites>> prepare_point_writes(const Services& services, const StatementContext& context,
                                                           const Prepared& prepared, const PointPlan& plan) {
  KALAM_CHECK(check_access(*plan.table, context.caller, Access::kWrite));
  const duck::Statement& statement = *prepared.statement;
  if (statement.kind() != duck::StatementKind::kInsert) {
    auto writes = prepare_point_change(services, context, statement, plan);
    if (writes && *writes) {
      KALAM_CHECK(enforce_checks(services, **writes));
      // That there is nothing to write may be what a plan from before an ALTER TABLE says.
      if ((*writes)->request.rows.empty() && services.catalog.version() != plan.catalog_version) {
        return fail(ErrorCode::kConflict, "Table " + plan.table->qualified_name() + " was altered meanwhile");
      }
    }
    return writes;
  }
  KALAM_TRY(PreparedWrites writes,
            prepare_insert_values(services, context, *statement.insert(), plan.table, plan.inserted));
  KALAM_CHECK(enforce_checks(services, writes));
  return writes;
}

Result<PreparedWrites> prepare_writes(const Services& services, const StatementContext& context,
                                      const Prepared& prepared) {
  const auto plan = point_plan(services, prepared, context.namespace_id);
  if (plan->table != nullptr) {
    KALAM_TRY(auto writes, prepare_point_writes(services, context, prepared, *plan));
    if (writes) return *std::move(writes);
  }
  const duck::Statement& statement = *prepared.statement;
  auto writes = statement.kind() == duck::StatementKind::kInsert ? prepare_insert(services, context, statement)
                                                                 : prepare_change(services, context, statement);
  if (writes) KALAM_CHECK(enforce_checks(services, *writes));
  return writes;
}

Result<StatementResult> run_writes(const Services& services, const StatementContext& context,
                                   const Prepared& prepared) {
  for (int attempt = 1;; ++attempt) {
    auto writes = prepare_writes(services, context, prepared);
    if (!writes && writes.error().code == ErrorCode::kConflict && attempt < kMaxAttempts) continue;
    if (!writes) return fail(std::move(writes).error());
    const uint64_t rows = writes->request.rows.size();
    if (rows == 0) return writes_result(*prepared.statement, 0);
    auto committed = context.transaction() != nullptr ? context.request->transaction->apply(std::move(writes->request))
                                                      : services.storage.committer().commit(std::move(writes->request));
    if (committed) return writes_result(*prepared.statement, rows - (*committed)->ignored_rows);
    const bool may_try_again = committed.error().code == ErrorCode::kConflict && context.transaction() == nullptr;
    if (!may_try_again) return fail(std::move(committed).error());
    if (attempt == kMaxAttempts) {
      return fail(ErrorCode::kConflict, "The rows are being changed by others at a high rate; try the statement again");
    }
  }
}

StatementResult writes_result(const duck::Statement& statement, uint64_t rows) {
  StatementResult result;
  result.row_count = rows;
  const char* verb = statement.kind() == duck::StatementKind::kInsert   ? "Inserted "
                     : statement.kind() == duck::StatementKind::kUpdate ? "Updated "
                                                                        : "Deleted ";
  result.message = verb + std::to_string(rows) + " row(s)";
  return result;
}

}  // namespace kalamdb::query
