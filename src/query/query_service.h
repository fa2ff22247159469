// One SQL request to its results: split, parse, authorise everything, then run statement by statement.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "query/dml.h"

namespace kalamdb::query {

struct SqlCall {
  Caller caller;
  std::string sql;
  std::optional<std::vector<model::Value>> parameters;
  std::string namespace_id = "default";
  std::string host;                    // the request's Host header
  std::string request_id;              // names the owner of its transaction
  std::function<bool()> is_abandoned;  // asked while a statement runs, may be empty: whether nobody waits any more
};

// Takes the results of a request one after another. Its row sets are read while it is called. An error ends the
// request.
using ResultSink = std::function<Result<>(StatementResult)>;

// What stopped a request.
struct RequestError {
  Error error;
  size_t statement = 0;  // from 1; 0: before any statement ran
};

// Thread-safe.
class QueryService {
 public:
  explicit QueryService(Services services) : services_(services) {}

  using Done = std::function<void(std::expected<StatementResult, RequestError>)>;
  // Answers a call of the fast lane without blocking: `done` is called before this returns (reads, errors), or later on
  // the committer's thread (writes). False, and `done` never called, when the call needs run(); so does a call that
  // fails with kConflict: somebody else was faster, and run() tries again.
  bool try_fast(const SqlCall& call, const Done& done);

  // Runs any request, giving each statement's result to `sink`. Blocks; not for IO threads.
  std::optional<RequestError> run(const SqlCall& call, const ResultSink& sink);

  const Services& services() const { return services_; }

 private:
  Result<> check_parameters(const SqlCall& call) const;
  static Result<> check_parameter_count(const SqlCall& call, const Prepared& prepared);
  Result<StatementContext> context_for(const SqlCall& call, const Prepared& prepared) const;
  Result<StatementResult> run_statement(const Prepared& prepared, StatementContext context);
  bool fast_select(const StatementContext& context, const PointPlan& plan, const Done& done);
  bool fast_write(const StatementContext& context, const PreparedPtr& prepared, const PointPlan& plan,
                  const Done& done);

  Services services_;
  PreparedCache cache_;
  RetryQueue retries_;
};

}  // namespace kalamdb::query
