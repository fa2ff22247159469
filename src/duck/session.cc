#include "duck/session.h"

#include "duck/duck_error.h"
#include "duck/types.h"
#include "duckdb/parser/query_node.hpp"
#include "duckdb/parser/statement/select_statement.hpp"

namespace kalamdb::duck {

duckdb::unique_ptr<duckdb::SQLStatement> select_statement(duckdb::unique_ptr<duckdb::QueryNode> query) {
  auto statement = duckdb::make_uniq<duckdb::SelectStatement>();
  statement->node = std::move(query);
  return statement;
}

Session::Session(std::shared_ptr<Instance> instance, const QueryContext& context)
    : instance_(std::move(instance)),
      timeout_ms_(context.timeout_ms),
      is_abandoned_(context.is_abandoned),
      state_(duckdb::make_shared_ptr<QueryState>(context)),
      connection_(*instance_->database) {
  connection_.context->registered_state->Insert(QueryState::kKey, state_);
}

std::unexpected<Error> Session::failure(const duckdb::ErrorData& error) {
  // What a cursor reported says more than what DuckDB made of it.
  if (auto own = state_->take_error()) return fail(*std::move(own));
  return fail(to_error(error));
}

Result<duckdb::unique_ptr<duckdb::QueryResult>> Session::start(duckdb::unique_ptr<duckdb::QueryNode> query) {
  return start(select_statement(std::move(query)));
}

Result<duckdb::unique_ptr<duckdb::QueryResult>> Session::start(duckdb::unique_ptr<duckdb::SQLStatement> statement) {
  try {
    deadline_ = instance_->timer.start(connection_.context, timeout_ms_, is_abandoned_);
    statement->query.clear();  // errors would quote it
    auto pending = connection_.context->PendingQuery(std::move(statement), true);
    if (pending->HasError()) return failure(pending->GetErrorObject());
    auto result = pending->Execute();
    if (result->HasError()) return failure(result->GetErrorObject());
    return result;
  } catch (const std::exception& exception) {
    return failure(duckdb::ErrorData(exception));
  }
}

Result<std::vector<ResultColumn>> Session::describe(duckdb::unique_ptr<duckdb::QueryNode> query) {
  try {
    deadline_ = instance_->timer.start(connection_.context, timeout_ms_, is_abandoned_);
    const auto prepared = connection_.context->Prepare(select_statement(std::move(query)));
    if (prepared->HasError()) return failure(prepared->error);
    std::vector<ResultColumn> columns;
    for (size_t i = 0; i < prepared->ColumnCount(); ++i) {
      columns.push_back({prepared->GetNames()[i], to_result_type(prepared->GetTypes()[i]).type});
    }
    return columns;
  } catch (const std::exception& exception) {
    return failure(duckdb::ErrorData(exception));
  }
}

Result<duckdb::unique_ptr<duckdb::DataChunk>> Session::fetch(duckdb::QueryResult& result) {
  try {
    auto chunk = result.Fetch();
    if (!chunk && result.HasError()) return failure(result.GetErrorObject());
    if (chunk && chunk->size() == 0) chunk.reset();
    return chunk;
  } catch (const std::exception& exception) {
    return failure(duckdb::ErrorData(exception));
  }
}

}  // namespace kalamdb::duck
