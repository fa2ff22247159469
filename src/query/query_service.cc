#include "query/query_service.h"

#include "auth/permissions.h"
#include "model/row_codec.h"
#include "protocol/sql_request.h"
#include "query/sources.h"

namespace kalamdb::query {

namespace {

// Larger statements take too long to parse on an IO thread.
constexpr size_t kMaxFastSqlBytes = 16 << 10;

std::unexpected<RequestError> request_error(Error error, size_t statement) {
  return std::unexpected(RequestError{std::move(error), statement});
}

// The cells of one stored row as a statement's result.
Result<model::Row> project(const PointPlan& plan, const storage::FoundRow& found) {
  KALAM_TRY(const auto view, model::RowView::open(found.row));
  model::Row row;
  row.reserve(plan.columns.size());
  for (const auto& column : plan.columns) {
    if (column.source->name == model::kSeqColumn) {
      row.emplace_back(found.seq);
    } else if (column.source->name == model::kDeletedColumn) {
      row.emplace_back(false);
    } else {
      KALAM_TRY(const model::ValueView value, view.get(*column.source));
      row.push_back(model::to_value(value));
    }
  }
  return row;
}

Result<StatementResult> point_select(const Services& services, const StatementContext& context, const PointPlan& plan,
                                     std::string_view key) {
  const UserId user = scope_of(*plan.table, context.caller);
  KALAM_TRY(const auto found, context.transaction() != nullptr ? context.transaction()->find(plan.table, user, key)
                                                               : services.storage.find(plan.table, user, key, nullptr));
  // The plan may not know what has written the row.
  if (services.catalog.version() != plan.catalog_version) {
    return fail(ErrorCode::kConflict, "Table " + plan.table->qualified_name() + " was altered meanwhile");
  }
  std::vector<model::Row> rows;
  if (found) {
    KALAM_TRY(model::Row row, project(plan, *found));
    rows.push_back(std::move(row));
  }
  StatementResult result;
  result.rows = make_result(plan.columns, std::move(rows), plan.table);
  return result;
}

// True unless it is known that the caller's rows of the table are all hot.
bool has_segments(const Services& services, const PointPlan& plan, const StatementContext& context) {
  const auto version = services.storage.segments_version(plan.table, scope_of(*plan.table, context.caller), nullptr);
  return !version || *version > 0;
}

// True when looking for the key may have to read a segment: a hot row, dead or alive, is always the newest version.
bool may_block(const Services& services, const PointPlan& plan, const StatementContext& context, std::string_view key) {
  if (!has_segments(services, plan, context)) return false;
  const auto hot = services.storage.hot().get(plan.table->id, scope_of(*plan.table, context.caller), key, nullptr);
  return !hot || !*hot;
}

// Whether the statement may run in the request's transaction, if one is open.
Result<> check_transaction(const RequestState& request, const Prepared& statement) {
  if (request.transaction == nullptr) return {};
  KALAM_CHECK(request.transaction->check_age());
  if (statement.command == nullptr || statement.command->is_allowed_in_transaction()) return {};
  return fail(ErrorCode::kInvalidOperation,
              "DDL is not allowed inside explicit transaction '" + request.transaction->id() + "'");
}

// How the statement would be run: by the fast lane, which needs no plan, or by the one that the engine has made.
std::string_view lane_of(const Services& services, const StatementContext& context,
                         const std::shared_ptr<const duck::Statement>& statement) {
  Prepared prepared;
  prepared.statement = statement;
  const auto plan = point_plan(services, prepared, context.namespace_id);
  if (plan->table == nullptr) return "engine";
  if (statement->kind() == duck::StatementKind::kInsert) return "fast lane: rows are written without a plan";
  if (!point_key(*plan, context.parameters)) return "engine";
  return statement->kind() == duck::StatementKind::kSelect ? "fast lane: read by key" : "fast lane: written by key";
}

// The rows of an EXPLAIN and one that names the lane.
Result<StatementResult> with_lane(const Services& services, const StatementContext& context,
                                  const std::shared_ptr<const duck::Statement>& explained, duck::QueryResult& plan) {
  std::vector<model::Row> rows{{std::string("lane"), std::string(lane_of(services, context, explained))}};
  while (true) {
    KALAM_TRY(const duck::ResultBatch* batch, plan.next());
    if (batch == nullptr) break;
    for (size_t r = 0; r < batch->row_count(); ++r) {
      rows.push_back({model::to_value(batch->cell(r, 0)), model::to_value(batch->cell(r, 1))});
    }
  }
  StatementResult result;
  result.rows = make_result(plan.columns(), std::move(rows));
  return result;
}

}  // namespace

Result<> QueryService::check_parameters(const SqlCall& call) const {
  if (!call.parameters) return {};
  return protocol::check_params(*call.parameters, services_.limits.max_parameters,
                                services_.limits.max_parameter_bytes);
}

Result<StatementContext> QueryService::context_for(const SqlCall& call, const Prepared& prepared) const {
  StatementContext context;
  context.caller = call.caller;
  context.namespace_id = call.namespace_id;
  context.host = call.host;
  context.is_abandoned = call.is_abandoned;
  if (call.parameters) context.parameters = *call.parameters;
  if (prepared.as_user) {
    const auto target = services_.catalog.find_user(*prepared.as_user);
    const auto target_role = target != nullptr ? std::optional(target->role) : std::nullopt;
    KALAM_CHECK(auth::check_execute_as({call.caller.actor, call.caller.role}, *prepared.as_user, target_role));
    context.caller.user = UserId(*prepared.as_user);
    context.caller.role = catalog::Role::kUser;
    context.caller.as_user = true;
  }
  if (prepared.command != nullptr) KALAM_CHECK(prepared.command->authorize(context.caller));
  return context;
}

Result<> QueryService::check_parameter_count(const SqlCall& call, const Prepared& prepared) {
  const size_t given = call.parameters ? call.parameters->size() : 0;
  if (prepared.command != nullptr && given > 0) {
    return fail(ErrorCode::kInvalidParameter, "This statement takes no parameters");
  }
  if (prepared.command == nullptr && prepared.parameter_count() != given) {
    return fail(ErrorCode::kParamCountMismatch, "The statement has " + std::to_string(prepared.parameter_count()) +
                                                    " parameters, but " + std::to_string(given) + " values were given");
  }
  return {};
}

bool QueryService::try_fast(const SqlCall& call, const Done& done) {
  if (call.sql.size() > kMaxFastSqlBytes || !check_parameters(call)) return false;
  const auto prepared = cache_.single(call.sql);
  // Errors go the long way round, where they are worded once.
  if (!prepared || *prepared == nullptr || (*prepared)->statement == nullptr) return false;
  const auto context = context_for(call, **prepared);
  if (!context || !check_parameter_count(call, **prepared)) return false;
  const auto plan = point_plan(services_, **prepared, context->namespace_id);
  if (plan->table == nullptr) return false;
  if ((*prepared)->statement->kind() == duck::StatementKind::kSelect) {
    return fast_select(*context, *plan, done);
  }
  return fast_write(*context, *prepared, *plan, done);
}

bool QueryService::fast_select(const StatementContext& context, const PointPlan& plan, const Done& done) {
  if (!check_access(*plan.table, context.caller, Access::kRead)) return false;
  const auto key = point_key(plan, context.parameters);
  if (!key || may_block(services_, plan, context, *key)) return false;
  auto result = point_select(services_, context, plan, *key);
  if (!result) {
    done(request_error(std::move(result).error(), 1));
    return true;
  }
  result->as_user = context.caller.user.value;
  done(*std::move(result));
  return true;
}

bool QueryService::fast_write(const StatementContext& context, const PreparedPtr& prepared, const PointPlan& plan,
                              const Done& done) {
  if (plan.needs_engine) return false;
  StatementSources sources(services_, context, /*reads_segments=*/false);
  auto writes = prepare_point_writes(services_, context, *prepared, plan, sources);
  if (!writes) {
    done(request_error(std::move(writes).error(), 1));
    return true;
  }
  if (!*writes) return false;
  const uint64_t rows = (*writes)->request.rows.size();
  auto answer = [rows, done, prepared, user = context.caller.user.value,
                 returned = std::move((*writes)->returned)](const storage::ChangeSet* changes) mutable {
    StatementResult result = writes_result(*prepared->statement, rows, std::move(returned), changes);
    result.as_user = user;
    done(std::move(result));
  };
  if (rows == 0) {
    answer(nullptr);
    return true;
  }
  services_.storage.committer().submit(
      std::move((*writes)->request),
      [done, answer = std::move(answer)](Result<storage::ChangeSetPtr> committed) mutable {
        if (committed) {
          answer(committed->get());
        } else {
          done(request_error(std::move(committed).error(), 1));
        }
      });
  return true;
}

Result<StatementResult> QueryService::run_statement(const Prepared& prepared, StatementContext context) {
  if (prepared.command != nullptr) return prepared.command->run(services_, context);
  const duck::Statement& statement = *prepared.statement;
  if (statement.kind() == duck::StatementKind::kSelect) {
    const auto plan = point_plan(services_, prepared, context.namespace_id);
    if (plan->table != nullptr) {
      KALAM_CHECK(check_access(*plan->table, context.caller, Access::kRead));
      KALAM_CHECK(check_definition(*plan->table, context));
      if (const auto key = point_key(*plan, context.parameters)) {
        auto result = point_select(services_, context, *plan, *key);
        if (result || result.error().code != ErrorCode::kConflict) return result;
      }
    }
  }
  if (statement.kind() == duck::StatementKind::kSelect || statement.kind() == duck::StatementKind::kExplain) {
    StatementSources sources(services_, context);
    StatementResult result;
    KALAM_TRY(result.rows,
              services_.engine.query(statement, sources, query_context(services_, context, sources.now_us())));
    if (const auto& explained = statement.explained()) return with_lane(services_, context, explained, *result.rows);
    return result;
  }
  return run_writes(services_, context, prepared, retries_);
}

std::optional<RequestError> QueryService::run(const SqlCall& call, const ResultSink& sink) {
  const auto prepare_all = [&]() -> Result<std::vector<PreparedPtr>> {
    if (call.sql.size() > services_.limits.max_sql_bytes) {
      return fail(ErrorCode::kInvalidSql, "SQL query too long: " + std::to_string(call.sql.size()) +
                                              " bytes (maximum " + std::to_string(services_.limits.max_sql_bytes) +
                                              " bytes)");
    }
    std::vector<PreparedPtr> all;
    KALAM_TRY(PreparedPtr single, cache_.single(call.sql));
    if (single != nullptr) {
      all.push_back(std::move(single));
    } else {
      KALAM_TRY(const auto texts, duck::split_statements(call.sql));
      for (const std::string_view text : texts) {
        KALAM_TRY(PreparedPtr prepared, prepare(text));
        all.push_back(std::move(prepared));
      }
    }
    // One statement that is not allowed fails the whole request before anything runs.
    for (const PreparedPtr& prepared : all) KALAM_CHECK(context_for(call, *prepared));
    KALAM_CHECK(check_parameters(call));
    if (all.size() > 1 && call.parameters && !call.parameters->empty()) {
      return fail(ErrorCode::kParamsWithBatch, "Parameters not supported with multi-statement batches");
    }
    for (const PreparedPtr& prepared : all) KALAM_CHECK(check_parameter_count(call, *prepared));
    return all;
  };
  auto prepared = prepare_all();
  if (!prepared) return RequestError{std::move(prepared).error(), 0};

  RequestState request{.owner = "sql-req-" + call.request_id, .namespace_id = call.namespace_id};
  for (size_t i = 0; i < prepared->size(); ++i) {
    const Prepared& statement = *(*prepared)[i];
    const auto run_one = [&]() -> Result<> {
      KALAM_TRY(StatementContext context, context_for(call, statement));
      context.namespace_id = request.namespace_id;
      context.request = &request;
      KALAM_CHECK(check_transaction(request, statement));
      const std::string as_user = context.caller.user.value;
      KALAM_TRY(StatementResult result, run_statement(statement, std::move(context)));
      result.as_user = as_user;
      return sink(std::move(result));
    };
    if (auto outcome = run_one(); !outcome) return RequestError{std::move(outcome).error(), i + 1};
  }
  if (request.transaction != nullptr) {
    return RequestError{Error(ErrorCode::kTransactionLeftOpen,
                              "Request completed with an open explicit transaction; rolled back automatically"),
                        0};
  }
  return std::nullopt;
}

}  // namespace kalamdb::query
