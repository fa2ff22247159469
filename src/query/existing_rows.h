// The rows that a table has, of every user and deleted ones too: what ALTER TABLE looks at before it asks more of them
// than before.
#pragma once

#include <functional>
#include <string>

#include "query/command.h"

namespace kalamdb::query {

// Reads at a snapshot. Blocks. Never tells whose rows they are: whoever alters a table need not be allowed to read
// them.
class ExistingRows {
 public:
  // Rows with after < _seq. All of them must outlive it.
  ExistingRows(const Services& services, const StatementContext& context, model::TablePtr table,
               hot::SnapshotPtr snapshot, Seq after)
      : services_(services),
        context_(context),
        table_(std::move(table)),
        snapshot_(std::move(snapshot)),
        after_(after) {}

  // Whether a row that is not deleted makes the SQL condition true.
  Result<bool> any(const std::string& condition) const;
  // Whether `accept` takes every value of the column, NULL and those of deleted rows included.
  Result<bool> all(const model::ColumnDefinition& column,
                   const std::function<bool(const model::ValueView&)>& accept) const;

 private:
  Result<bool> for_each(const std::string& select_list, const std::string& condition,
                        const std::function<bool(const model::ValueView&)>& accept) const;

  const Services& services_;
  const StatementContext& context_;
  model::TablePtr table_;
  hot::SnapshotPtr snapshot_;
  Seq after_;
};

// "name" in quotes, as SQL text.
std::string quoted(std::string_view name);

}  // namespace kalamdb::query
