// Tables as they go into a backup, and come back out of one. How a backup lies is told in cold/backup.h.
//
// A restore goes in three steps. prepare_restore() brings files and tombstones in under table ids that nothing else
// knows, and gives the commit that makes them count; whoever called adds the definitions and commits it; if that does
// not happen, the next restore or abandon_restore() removes what was brought in. What is under way is in a record, so
// that this holds after a crash too.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "cold/backup.h"
#include "storage/commit.h"
#include "storage/segments_context.h"

namespace kalamdb::storage {

// Checks that a path may hold a backup, and makes it absolute: a relative one is below <data_directory>/backups. Not
// allowed are what the system keeps elsewhere, other parts of the data directory, and directories of storages, wherever
// symbolic links lead. Errors: kInvalidOperation.
Result<std::string> backup_directory(const std::string& path, const std::string& data_directory,
                                     const StorageRegistry& storages);

// Writes what the snapshot has of a table, or of a view, of which `record` is the definition as stored.
Result<cold::BackupTable> back_up_table(const SegmentsContext& context, const model::TablePtr& table,
                                        const std::string& record, const std::vector<UserId>& users,
                                        const hot::SnapshotPtr& snapshot, const cold::BackupPlace& place);

struct TableToRestore {
  model::TablePtr table;  // as it is to be, with an id of its own
  cold::BackupTable listed;
  cold::BackupDetails details;
};

// What a scope of the backup becomes.
SegmentScope restored_scope(const model::TableDefinition& table, const cold::BackupScope& scope);

// `done` is what finished_restore() gives once the commit is made. Errors: kCorruption for what does not fit together,
// kUnavailable, kIo.
Result<CommitRequest> prepare_restore(const SegmentsContext& context, const cold::BackupPlace& place,
                                      std::span<const TableToRestore> tables, Seq seq, const std::string& job_id,
                                      const std::string& done);
// What the job's restore left when it was committed; nullopt if it was not.
Result<std::optional<std::string>> finished_restore(const hot::Store& store, const std::string& job_id);
// The tables of a restore that was begun and not committed, whose tombstones it removes. Files are the caller's.
Result<std::vector<TableId>> abandon_restored_rows(const hot::Store& store, Committer& committer);

}  // namespace kalamdb::storage
