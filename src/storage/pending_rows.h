// Counts, for the flush policy, how many rows of a table wait to be flushed.
#pragma once

#include <cstdint>
#include <mutex>
#include <unordered_map>

#include "storage/commit.h"

namespace kalamdb::storage {

// Thread-safe.
class PendingRows {
 public:
  // Counts of rows from before the start, which only a scan can tell, are made when first asked for.
  explicit PendingRows(const hot::Store& store) : store_(store), started_at_(store.last_seq()) {}

  // A commit was made. Rewriting a row counts again.
  void add(const ChangeSet& changes);
  uint64_t count(TableId table);
  // `rows` of those that waited have gone.
  void subtract(TableId table, uint64_t rows);

 private:
  struct Entry {
    uint64_t rows = 0;
    bool has_old_rows = false;  // those from before the start are among them
  };

  uint64_t count_old_rows(TableId table) const;

  const hot::Store& store_;
  const Seq started_at_;
  std::mutex mutex_;
  std::unordered_map<TableId, Entry> entries_;
};

}  // namespace kalamdb::storage
