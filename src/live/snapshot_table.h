// The table of a subscription at a snapshot, as the SQL engine reads it.
#pragma once

#include "live/group.h"
#include "query/command.h"
#include "query/system_changes.h"

namespace kalamdb::live {

// All that it is made of must outlive it.
class SnapshotTable : public duck::SourceResolver {
 public:
  SnapshotTable(const query::Services& services, const GroupQuery& query, const hot::SnapshotPtr& snapshot)
      : services_(services), query_(query), snapshot_(snapshot) {}

  Result<duck::TableSource> open(const duck::TableName&) override {
    duck::TableSource source;
    if (query_.table->type != model::TableType::kSystem) {
      KALAM_TRY(source.scan, services_.storage.scan(query_.table, query_.scope, snapshot_));
      return source;
    }
    if (!computed_) {
      KALAM_TRY(computed_, query::system_rows_at(services_.storage, *query_.table, snapshot_));
    }
    source.computed = computed_;
    return source;
  }

 private:
  const query::Services& services_;
  const GroupQuery& query_;
  const hot::SnapshotPtr& snapshot_;
  std::optional<duck::ComputedRows> computed_;  // of a system table
};

// The table as it is defined now. Errors: kTableNotFound when it is gone.
Result<model::TablePtr> current_table(const query::Services& services, const model::TablePtr& known);

// What the queries of a subscription run with.
duck::QueryContext query_context(const query::Services& services, const query::Caller& caller, const GroupQuery& query);

}  // namespace kalamdb::live
