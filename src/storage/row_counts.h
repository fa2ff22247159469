// How many live rows, hot and cold, each user has in the tables that bound it (MAX_ROWS_PER_USER). A user is counted
// when it is first asked for; from then on the committer keeps its count up with every commit.
#pragma once

#include <cstdint>
#include <string>
#include <unordered_map>

#include "storage/segment_cache.h"

namespace kalamdb::storage {

// Used by the committer's thread only.
class RowCounts {
 public:
  RowCounts(const hot::Store& store, SegmentCache& segments) : store_(store), segments_(segments) {}

  // The count of a user, for whoever is about to change it, before its first change since the last write. Holds until
  // the next forget() or clear(). Errors: kIo, kCorruption.
  Result<int64_t*> of(const model::TableDefinition& table, const UserId& user);
  // While nothing is counted that is not written: drops what need not be known.
  void forget(TableId table);
  void trim();
  void clear() { counts_.clear(); }

 private:
  Result<int64_t> count(const model::TableDefinition& table, const UserId& user);

  const hot::Store& store_;
  SegmentCache& segments_;
  std::unordered_map<std::string, int64_t> counts_;  // by hot::scope_prefix()
};

}  // namespace kalamdb::storage
