// The hot rows of a scope, in the order of its segments: user by user where users share them.
#pragma once

#include <memory>
#include <utility>

#include "hot/store.h"
#include "model/row_codec.h"
#include "storage/segment_scope.h"

namespace kalamdb::storage {

// Gives tombstones too. `store` and `scope` must outlive it.
class ScopeCursor final : public model::RowCursor {
 public:
  ScopeCursor(const hot::Store& store, TableId table, const ScopeUsers& scope, hot::SnapshotPtr snapshot)
      : store_(store), table_(table), scope_(scope), snapshot_(std::move(snapshot)) {}

  Result<std::optional<model::RowRecord>> next() override {
    while (true) {
      if (rows_ == nullptr) {
        if (next_user_ == scope_.users.size()) return std::nullopt;
        rows_ = store_.scan(table_, scope_.users[next_user_++], "", "", /*with_tombstones=*/true, snapshot_);
      }
      KALAM_TRY(auto record, rows_->next());
      if (record) {
        record->user = &scope_.users[next_user_ - 1];
        return record;
      }
      rows_.reset();
    }
  }

 private:
  const hot::Store& store_;
  const TableId table_;
  const ScopeUsers& scope_;
  hot::SnapshotPtr snapshot_;
  size_t next_user_ = 0;
  std::unique_ptr<model::RowCursor> rows_;
};

}  // namespace kalamdb::storage
