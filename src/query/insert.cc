#include "query/insert.h"

#include <algorithm>
#include <unordered_set>

#include "model/key_codec.h"
#include "model/row_codec.h"
#include "query/row_values.h"
#include "query/sources.h"

namespace kalamdb::query {

namespace {

using duck::InsertShape;

// Collects the rows of one INSERT as writes.
class InsertBuilder {
 public:
  InsertBuilder(const Services& services, const StatementContext& context, model::TablePtr table,
                const std::vector<const model::ColumnDefinition*>& columns, bool ignore_conflicts)
      : services_(services),
        transaction_(context.transaction()),
        values_(services, context),
        table_(std::move(table)),
        user_(scope_of(*table_, context.caller)),
        kind_(ignore_conflicts ? storage::WriteKind::kInsertOrIgnore : storage::WriteKind::kInsert) {
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
    writes_.request.rows.push_back(std::move(write));
    return {};
  }

  // Checks the keys against cold rows: the committer only knows the hot ones.
  Result<PreparedWrites> finish() {
    if (table_->type == model::TableType::kStream || writes_.request.rows.empty()) return std::move(writes_);
    std::vector<std::string> keys;
    keys.reserve(writes_.request.rows.size());
    for (const auto& write : writes_.request.rows) keys.push_back(write.key);
    KALAM_TRY(const auto cold, transaction_ != nullptr ? transaction_->cold_keys(table_, user_, keys)
                                                       : services_.storage.cold_keys(table_, user_, keys, nullptr));
    writes_.request.segments_read.push_back({table_->id, user_, cold.segments_version});
    if (cold.taken.empty()) return std::move(writes_);
    if (kind_ == storage::WriteKind::kInsert) {
      const auto key_columns = table_->primary_key();
      return fail(ErrorCode::kAlreadyExists,
                  "Primary key violation: value '" + model::key_to_text(*table_, cold.taken.front()) +
                      "' already exists in column '" + key_columns.front()->name + "' (cold storage)");
    }
    const std::unordered_set<std::string_view> taken(cold.taken.begin(), cold.taken.end());
    writes_.ignored_rows =
        std::erase_if(writes_.request.rows, [&](const storage::RowWrite& write) { return taken.contains(write.key); });
    return std::move(writes_);
  }

  RowValues& values() { return values_; }
  size_t row_number() const { return row_number_; }

 private:
  const Services& services_;
  storage::Transaction* transaction_;  // nullptr outside transactions
  RowValues values_;
  model::TablePtr table_;
  UserId user_;
  storage::WriteKind kind_;
  std::vector<size_t> given_;      // indexes into table_->columns, in the order of the values
  std::vector<size_t> defaulted_;  // the other stored columns
  size_t row_number_ = 0;
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

// ON CONFLICT needs the primary key as its target, or none.
Result<bool> ignores_conflicts(const model::TableDefinition& table, const InsertShape& insert) {
  if (insert.on_conflict == InsertShape::OnConflict::kFail) return false;
  if (insert.on_conflict == InsertShape::OnConflict::kUpdate) {
    return fail(ErrorCode::kNotImplemented, "ON CONFLICT DO UPDATE is not supported yet; use UPDATE, or DO NOTHING");
  }
  const auto is_key_column = [&](const std::string& name) {
    const auto* column = table.find_column(name);
    return column != nullptr && column->is_primary_key();
  };
  if (!insert.conflict_target.empty() && (insert.conflict_target.size() != table.primary_key().size() ||
                                          !std::ranges::all_of(insert.conflict_target, is_key_column))) {
    return fail(ErrorCode::kInvalidOperation, "ON CONFLICT works on the primary key only; name its columns, or none");
  }
  return true;
}

// A computed cell as a column stores it. Dates, decimals and the like go through their text where the types differ:
// their stored numbers mean nothing without their type.
Result<model::Value> convert(const RowValues& values, const model::ValueView& cell, const model::DataType& type,
                             const model::ColumnDefinition& column, size_t row_number) {
  using model::TypeTag;
  const bool plain = model::is_integer(type.tag) || model::is_text_like(type.tag) || type.tag == TypeTag::kBoolean ||
                     type.tag == TypeTag::kFloat || type.tag == TypeTag::kDouble;
  if (type == column.type) return model::to_value(cell);
  if (model::is_null(cell) || plain) return values.coerced(cell, column, row_number);
  const std::string text = model::to_text(cell, type);
  return values.coerced(std::string_view(text), column, row_number);
}

}  // namespace

Result<PreparedWrites> prepare_insert_values(const Services& services, const StatementContext& context,
                                             const InsertShape& insert, const model::TablePtr& table,
                                             const std::vector<const model::ColumnDefinition*>& columns) {
  KALAM_TRY(const bool ignore, ignores_conflicts(*table, insert));
  InsertBuilder builder(services, context, table, columns, ignore);
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
                                      const duck::Statement& statement) {
  const InsertShape& insert = *statement.insert();
  if (insert.has_returning) {
    return fail(ErrorCode::kNotImplemented, "RETURNING is not supported yet; read the rows back by their key");
  }
  KALAM_TRY(const model::TablePtr table, resolve_table(services, context, insert.table, Access::kWrite));
  KALAM_TRY(const auto columns, named_columns(*table, insert));
  if (insert.default_values) {
    InsertBuilder builder(services, context, table, {}, false);
    KALAM_CHECK(builder.add_row([](size_t, const model::ColumnDefinition&) -> Result<model::Value> { return {}; }));
    return builder.finish();
  }
  if (!insert.rows.empty()) return prepare_insert_values(services, context, insert, table, columns);

  KALAM_TRY(const bool ignore, ignores_conflicts(*table, insert));
  InsertBuilder builder(services, context, table, columns, ignore);
  std::vector<std::string> names;
  for (const auto* column : columns) names.push_back(column->name);
  StatementSources sources(services, context);
  duck::QueryContext query = query_context(services, context);
  query.now_us = builder.values().now_us();
  KALAM_TRY(const auto rows, services.engine.insert_rows(statement, names, sources, query));
  while (true) {
    KALAM_TRY(const duck::ResultBatch* batch, rows->next());
    if (batch == nullptr) return builder.finish();
    for (size_t r = 0; r < batch->row_count(); ++r) {
      KALAM_CHECK(builder.add_row([&](size_t i, const model::ColumnDefinition& column) {
        return convert(builder.values(), batch->cell(r, i), rows->columns()[i].type, column, builder.row_number());
      }));
    }
  }
}

}  // namespace kalamdb::query
