// BEGIN | START TRANSACTION, COMMIT, ROLLBACK: all within one request.
#include "query/transaction.h"
#include "platform/id_generator.h"
#include "query/commands.h"

namespace kalamdb::query {

namespace {

StatementResult message(std::string_view what, const std::string& id) {
  StatementResult result;
  result.message = "Transaction " + std::string(what) + " (" + id + ")";
  return result;
}

// One that works on the request's transaction.
class TransactionCommand : public Command {
 public:
  Result<> authorize(const Caller&) const override { return {}; }
  bool is_allowed_in_transaction() const override { return true; }
};

class Begin : public TransactionCommand {
 public:
  Result<StatementResult> run(const Services& services, const StatementContext& context) const override {
    RequestState& request = *context.request;
    if (request.transaction != nullptr) {
      return fail(ErrorCode::kConflict, "request owner '" + request.owner + "' already has an active transaction '" +
                                            request.transaction->id() + "'");
    }
    request.transaction = std::make_unique<RequestTransaction>(
        services.storage, services.transactions, services.clock, services.limits.transactions,
        model::format_uuid(platform::make_uuid_v7(services.clock, services.random)), request.owner);
    return message("started", request.transaction->id());
  }
};

class Commit : public TransactionCommand {
 public:
  Result<StatementResult> run(const Services&, const StatementContext& context) const override {
    auto transaction = std::move(context.request->transaction);
    if (transaction == nullptr) {
      return fail(ErrorCode::kInvalidOperation, "COMMIT requires an active explicit SQL transaction");
    }
    KALAM_CHECK(transaction->commit());
    return message("committed", transaction->id());
  }
};

class Rollback : public TransactionCommand {
 public:
  Result<StatementResult> run(const Services&, const StatementContext& context) const override {
    const auto transaction = std::move(context.request->transaction);
    if (transaction == nullptr) {
      return fail(ErrorCode::kInvalidOperation, "ROLLBACK requires an active explicit SQL transaction");
    }
    return message("rolled back", transaction->id());
  }
};

template <typename T>
ParsedCommand parse_transaction_end(TokenReader& reader) {
  if (!reader.accept("transaction")) (void)reader.accept("work");
  if (reader.peek({"to"}) || reader.peek({"and"})) {
    return fail(ErrorCode::kNotImplemented, "Savepoints and chained transactions are not supported");
  }
  KALAM_CHECK(reader.end());
  return std::make_unique<T>();
}

}  // namespace

ParsedCommand parse_begin(TokenReader& reader) {
  if (!reader.accept("transaction")) (void)reader.accept("work");
  if (!reader.at_end()) {
    return fail(ErrorCode::kInvalidSql,
                "BEGIN takes no isolation level or access mode: every transaction reads one snapshot, and the first to "
                "commit a row wins");
  }
  return std::make_unique<Begin>();
}

ParsedCommand parse_commit(TokenReader& reader) { return parse_transaction_end<Commit>(reader); }
ParsedCommand parse_rollback(TokenReader& reader) { return parse_transaction_end<Rollback>(reader); }

ParsedCommand parse_savepoint(TokenReader&) {
  return fail(ErrorCode::kNotImplemented,
              "Savepoints are not supported; a transaction is committed or rolled back whole");
}

}  // namespace kalamdb::query
