// How many live hot rows a scope has, for COUNT(*), which then need not step over them. A scope is kept up with from
// the first time that somebody asks; the reader that counts it next, by reading, says what it found.
#pragma once

#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "storage/commit.h"

namespace kalamdb::storage {

// Thread-safe. Not for tables whose rows expire: they go without a commit.
class HotRowCounts {
 public:
  // All commits up to `applied` are written, and none after it.
  explicit HotRowCounts(Seq applied) : applied_(applied) {}

  // As of a snapshot at `seq`. nullopt: not known until learn() tells, once the rows have been read.
  std::optional<uint64_t> find(TableId table, const UserId& user, Seq seq);
  // What a snapshot at `seq` has. Kept if the scope cannot have changed since, or if that is known.
  void learn(TableId table, const UserId& user, Seq seq, uint64_t rows);

  // For the committer's thread, when a group of commits up to `last_seq` has been written: what they did, in their
  // order, and the tables of which that does not tell what became of their rows.
  void apply(const std::vector<ChangeSetPtr>& commits, const std::vector<TableId>& uncounted, Seq last_seq);

 private:
  struct Scope {
    Seq changed_at = 0;            // at the latest
    std::optional<uint64_t> rows;  // since then
  };

  // Whether what is known of the scope holds at `seq`: a snapshot may be ahead of `applied_` for a moment.
  bool holds_at_locked(const Scope& scope, Seq seq) const { return scope.changed_at <= seq && seq <= applied_; }
  void apply_locked(const ChangeSet& changes);

  std::mutex mutex_;
  Seq applied_;
  std::unordered_map<std::string, Scope> scopes_;  // by hot::scope_prefix()
};

}  // namespace kalamdb::storage
