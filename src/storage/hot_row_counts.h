// How many live hot rows a scope has, for COUNT(*), which then need not step over them. A scope is kept up with from
// the first time that somebody asks; the reader that counts it next, by reading, says what it found.
#pragma once

#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>

#include "storage/commit.h"

namespace kalamdb::storage {

// Thread-safe. Not for tables whose rows expire: they go without a commit.
class HotRowCounts {
 public:
  // All commits up to `applied` are written, and none after it.
  explicit HotRowCounts(Seq applied) : applied_(applied) {}

  // As of a snapshot at `seq`. nullopt: not known; count() tells once the rows have been read.
  std::optional<uint64_t> find(TableId table, const UserId& user, Seq seq);
  // What a snapshot at `seq` has. Kept if the scope cannot have changed since, or if that is known.
  void learn(TableId table, const UserId& user, Seq seq, uint64_t rows);

  // For the committer's thread, in commit order, when a group of commits has been written: first what each of them did,
  // then up to which one all is said. Of some tables it may not be known what became of their rows.
  void apply(const ChangeSet& changes);
  void forget(TableId table);
  void set_applied(Seq seq);

 private:
  struct Scope {
    Seq changed_at = 0;            // at the latest
    std::optional<uint64_t> rows;  // since then
  };

  std::mutex mutex_;
  Seq applied_;
  std::unordered_map<std::string, Scope> scopes_;  // by hot::scope_prefix()
};

}  // namespace kalamdb::storage
