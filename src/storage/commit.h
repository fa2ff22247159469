// What one commit asks for, and what it did. Everything that changes the database is a CommitRequest.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/ids.h"
#include "base/position_set.h"
#include "base/result.h"
#include "hot/store.h"
#include "model/table.h"

namespace kalamdb::storage {

enum class WriteKind : uint8_t {
  kInsert,          // the key must not be there (a tombstone may): else kAlreadyExists
  kInsertOrIgnore,  // the same, but an existing row makes the write do nothing
  kInsertAbsent,    // the same for a key that was read and not there: else kConflict
  kUpdate,          // `read_seq` must still be the newest version: else kConflict
  kDelete,          // likewise; USER and SHARED rows leave a tombstone, STREAM rows vanish
};

// Where a cold row lies that a write replaces.
struct ColdPosition {
  uint64_t segment_id = 0;
  uint32_t position = 0;
};

struct RowWrite {
  model::TablePtr table;
  UserId user;      // empty for SHARED tables
  std::string key;  // model::encode_key()
  WriteKind kind = WriteKind::kInsert;
  std::string row;   // the new row, model::encode_row(). kDelete: empty, the old row is kept
  Seq read_seq = 0;  // kUpdate, kDelete: the version that was read
  // kUpdate, kDelete of a cold row: where it lies and what it was.
  std::optional<ColdPosition> cold;
  std::string old_row;  // of a hot row it may be left out
};

struct RecordWrite {
  hot::RecordSpace space{};
  std::string key;
  std::optional<std::string> value;  // nullopt: erase
  // If set, what must be there now ("" for "nothing"): else kConflict.
  std::optional<std::string> expected;
};

// "What I know about the segments of this user's rows still holds": a flush or compaction since then is kConflict.
struct SegmentsRead {
  model::TablePtr table;
  UserId user;
  uint64_t segments_version = 0;
};

// A tombstone of a table that is being restored and has no definition yet, as it was in the backup.
struct RestoredTombstone {
  TableId table;
  UserId user;
  std::string key;
  Seq seq = 0;
  std::string row;
};

// Rows of a segment that are deleted from then on, which nobody is told of.
struct SegmentMark {
  std::string scope;  // SegmentScope::key
  uint64_t segment_id = 0;
  PositionRange positions;
};

class SegmentsChange;  // storage/segments_change.h

struct CommitRequest {
  std::vector<RowWrite> rows;
  std::vector<RecordWrite> records;
  std::vector<SegmentsRead> segments_read;
  // Tables that this commit creates, alters or drops: writes based on another schema version are kConflict from then
  // on.
  struct TableChange {
    TableId table;
    uint32_t schema_version = 0;  // 0: dropped
    model::TablePtr definition;   // as altered; nullptr when it is dropped or new
  };
  std::vector<TableChange> table_changes;
  // Tables whose hot rows all go (DROP TABLE, TRUNCATE).
  std::vector<TableId> erase_tables;
  std::vector<RestoredTombstone> tombstones;
  // The `_seq` of this commit and of all later ones is greater: that of rows which came with a backup.
  Seq seq_floor = 0;
  // Only beside `table_changes`: asked on the committer's thread, when all earlier commits are written and watches have
  // them (Storage::watch_writes), whether this one may be. Must be quick.
  std::function<Result<>()> validate;
  // A flush, compaction or the like, which src/storage itself asks for.
  std::shared_ptr<SegmentsChange> segments_change;
  // Only beside `segments_change`, of the same table.
  std::vector<SegmentMark> marks;
  // It is on the disk when it is answered, even with Durability::kOs: what it replaces is removed then.
  bool always_sync = false;
};

enum class ChangeKind : uint8_t { kInsert, kUpdate, kDelete };

struct RowChange {
  model::TablePtr table;
  UserId user;
  ChangeKind kind = ChangeKind::kInsert;
  bool old_is_cold = false;  // the previous version lay in a segment
  Seq seq = 0;
  Seq old_seq = 0;
  std::string key;
  std::string row;      // new version; empty for a delete
  std::string old_row;  // previous version; empty for an insert
};

// What system tables show.
inline constexpr bool is_shown(hot::RecordSpace space) {
  return space == hot::RecordSpace::kNamespace || space == hot::RecordSpace::kTable ||
         space == hot::RecordSpace::kUser || space == hot::RecordSpace::kJob || space == hot::RecordSpace::kStorage;
}

struct RecordChange {
  hot::RecordSpace space{};  // one that is_shown()
  std::string key;
  std::optional<std::string> before;  // nullopt: it was not there
  std::optional<std::string> now;     // nullopt: it is gone
};

// What a commit did, in the order in which it did it. Row changes have ascending `seq`; the last one's is `commit_seq`.
// A commit that changed nothing has the `commit_seq` of the one before it.
struct ChangeSet {
  Seq commit_seq = 0;
  std::vector<RowChange> rows;
  // Which of CommitRequest::rows did nothing: kInsertOrIgnore that found the key taken. Ascending.
  std::vector<uint32_t> ignored_rows;
  std::vector<CommitRequest::TableChange> table_changes;
  std::vector<RecordChange> records;
};
using ChangeSetPtr = std::shared_ptr<const ChangeSet>;

}  // namespace kalamdb::storage
