// The rows that a table has, of every user: what ALTER TABLE looks at before it asks more of them than before. It never
// tells whose rows they are, since whoever alters a table need not be allowed to read them.
#pragma once

#include <functional>
#include <string>

#include "query/command.h"

namespace kalamdb::query {

class ExistingRows {
 public:
  virtual ~ExistingRows() = default;
  // Whether a row that is not deleted makes the SQL condition true.
  virtual Result<bool> any(const std::string& condition) const = 0;
  // Whether `accept` takes every value of the column, NULL and those of deleted rows included.
  virtual Result<bool> all(const model::ColumnDefinition& column,
                           const std::function<bool(const model::ValueView&)>& accept) const = 0;
};

// All of them at a snapshot, which is taken here. Reading blocks.
class ScannedRows : public ExistingRows {
 public:
  // All must outlive it.
  ScannedRows(const Services& services, const StatementContext& context, model::TablePtr table)
      : services_(services),
        context_(context),
        table_(std::move(table)),
        snapshot_(services.storage.hot().snapshot()) {}

  Result<bool> any(const std::string& condition) const override;
  Result<bool> all(const model::ColumnDefinition& column,
                   const std::function<bool(const model::ValueView&)>& accept) const override;

 private:
  Result<bool> for_each(const std::string& select_list, const std::string& condition,
                        const std::function<bool(const model::ValueView&)>& accept) const;

  const Services& services_;
  const StatementContext& context_;
  model::TablePtr table_;
  hot::SnapshotPtr snapshot_;
};

// Those that some commits have written. Quick.
class WrittenRows : public ExistingRows {
 public:
  WrittenRows(const Services& services, model::TablePtr table, const std::vector<storage::ChangeSetPtr>& commits);

  Result<bool> any(const std::string& condition) const override;
  Result<bool> all(const model::ColumnDefinition& column,
                   const std::function<bool(const model::ValueView&)>& accept) const override;

 private:
  const Services& services_;
  model::TablePtr table_;
  std::vector<storage::ChangeSetPtr> commits_;  // keeps what `rows_` borrows
  std::vector<model::RowRecord> rows_;
};

// "name" in quotes, as SQL text.
std::string quoted(std::string_view name);
// 'text' in quotes, likewise.
std::string string_literal(std::string_view text);

}  // namespace kalamdb::query
