// One statement on its own DuckDB connection. For the other files of this folder only.
#pragma once

#include <duckdb.hpp>

#include "duck/instance.h"
#include "duck/query_state.h"

namespace kalamdb::duck {

class Session {
 public:
  Session(std::shared_ptr<Instance> instance, const QueryContext& context);

  QueryState& state() { return *state_; }
  duckdb::ClientContext& context() { return *connection_.context; }
  // Starts a statement that was rewritten. Its time runs from here.
  Result<duckdb::unique_ptr<duckdb::QueryResult>> start(duckdb::unique_ptr<duckdb::SQLStatement> statement);
  Result<duckdb::unique_ptr<duckdb::QueryResult>> start(duckdb::unique_ptr<duckdb::QueryNode> query);
  // The columns of a query that was rewritten, which does not run.
  Result<std::vector<ResultColumn>> describe(duckdb::unique_ptr<duckdb::QueryNode> query);
  // The next rows, or nullptr at the end.
  Result<duckdb::unique_ptr<duckdb::DataChunk>> fetch(duckdb::QueryResult& result);
  void interrupt() { connection_.context->Interrupt(); }

 private:
  std::unexpected<Error> failure(const duckdb::ErrorData& error);

  std::shared_ptr<Instance> instance_;
  int64_t timeout_ms_;
  std::function<bool()> is_abandoned_;
  duckdb::shared_ptr<QueryState> state_;
  duckdb::Connection connection_;
  DeadlineTimer::Handle deadline_;
};

duckdb::unique_ptr<duckdb::SQLStatement> select_statement(duckdb::unique_ptr<duckdb::QueryNode> query);

// The rows of a session's running statement; takes over both.
Result<std::unique_ptr<QueryResult>> stream_result(std::unique_ptr<Session> session,
                                                   duckdb::unique_ptr<duckdb::QueryResult> result);

}  // namespace kalamdb::duck
