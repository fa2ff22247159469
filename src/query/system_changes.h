// System tables for live queries: their rows at a snapshot, and what commits change in them.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "duck/source.h"
#include "query/system_rows.h"
#include "storage/commit.h"
#include "storage/storage.h"

namespace kalamdb::query {

// The rows of a table that find_subscribed_system_table() gave. Errors: kIo, kCorruption.
Result<duck::ComputedRows> system_rows_at(storage::Storage& storage, const model::TableDefinition& table,
                                          const hot::SnapshotPtr& snapshot);

// Makes changes of system tables' rows from those of the records that they show. Not thread-safe.
class SystemChanges {
 public:
  // Begins with the database as it is. Errors: kIo, kCorruption.
  static Result<std::unique_ptr<SystemChanges>> open(storage::Storage& storage);

  // Whether apply() must be given this commit even if nobody wants its changes: it keeps count of them.
  static bool is_counted(const storage::ChangeSet& commit);

  // The changes of rows of the tables that are wanted, all with the commit's `_seq`. Every commit that is_counted()
  // must be given, in order.
  using IsWanted = std::function<bool(TableId table)>;
  storage::ChangeSetPtr apply(const storage::ChangeSet& commit, const IsWanted& is_wanted);

 private:
  SystemChanges(NamespaceRecords namespaces, cold::StorageDefinition default_local)
      : namespaces_(std::move(namespaces)), default_local_(std::move(default_local)) {}

  std::vector<model::Row> rows(const SystemTable& table, std::string_view key,
                               const std::optional<std::string>& record) const;
  void count(const storage::RecordChange& change, const IsWanted& is_wanted, storage::ChangeSet& told);

  NamespaceRecords namespaces_;
  const cold::StorageDefinition default_local_;
};

}  // namespace kalamdb::query
