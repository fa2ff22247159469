// Tables as they go into a backup, and come back out of one. How a backup lies is told in cold/backup.h.
//
// A restore goes in three steps. prepare_restore() brings files and tombstones in under table ids that nothing else
// knows, and gives the commit that makes them count; whoever called adds the definitions and commits it; if that does
// not happen, the next restore or abandon_restore() removes what was brought in. What is under way is in a record, so
// that this holds after a crash too. prepare_import() does the same for rows that come from elsewhere.
//
// UNREGISTER TABLE takes the definition out in a commit that keeps it in a record, and all else of the table stays, so
// that Storage::unregister() finds it until it has written the folder; whatever stops it, it can be run again.
#pragma once

#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "cold/backup.h"
#include "storage/commit.h"
#include "storage/segments_context.h"

namespace kalamdb::storage {

// Checks that a path may hold a backup, and makes it absolute: a relative one is below <data_directory>/backups. Not
// allowed are what the system keeps elsewhere, other parts of the data directory, and directories of storages, wherever
// symbolic links lead. Errors: kInvalidOperation.
// `what` it is to hold is named by the error.
Result<std::string> backup_directory(const std::string& path, const std::string& data_directory,
                                     const StorageRegistry& storages, std::string_view what = "a backup");

// Writes what the snapshot has of a table, or of a view, of which `record` is the definition as stored. With `home`,
// the table's own directory, which `place` is too, segments that lie in it stay there, and others come to them.
Result<cold::BackupTable> back_up_table(const SegmentsContext& context, const model::TablePtr& table,
                                        const std::string& record, const std::vector<UserId>& users,
                                        const hot::SnapshotPtr& snapshot, const cold::BackupPlace& place,
                                        const Location* home = nullptr);

// A directory of a table's in a storage.
struct TableFolder {
  std::string storage_id;
  std::string directory;
};

// What keeps a table that is being unregistered: `definition` is encode(TableDefinition, history).
RecordWrite unregistered_record(TableId table, std::string definition);
// By id; nullopt, or all of them. Errors: kIo, kCorruption.
Result<std::optional<std::string>> unregistered_definition(const hot::Store& store, TableId table);
Result<std::vector<model::TablePtr>> unregistered_tables(const hot::Store& store);

struct TableToRestore {
  model::TablePtr table;  // as it is to be, with an id of its own
  cold::BackupTable listed;
  cold::BackupDetails details;
};

// What a scope of the backup becomes.
SegmentScope restored_scope(const model::TableDefinition& table, const cold::BackupScope& scope);

// `done` is what finished_restore() gives once the commit is made. With `adopted`, which `place` is too, segments stay
// in that folder, which becomes the one table's. Errors: kCorruption for what does not fit together, kUnavailable, kIo.
Result<CommitRequest> prepare_restore(const SegmentsContext& context, const cold::BackupPlace& place,
                                      std::span<const TableToRestore> tables, Seq seq, const std::string& job_id,
                                      const std::string& done, const TableFolder* adopted = nullptr);
// Writes rows, ascending by key, into segments of a SHARED table that is to be; each gets a `_seq`. `done` tells by how
// many there are. Errors: those of `rows`, kUnavailable, kIo.
Result<CommitRequest> prepare_import(const SegmentsContext& context, const model::TablePtr& table,
                                     model::RowCursor& rows, const std::string& job_id,
                                     const std::function<std::string(uint64_t rows)>& done);
// What the job's restore left when it was committed; nullopt if it was not.
Result<std::optional<std::string>> finished_restore(const hot::Store& store, const std::string& job_id);
// The tables of a restore that was begun and not committed, whose tombstones it removes. Files are the caller's.
Result<std::vector<TableId>> abandon_restored_rows(const hot::Store& store, Committer& committer);

}  // namespace kalamdb::storage
