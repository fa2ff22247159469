// BEGIN … COMMIT within one request, and the list of those that are open.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "platform/clock.h"
#include "storage/transaction.h"

namespace kalamdb::query {

struct TransactionStatus {
  std::string id;     // a UUID of version 7
  std::string owner;  // "sql-req-<request id>"
  std::string state;  // open_read, open_write or committing
  int64_t begun_at_us = 0;
  int64_t last_active_us = 0;
  uint64_t write_count = 0;
  uint64_t write_bytes = 0;
  uint64_t touched_tables = 0;
  Seq snapshot_seq = 0;
};

// What system.transactions shows. Thread-safe.
class OpenTransactions {
 public:
  void put(TransactionStatus status);
  void erase(const std::string& id);
  std::vector<TransactionStatus> list() const;

 private:
  mutable std::mutex mutex_;
  std::map<std::string, TransactionStatus> by_id_;
};

struct TransactionLimits {
  int64_t max_age_ms = 300'000;
  uint64_t max_bytes = 100 << 20;  // of the writes that wait for COMMIT
};

// Rolled back unless commit() succeeds. Not thread-safe.
class RequestTransaction {
 public:
  // All references must outlive it.
  RequestTransaction(storage::Storage& storage, OpenTransactions& open, const platform::Clock& clock,
                     TransactionLimits limits, std::string id, std::string owner);
  ~RequestTransaction();

  const std::string& id() const { return status_.id; }
  // Reads go through it.
  storage::Transaction& rows() { return rows_; }

  // Whether `table`, nullptr for none, is what the snapshot has under that name ("namespace.table"): rows are read as
  // of BEGIN, and a newer definition could not mean them. Errors: kConflict.
  Result<> check_definition(const std::string& name, const model::TableDefinition* table);
  // Before each statement. Errors: kInvalidOperation when the transaction has been open for too long.
  Result<> check_age();
  // What the committer does for a statement outside transactions. Errors: those of storage::Transaction::apply();
  // kInvalidOperation when the writes take too much memory.
  Result<storage::ChangeSetPtr> apply(storage::CommitRequest request);
  // Errors: kConflict, saying to run the whole transaction again; kAlreadyExists; the committer's.
  Result<> commit();

 private:
  void show(std::string state);

  storage::Storage& storage_;
  OpenTransactions& open_;
  const platform::Clock& clock_;
  const TransactionLimits limits_;
  const int64_t begun_us_;  // monotonic
  TransactionStatus status_;
  std::map<std::string, std::pair<TableId, uint32_t>> definitions_;  // found to be the snapshot's, by qualified name
  storage::Transaction rows_;
};

}  // namespace kalamdb::query
