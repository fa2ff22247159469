#include "query/insert.h"

#include <algorithm>
#include <unordered_set>

#include "model/key_codec.h"
#include "model/row_codec.h"
#include "query/constraints.h"
#include "query/row_values.h"
#include "query/upsert.h"
#include "storage/key_errors.h"

namespace kalamdb::query {

namespace {

using duck::InsertShape;

storage::WriteKind write_kind(InsertShape::OnConflict on_conflict) {
  switch (on_conflict) {
    case InsertShape::OnConflict::kFail:
      break;
    case InsertShape::OnConflict::kNothing:
      return storage::WriteKind::kInsertOrIgnore;
    case InsertShape::OnConflict::kUpdate:
      return storage::WriteKind::kInsertAbsent;
  }
  return storage::WriteKind::kInsert;
}

// Collects the rows of one INSERT as writes.
class InsertBuilder {
 public:
  InsertBuilder(const Services& services, const StatementContext& context, const duck::Statement& statement,
                model::TablePtr table, const std::vector<const model::ColumnDefinition*>& columns,
                StatementSources& sources)
      : services_(services),
        context_(context),
        statement_(statement),
        sources_(sources),
        values_(services, context, sources.now_us()),
        table_(std::move(table)),
        user_(scope_of(*table_, context.caller)),
        kind_(write_kind(statement.insert()->on_conflict)) {
    for (const auto* column : columns) given_.push_back(static_cast<size_t>(column - table_->columns.data()));
    for (size_t i = 0; i < table_->columns.size(); ++i) {
      const auto& column = table_->columns[i];
      const bool stored = !column.is_system() || column.name == model::kHiddenKeyColumn;
      if (stored && std::ranges::find(given_, i) == given_.end()) defaulted_.push_back(i);
    }
  }

  // `value_of(i, column)` gives the i-th given column's value.
  template <typename ValueOf>
  Result<> add_row(ValueOf value_of) {
    ++row_number_;
    model::Row row(table_->columns.size());
    for (size_t i = 0; i < given_.size(); ++i) {
      const auto& column = table_->columns[given_[i]];
      KALAM_TRY(row[given_[i]], value_of(i, column));
      KALAM_CHECK(RowValues::check_not_null(column, row[given_[i]], row_number_));
    }
    for (const size_t i : defaulted_) {
      KALAM_TRY(row[i], values_.default_of(table_->columns[i]));
      KALAM_CHECK(RowValues::check_not_null(table_->columns[i], row[i], row_number_));
    }
    storage::RowWrite write;
    write.table = table_;
    write.user = user_;
    write.key = model::encode_key(*table_, row);
    write.kind = kind_;
    write.row = model::encode_row(*table_, row);
    bytes_ += write.key.size() + write.row.size() + sizeof write;
    writes_.request.rows.push_back(std::move(write));
    if (bytes_ <= services_.limits.max_statement_bytes) return {};
    return fail(ErrorCode::kInvalidOperation, "The rows of this INSERT take more than " +
                                                  std::to_string(services_.limits.max_statement_bytes) +
                                                  " bytes of memory (limits.max_statement_bytes); insert them in "
                                                  "several statements");
  }

  // The writes, once the keys are known not to be taken, or what is to be done about those that are. Hot rows are the
  // committer's to check, but for ON CONFLICT DO UPDATE.
  Result<PreparedWrites> finish() {
    writes_.table = table_;
    if (writes_.request.rows.empty()) return std::move(writes_);
    if (kind_ == storage::WriteKind::kInsertAbsent) {
      KALAM_CHECK(resolve_conflicts(services_, context_, statement_, table_, sources_, values_, writes_));
    } else if (table_->type != model::TableType::kStream) {
      KALAM_CHECK(check_cold_keys());
    }
    return std::move(writes_);
  }

  RowValues& values() { return values_; }
  size_t row_number() const { return row_number_; }

 private:
  Result<> check_cold_keys() {
    std::vector<std::string> keys;
    keys.reserve(writes_.request.rows.size());
    for (const auto& write : writes_.request.rows) keys.push_back(write.key);
    KALAM_TRY(const auto cold, sources_.taken_keys(table_, keys));
    writes_.request.segments_read.push_back({table_, user_, cold.segments_version});
    if (cold.taken.empty()) return {};
    if (kind_ == storage::WriteKind::kInsert) {
      return fail(storage::key_taken(*table_, cold.taken.front().key, "cold storage: " + cold.taken.front().path));
    }
    // What does nothing in the end must be a row of the table all the same, as it must where the key is hot.
    KALAM_CHECK(enforce_checks(services_, writes_));
    std::unordered_set<std::string_view> taken;
    for (const auto& row : cold.taken) taken.insert(row.key);
    std::erase_if(writes_.request.rows, [&](const storage::RowWrite& write) { return taken.contains(write.key); });
    return {};
  }

