// What a statement is to the query layer: something that can be authorised and run.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "auth/password.h"
#include "catalog/catalog.h"
#include "duck/engine.h"
#include "jobs/job_manager.h"
#include "platform/clock.h"
#include "platform/id_generator.h"
#include "platform/random.h"
#include "query/constraints.h"
#include "query/server_facts.h"
#include "query/token_reader.h"
#include "query/transaction.h"
#include "storage/lru_cache.h"
#include "storage/storage.h"

namespace kalamdb::query {

// Who asks, and on whose behalf.
struct Caller {
  UserId actor;                               // who logged in
  UserId user;                                // whose rows: the actor, or the target of EXECUTE AS USER
  catalog::Role role = catalog::Role::kUser;  // the role in effect: `user` under EXECUTE AS USER
  bool as_user = false;                       // under EXECUTE AS USER
};

struct QueryLimits {
  uint64_t max_sql_bytes = 1 << 20;
  uint32_t max_parameters = 50;
  uint64_t max_parameter_bytes = 512 << 10;
  int64_t statement_timeout_ms = 30'000;
  bool fast_lane = true;  // statements by key need no planner
  uint64_t default_stream_ttl_seconds = 10;
  uint64_t default_deleted_retention_hours = 168;
  uint64_t retention_batch_size = 1000;   // tombstones of one step of a job
  uint64_t eviction_batch_size = 10'000;  // STREAM rows of one step
  uint64_t deletion_grace_days = 30;      // how long a dropped user can come back
  uint64_t job_retention_days = 30;       // how long jobs are remembered
  uint64_t manifest_ttl_days = 7;         // how long manifests without segments stay
  unsigned bcrypt_cost = 12;
  auth::PasswordPolicy passwords;
  uint64_t max_statement_bytes = 512 << 20;  // of the rows that one INSERT writes
  TransactionLimits transactions;
};

// What statements work with. References outlive every statement.
struct Services {
  catalog::Catalog& catalog;
  storage::Storage& storage;
  duck::Engine& engine;
  jobs::JobManager& jobs;
  platform::Clock& clock;
  platform::Random& random;
  platform::SnowflakeGenerator& ids;
  OpenTransactions& transactions;
  QueryLimits limits;
  std::shared_ptr<const ServerFacts> facts = std::make_shared<const ServerFacts>();
  // The SELECTs of views, parsed, by view and version; bounded in bytes of SQL text.
  std::shared_ptr<storage::LruCache<duck::Statement>> view_statements =
      std::make_shared<storage::LruCache<duck::Statement>>(4 << 20);
  std::shared_ptr<CheckPool> checks = std::make_shared<CheckPool>();
};

// What lasts from one statement of a request to the next.
struct RequestState {
  std::string owner;         // "sql-req-<request id>"
  std::string namespace_id;  // for unqualified names; USE changes it
  std::unique_ptr<RequestTransaction> transaction;
};

// One statement's surroundings.
struct StatementContext {
  Caller caller;
  std::string namespace_id = "default";  // for unqualified names
  std::span<const model::Value> parameters;
  std::string host;                    // the request's Host header, for URLs in answers
  RequestState* request = nullptr;     // set where several statements may come; always there for commands
  std::function<bool()> is_abandoned;  // once true nobody waits for the answer, and a query may stop

  // The rows as the open transaction sees them; nullptr outside transactions.
  storage::Transaction* transaction() const {
    return request != nullptr && request->transaction != nullptr ? &request->transaction->rows() : nullptr;
  }
};

// The answer to one statement: rows, or a message and a count.
struct StatementResult {
  std::unique_ptr<duck::QueryResult> rows;  // nullptr: no row set
  uint64_t row_count = 0;                   // rows affected; for row sets they are counted as they are sent
  std::string message;
  std::string as_user;        // filled in by the executor
  bool is_committed = false;  // what the rows tell has been written: no limit on results may refuse them
};

// One of KalamDB's own statements. Immutable once parsed.
class Command {
 public:
  virtual ~Command() = default;
  // Whether this role may try it at all; asked of every statement of a request before the first one runs.
  virtual Result<> authorize(const Caller& caller) const = 0;
  // Whether it may run between BEGIN and COMMIT. What changes definitions or starts jobs may not.
  virtual bool is_allowed_in_transaction() const { return false; }
  virtual Result<StatementResult> run(const Services& services, const StatementContext& context) const = 0;
};

// A column of a result that no stored one is behind.
inline duck::ResultColumn result_column(const char* name, model::TypeTag tag) {
  return {name, model::DataType{tag}, nullptr};
}

// Rows that are already there, as a result. `rows[r][i]` belongs to `columns[i]`, whose sources are of `table`.
std::unique_ptr<duck::QueryResult> make_result(std::vector<duck::ResultColumn> columns, std::vector<model::Row> rows,
                                               model::TablePtr table = nullptr);

// "x" or the request's namespace where the name is not qualified.
inline const std::string& namespace_of(const QualifiedName& name, const StatementContext& context) {
  return name.namespace_id.empty() ? context.namespace_id : name.namespace_id;
}

}  // namespace kalamdb::query
