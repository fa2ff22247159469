#include "query/returning.h"

#include <algorithm>

#include "query/stored_row.h"

namespace kalamdb::query {

namespace {

using duck::ReturningItem;

// Where a column of the result comes from.
struct Origin {
  enum class Kind : uint8_t { kStored, kEvaluated, kSeq, kUpdated };
  Kind kind = Kind::kStored;
  size_t index = 0;  // in the table's columns or among the evaluated expressions
};

class ReturnedList {
 public:
  explicit ReturnedList(const model::TablePtr& table) { returned_.table = table; }

  Result<> add(const ReturningItem& item, const duck::EvaluatedRows& evaluated) {
    switch (item.kind) {
      case ReturningItem::Kind::kStar:
        for (const auto& column : returned_.table->columns) {
          if (column.name != model::kHiddenKeyColumn) add_stored(column, column.name);
        }
        return {};
      case ReturningItem::Kind::kColumn:
        return add_column(item);
      case ReturningItem::Kind::kExpression:
        returned_.columns.push_back(evaluated.columns[evaluated_]);
        origins_.push_back({Origin::Kind::kEvaluated, evaluated_++});
        return {};
    }
    return {};
  }

  ReturnedRows fill(std::vector<model::Row> stored, std::vector<model::Row> evaluated) && {
    for (size_t i = 0; i < origins_.size(); ++i) {
      if (origins_[i].kind == Origin::Kind::kSeq) returned_.seq_columns.push_back(i);
      if (origins_[i].kind == Origin::Kind::kUpdated) returned_.updated_columns.push_back(i);
    }
    for (size_t r = 0; r < stored.size(); ++r) {
      model::Row& row = returned_.rows.emplace_back();
      row.reserve(origins_.size());
      for (const Origin& origin : origins_) {
        // A column may be listed twice, an expression has a value of its own each time.
        if (origin.kind == Origin::Kind::kStored) {
          row.push_back(stored[r][origin.index]);
        } else if (origin.kind == Origin::Kind::kEvaluated) {
          row.push_back(std::move(evaluated[r][origin.index]));
        } else {
          row.emplace_back(model::Null{});
        }
      }
    }
    return std::move(returned_);
  }

 private:
  Result<> add_column(const ReturningItem& item) {
    if (const auto* column = returned_.table->find_column(item.column)) {
      add_stored(*column, item.name);
      return {};
    }
    if (!equal_ignoring_case(item.column, model::kUpdatedColumn)) {
      return fail(ErrorCode::kInvalidOperation, "Column '" + item.column + "' does not exist");
    }
    returned_.columns.push_back({item.name, model::DataType{model::TypeTag::kTimestamp}});
    origins_.push_back({Origin::Kind::kUpdated});
    return {};
  }

  void add_stored(const model::ColumnDefinition& column, const std::string& name) {
    returned_.columns.push_back({name, column.type, &column});
    const auto index = static_cast<size_t>(&column - returned_.table->columns.data());
    origins_.push_back({column.name == model::kSeqColumn ? Origin::Kind::kSeq : Origin::Kind::kStored, index});
  }

  ReturnedRows returned_;
  std::vector<Origin> origins_;
  size_t evaluated_ = 0;
};

}  // namespace

Result<ReturnedRows> returned_rows(const Services& services, const StatementContext& context,
                                   const duck::Statement& statement, const model::TablePtr& table,
                                   const storage::CommitRequest& request, StatementSources& sources) {
  std::vector<model::Row> stored;
  stored.reserve(request.rows.size());
  for (const storage::RowWrite& write : request.rows) {
    const bool deleted = write.kind == storage::WriteKind::kDelete;
    KALAM_TRY(model::Row row, decode_row(*table, deleted ? write.old_row : write.row, 0, deleted));
    stored.push_back(std::move(row));
  }
  const auto& items = statement.returning();
  duck::EvaluatedRows evaluated;
  if (std::ranges::find(items, ReturningItem::Kind::kExpression, &ReturningItem::kind) != items.end()) {
    KALAM_TRY(evaluated, services.engine.returning(statement, table, stored, sources,
                                                   query_context(services, context, sources.now_us())));
  }
  ReturnedList list(table);
  for (const ReturningItem& item : items) KALAM_CHECK(list.add(item, evaluated));
  return std::move(list).fill(std::move(stored), std::move(evaluated.rows));
}

std::unique_ptr<duck::QueryResult> returned_result(ReturnedRows returned, const storage::ChangeSet* changes) {
  if (changes != nullptr) {
    for (auto ignored = changes->ignored_rows.rbegin(); ignored != changes->ignored_rows.rend(); ++ignored) {
      returned.rows.erase(returned.rows.begin() + static_cast<std::ptrdiff_t>(*ignored));
    }
    for (size_t r = 0; r < returned.rows.size(); ++r) {
      const Seq seq = changes->rows[r].seq;
      for (const size_t column : returned.seq_columns) returned.rows[r][column] = seq;
      for (const size_t column : returned.updated_columns) returned.rows[r][column] = seq_time_us(seq);
    }
  }
  return make_result(std::move(returned.columns), std::move(returned.rows), std::move(returned.table));
}

}  // namespace kalamdb::query