  const Services& services_;
  const StatementContext& context_;
  const duck::Statement& statement_;
  StatementSources& sources_;
  RowValues values_;
  model::TablePtr table_;
  UserId user_;
  storage::WriteKind kind_;
  std::vector<size_t> given_;      // indexes into table_->columns, in the order of the values
  std::vector<size_t> defaulted_;  // the other stored columns
  size_t row_number_ = 0;
  uint64_t bytes_ = 0;  // of the writes
  PreparedWrites writes_;
};

Result<std::vector<const model::ColumnDefinition*>> named_columns(const model::TableDefinition& table,
                                                                  const InsertShape& insert) {
  if (insert.columns.empty()) return insertable_columns(table);
  std::vector<const model::ColumnDefinition*> columns;
  for (const std::string& name : insert.columns) {
    const model::ColumnDefinition* column = table.find_column(name);
    if (column == nullptr) return fail(ErrorCode::kInvalidOperation, "Column '" + name + "' does not exist");
    if (column->is_system()) {
      return fail(ErrorCode::kInvalidOperation, "Column '" + name + "' is a system column and cannot be written");
    }
    if (std::ranges::find(columns, column) != columns.end()) {
      return fail(ErrorCode::kInvalidSql, "Column '" + name + "' is named twice");
    }
    columns.push_back(column);
  }
  return columns;
}

}  // namespace

Result<PreparedWrites> prepare_insert_values(const Services& services, const StatementContext& context,
                                             const duck::Statement& statement, const model::TablePtr& table,
                                             const std::vector<const model::ColumnDefinition*>& columns,
                                             StatementSources& sources) {
  const InsertShape& insert = *statement.insert();
  KALAM_CHECK(check_conflict_clause(*table, insert));
  InsertBuilder builder(services, context, statement, table, columns, sources);
  for (const auto& row : insert.rows) {
    if (row.size() != columns.size()) {
      return fail(ErrorCode::kInvalidSql, "INSERT has " + std::to_string(row.size()) + " values for " +
                                              std::to_string(columns.size()) + " columns (row " +
                                              std::to_string(builder.row_number() + 1) + ")");
    }
    KALAM_CHECK(builder.add_row([&](size_t i, const model::ColumnDefinition& column) {
      return builder.values().of(row[i], column, builder.row_number());
    }));
  }
  return builder.finish();
}

Result<PreparedWrites> prepare_insert(const Services& services, const StatementContext& context,
                                      const duck::Statement& statement, StatementSources& sources) {
  const InsertShape& insert = *statement.insert();
  KALAM_TRY(const model::TablePtr table, resolve_table(services, context, insert.table, Access::kInsert));
  KALAM_TRY(const auto columns, named_columns(*table, insert));
  KALAM_CHECK(check_conflict_clause(*table, insert));
  if (insert.default_values) {
    InsertBuilder builder(services, context, statement, table, {}, sources);
    KALAM_CHECK(builder.add_row([](size_t, const model::ColumnDefinition&) -> Result<model::Value> { return {}; }));
    return builder.finish();
  }
  if (!insert.rows.empty()) return prepare_insert_values(services, context, statement, table, columns, sources);

  InsertBuilder builder(services, context, statement, table, columns, sources);
  std::vector<std::string> names;
  for (const auto* column : columns) names.push_back(column->name);
  KALAM_TRY(const auto rows,
            services.engine.insert_rows(statement, names, sources, query_context(services, context, sources.now_us())));
  while (true) {
    KALAM_TRY(const duck::ResultBatch* batch, rows->next());
    if (batch == nullptr) return builder.finish();
    for (size_t r = 0; r < batch->row_count(); ++r) {
      KALAM_CHECK(builder.add_row([&](size_t i, const model::ColumnDefinition& column) {
        return builder.values().computed(batch->cell(r, i), rows->columns()[i].type, column, builder.row_number());
      }));
    }
  }
}

}  // namespace kalamdb::query
