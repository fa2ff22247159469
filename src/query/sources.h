// The tables of one statement for one caller: names resolved, rights checked, scope and snapshot bound. All tables of a
// statement are read at the same snapshot.
#pragma once

#include <string>

#include "duck/source.h"
#include "duck/statement.h"
#include "query/command.h"

namespace kalamdb::query {

class ViewTables;

// Not thread-safe; one statement's.
class StatementSources : public duck::SourceResolver {
 public:
  // Both must outlive it. Without `reads_segments`, find_rows() and taken_keys() fail with kConflict rather than read a
  // segment, which may take long.
  StatementSources(const Services& services, const StatementContext& context, bool reads_segments = true)
      : services_(services), context_(context), now_us_(services.clock.now_us()), reads_segments_(reads_segments) {}

  Result<duck::TableSource> open(const duck::TableName& name) override { return open_in(context_.namespace_id, name); }
  // The same for a view, which has a namespace of its own for unqualified names.
  Result<duck::TableSource> open_in(const std::string& default_namespace, const duck::TableName& name,
                                    std::shared_ptr<const ViewTables> view = nullptr);
  // The statement changes rows of this table: opening it as another version is kConflict.
  void expect(const model::TablePtr& table) { expected_ = table; }
  // The snapshot that this statement reads: its transaction's, else taken at the first call.
  const hot::SnapshotPtr& snapshot();
  // NOW() throughout the statement.
  int64_t now_us() const { return now_us_; }

  // What a write needs to know of the caller's rows of a table that is resolved already.
  // The live rows with these keys in the snapshot: `result[i]` belongs to `keys[i]`. kConflict when the table was
  // altered meanwhile.
  Result<std::vector<std::optional<storage::FoundRow>>> find_rows(const model::TablePtr& table,
                                                                  std::span<const std::string> keys);
  // Which of the keys an INSERT finds taken in segments; hot rows are the committer's to check.
  Result<storage::Storage::ColdKeys> taken_keys(const model::TablePtr& table, std::span<const std::string> keys);
  // The segments that find_rows() and open() read, for CommitRequest::segments_read.
  Result<uint64_t> segments_version(const model::TablePtr& table);

 private:
  // Whether the table was there at the snapshot (nullptr: is there now), by its record.
  Result<bool> has_record(const model::TableDefinition& table, const hot::SnapshotPtr& snapshot) const;
  // Errors: kConflict when a segment may have one of the keys and is not to be read.
  Result<> check_segment_reads(const model::TablePtr& table, const UserId& user, std::span<const std::string> keys);

  const Services& services_;
  const StatementContext& context_;
  hot::SnapshotPtr snapshot_;
  model::TablePtr expected_;
  int64_t now_us_;
  bool reads_segments_;
};

// What the engine needs to know of a statement's surroundings. `now_us` is what NOW() gives.
duck::QueryContext query_context(const Services& services, const StatementContext& context, int64_t now_us);

// A table, no view, for a live query or for writing by `caller`. Errors: kTableNotFound, kPermissionDenied;
// kInvalidOperation for a view, for a SHARED table under EXECUTE AS USER, for writes to a system table, and for live
// queries of those that find_subscribed_system_table() refuses.
enum class Access : uint8_t { kRead, kInsert, kUpdate, kDelete };
Result<model::TablePtr> resolve_table(const Services& services, const StatementContext& context,
                                      const duck::TableName& name, Access access);
// The rights and the EXECUTE AS USER rule alone.
Result<> check_access(const model::TableDefinition& table, const Caller& caller, Access access);

// In a transaction, that the definition is the one it began with. Errors: kConflict.
inline Result<> check_definition(const model::TableDefinition& table, const StatementContext& context) {
  if (context.transaction() == nullptr) return {};
  return context.request->transaction->check_definition(table.qualified_name(), &table);
}
// What it is for a statement that there is no such table: in a transaction that began when there was one, kConflict.
Error no_table(const std::string& namespace_id, const std::string& name, const StatementContext& context);

// Whose rows of the table the caller sees and writes.
inline UserId scope_of(const model::TableDefinition& table, const Caller& caller) {
  return table.is_per_user() ? caller.user : UserId();
}

}  // namespace kalamdb::query
