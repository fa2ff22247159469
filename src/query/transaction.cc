#include "query/transaction.h"

#include <utility>

namespace kalamdb::query {
namespace {

constexpr std::pair<TableId, uint32_t> kNoTable;

}  // namespace

void OpenTransactions::put(TransactionStatus status) {
  const std::lock_guard lock(mutex_);
  by_id_.insert_or_assign(status.id, std::move(status));
}

void OpenTransactions::erase(const std::string& id) {
  const std::lock_guard lock(mutex_);
  by_id_.erase(id);
}

std::vector<TransactionStatus> OpenTransactions::list() const {
  const std::lock_guard lock(mutex_);
  std::vector<TransactionStatus> all;
  for (const auto& [id, status] : by_id_) all.push_back(status);
  return all;
}

RequestTransaction::RequestTransaction(storage::Storage& storage, OpenTransactions& open, const platform::Clock& clock,
                                       TransactionLimits limits, std::string id, std::string owner)
    : storage_(storage), open_(open), clock_(clock), limits_(limits), begun_us_(clock.monotonic_us()), rows_(storage) {
  status_.id = std::move(id);
  status_.owner = std::move(owner);
  status_.begun_at_us = clock.now_us();
  status_.snapshot_seq = rows_.snapshot()->seq();
  show("open_read");
}

RequestTransaction::~RequestTransaction() { open_.erase(status_.id); }

void RequestTransaction::show(std::string state) {
  status_.state = std::move(state);
  status_.last_active_us = clock_.now_us();
  open_.put(status_);
}

Result<> RequestTransaction::check_age() {
  if (clock_.monotonic_us() - begun_us_ > limits_.max_age_ms * 1000) {
    return fail(ErrorCode::kInvalidOperation,
                "transaction '" + id() + "' was open for more than " + std::to_string(limits_.max_age_ms / 1000) +
                    " s (transaction_timeout_secs) and was rolled back; do less in one transaction");
  }
  show(status_.state);
  return {};
}

Result<> RequestTransaction::check_definition(const std::string& name, const model::TableDefinition* table) {
  auto known = definitions_.find(name);
  if (known == definitions_.end()) {
    KALAM_TRY(const auto record, storage_.hot().get_record(hot::RecordSpace::kTable, name, rows_.snapshot()));
    std::pair<TableId, uint32_t> definition = kNoTable;
    if (record) {
      KALAM_TRY(const model::TableDefinition then, model::decode_table(*record));
      definition = {then.id, then.schema_version};
    }
    known = definitions_.emplace(name, definition).first;
  }
  if (known->second == (table == nullptr ? kNoTable : std::pair(table->id, table->schema_version))) return {};
  return fail(ErrorCode::kConflict,
              "transaction '" + id() + "' was rolled back: " + name +
                  " was created, altered or dropped after it began; run the whole transaction again");
}

Result<storage::ChangeSetPtr> RequestTransaction::apply(storage::CommitRequest request) {
  KALAM_TRY(auto done, rows_.apply(std::move(request)));
  status_.write_count += done->rows.size();
  status_.write_bytes = rows_.write_bytes();
  status_.touched_tables = rows_.table_count();
  if (status_.write_bytes > limits_.max_bytes) {
    return fail(ErrorCode::kInvalidOperation, "transaction '" + id() + "' exceeded buffer limit of " +
                                                  std::to_string(limits_.max_bytes) + " bytes and was aborted");
  }
  show("open_write");
  return done;
}

Result<> RequestTransaction::commit() {
  show("committing");
  auto committed = rows_.commit();
  if (!committed && committed.error().code == ErrorCode::kConflict) {
    return fail(ErrorCode::kConflict, "transaction '" + id() +
                                          "' was rolled back: a row or table that it changes was changed by a "
                                          "concurrent request; run the whole transaction again");
  }
  return committed;
}

}  // namespace kalamdb::query
