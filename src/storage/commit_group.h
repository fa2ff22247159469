// Commits that are written together: each is validated against the database and the group's earlier commits, and filled
// into one batch. Used by the committer's thread only.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "platform/clock.h"
#include "platform/id_generator.h"
#include "storage/commit.h"
#include "storage/row_counts.h"
#include "storage/segment_cache.h"

namespace kalamdb::storage {

struct LiveTable {
  uint32_t schema_version = 0;
  Seq emptied_at = 0;  // the last commit that erased all its rows; 0: none since the start
};
using LiveTables = std::unordered_map<TableId, LiveTable>;

// What a group needs to know; all of it outlives the group.
struct CommitContext {
  hot::Store& store;
  SegmentCache& segments;
  const platform::Clock& clock;
  platform::SnowflakeGenerator& seqs;
  const LiveTables& tables;
  RowCounts& row_counts;  // as if all that was added were written
  const Result<>& room;   // for more rows
};

// True for commits that change what later ones are validated against beyond rows and records: they go alone.
bool goes_alone(const CommitRequest& request);

class CommitGroup {
 public:
  explicit CommitGroup(const CommitContext& context);

  // Adds all that `request` asks for, or nothing if it fails. The change set is what it will have done.
  Result<std::shared_ptr<ChangeSet>> add(CommitRequest request);

  size_t size_bytes() const { return batch_->size_bytes(); }
  // The last commit so far; 0 while they change nothing.
  Seq last_seq() const { return last_seq_; }
  bool has_writes() const { return last_seq_ != 0; }
  // They change something other than STREAM rows, which need not survive a crash.
  bool needs_sync() const { return needs_sync_; }
  bool always_syncs() const { return always_syncs_; }
  // Writes what was added. With an error nothing was.
  Result<> write(hot::Sync sync);

 private:
  // What the group's earlier writes made of a row.
  struct Written {
    Seq seq = 0;
    bool present = false;  // false: erased
    bool deleted = false;
    uint64_t request = 0;  // which request of the group wrote it
  };
  struct Current {
    Seq seq = 0;  // 0: there is none
    bool live = false;
    std::string row;
    bool by_this_request = false;
    bool by_this_group = false;
  };
  // A deletion vector that the group adds to: a copy of the stored one.
  struct Marked {
    DeletionsPtr base;
    std::shared_ptr<PositionSet> changed;
    Seq seq = 0;  // of the last commit that added to it
  };
  struct PendingMark {
    std::string record_key;
    PositionRange positions;
  };

  Result<> validate_and_fill(CommitRequest& request, ChangeSet& done);
  Result<> check_segments(const CommitRequest& request);
  Result<> check_schema(const model::TablePtr& table) const;
  // False: the write was to do nothing.
  Result<bool> add_row(RowWrite& write, ChangeSet& done);
  Result<bool> insert_row(RowWrite& write, std::string full_key, const Current& current, ChangeSet& done);
  Result<> change_row(RowWrite& write, std::string full_key, Current& current, ChangeSet& done);
  Result<> add_record(RecordWrite& write, ChangeSet& done);
  Result<Current> read_current(const RowWrite& write, const std::string& full_key);
  Result<> mark_deleted(const RowWrite& write);
  Result<Marked*> find_marked(const std::string& scope, uint64_t segment_id, const std::string& record_key);
  // A row has come (1) or gone (-1).
  Result<> count_row(const RowWrite& write, int change);
  // No user has more rows than the table allows because of what the request has inserted.
  Result<> check_row_counts() const;
  Result<> note_forgotten(const ChangeSet& done);
  void remember(std::string full_key, const Written& written);
  void roll_back();

  CommitContext context_;
  std::unique_ptr<hot::Batch> batch_;
  std::unordered_map<std::string, Written> rows_;
  std::unordered_map<std::string, std::optional<std::string>> records_;
  std::unordered_map<std::string, Marked> marked_;
  std::unordered_map<std::string, uint64_t> segments_versions_;
  Seq last_seq_ = 0;
  bool needs_sync_ = false;
  bool always_syncs_ = false;
  // Of the request being added.
  uint64_t request_ = 0;
  std::vector<std::pair<std::string, std::optional<Written>>> rows_before_;
  std::vector<std::pair<std::string, std::optional<std::optional<std::string>>>> records_before_;
  std::vector<PendingMark> pending_marks_;
  struct CountChange {
    model::TablePtr table;
    UserId user;
    int64_t* count;
    int64_t change = 0;
  };
  std::vector<CountChange> count_changes_;  // one for each scope
};

}  // namespace kalamdb::storage
