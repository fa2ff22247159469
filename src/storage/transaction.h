// An explicit transaction: reads at one snapshot with its own writes laid over it, writes that wait here until they are
// committed all at once. Snapshot isolation, first committer wins.
#pragma once

#include <map>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/position_set.h"
#include "storage/storage.h"

namespace kalamdb::storage {

// What the transaction made of one row.
struct OwnRow {
  bool live = false;
  Seq seq = 0;      // provisional: above the snapshot's, ascending in the order of the writes
  std::string row;  // the row as it is now; of a deleted one, as it last was
  // The row that the snapshot has under this key.
  Seq base_seq = 0;  // 0: none
  std::optional<ColdPosition> base_cold;
  std::string base_row;
  // Without a row in the snapshot: kInsert, or kInsertAbsent where a row that somebody else has put there meanwhile
  // would have had the statement do something else.
  WriteKind insert_kind = WriteKind::kInsert;
};

// The writes of a transaction to one table and scope.
struct OwnRows {
  model::TablePtr table;
  UserId user;
  std::map<std::string, OwnRow, std::less<>> rows;  // by encoded primary key
  std::map<uint64_t, PositionSet> replaced;         // positions of cold rows that `rows` replace, by segment
};

// Not thread-safe, but for what scan() returns, which several threads may read until the next apply().
class Transaction {
 public:
  // The snapshot is taken here. `storage` must outlive it.
  explicit Transaction(Storage& storage);

  const hot::SnapshotPtr& snapshot() const { return snapshot_; }

  // As in Storage, at this snapshot and with the own writes. What scan() returns must not outlive the transaction.
  Result<std::optional<FoundRow>> find(const model::TablePtr& table, const UserId& user, std::string_view key);
  Result<std::vector<std::optional<FoundRow>>> find_all(const model::TablePtr& table, const UserId& user,
                                                        std::span<const std::string> keys);
  Result<std::shared_ptr<const duck::TableScan>> scan(const model::TablePtr& table, const UserId& user);
  Result<Storage::ColdKeys> cold_keys(const model::TablePtr& table, const UserId& user,
                                      std::span<const std::string> keys);

  // Takes the row writes of one statement and tells what they did; the `_seq` in it are provisional. The transaction is
  // of no use after an error. Errors: kAlreadyExists; kConflict when a table was altered since its first write here;
  // kInvalidOperation for STREAM tables.
  Result<ChangeSetPtr> apply(CommitRequest request);

  // Commits everything, once. Blocks. Errors: kConflict when somebody else has changed one of the rows, or altered a
  // table, since the snapshot; kAlreadyExists when somebody else has inserted one of the keys; the committer's.
  Result<> commit();

  // About how much memory the writes take.
  uint64_t write_bytes() const { return bytes_; }
  // Tables that it has written to.
  size_t table_count() const;

 private:
  const OwnRows* find_scope(const model::TablePtr& table, const UserId& user) const;
  Result<OwnRows*> open_scope(const RowWrite& write);
  // False when the write does nothing.
  Result<bool> add(RowWrite& write, Seq first_seq, ChangeSet& done);
  // What the snapshot has under the key of `write`, if the transaction has not written it yet.
  Result<OwnRow> base_of(const RowWrite& write) const;
  Result<CommitRequest> request() const;
  // Where the rows that the request replaces lie by now. Errors: kConflict for one that is another version by now,
  // kAlreadyExists for a key that is taken by now.
  Result<> relocate(CommitRequest& request) const;

  Storage& storage_;
  const hot::SnapshotPtr snapshot_;
  std::map<std::pair<TableId, UserId>, OwnRows> scopes_;
  Seq last_seq_;
  uint64_t bytes_ = 0;
};

}  // namespace kalamdb::storage
