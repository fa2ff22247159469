#include "query/change.h"

#include "model/key_codec.h"
#include "model/row_codec.h"
#include "query/insert.h"
#include "query/row_values.h"
#include "query/sources.h"

namespace kalamdb::query {

namespace {

using duck::ChangeShape;

// What holds for every UPDATE and DELETE before any row is looked at.
Result<> check_change(const model::TableDefinition& table, const ChangeShape& change, bool update) {
  const std::string statement = update ? "UPDATE" : "DELETE";
  if (!change.has_where) return fail(ErrorCode::kInvalidOperation, statement + " requires a WHERE clause");
  if (change.has_returning) {
    return fail(ErrorCode::kNotImplemented, "RETURNING is not supported yet; read the rows back by their key");
  }
  if (!update) return {};
  if (table.type == model::TableType::kStream) {
    return fail(ErrorCode::kInvalidOperation, "UPDATE not supported for STREAM tables");
  }
  for (const auto& assignment : change.set) {
    const model::ColumnDefinition* column = table.find_column(assignment.column);
    if (column == nullptr) {
      return fail(ErrorCode::kInvalidOperation, "Column '" + assignment.column + "' does not exist");
    }
    if (column->is_primary_key()) {
      return fail(ErrorCode::kInvalidOperation, "UPDATE cannot modify primary key column '" + column->name + "'");
    }
    if (column->is_system()) {
      return fail(ErrorCode::kInvalidOperation,
                  "Column '" + column->name + "' is a system column and cannot be written");
    }
  }
  return {};
}

size_t column_index(const model::TableDefinition& table, const model::ColumnDefinition& column) {
  return static_cast<size_t>(&column - table.columns.data());
}

// Turns touched rows into writes.
class ChangeBuilder {
 public:
  ChangeBuilder(const StatementContext& context, model::TablePtr table, const ChangeShape& change, bool update)
      : table_(std::move(table)), user_(scope_of(*table_, context.caller)), update_(update) {
    for (const auto& assignment : change.set) {
      assigned_.push_back(column_index(*table_, *table_->find_column(assignment.column)));
    }
  }

  // An UPDATE that leaves the row as it is writes nothing.
  Result<> add(duck::TouchedRow touched) {
    storage::RowWrite write;
    write.kind = update_ ? storage::WriteKind::kUpdate : storage::WriteKind::kDelete;
    write.key = model::encode_key(*table_, touched.current);
    write.read_seq = touched.seq;
    if (touched.cold) {
      write.cold = storage::ColdPosition{touched.segment_id, touched.position};
      write.old_row = model::encode_row(*table_, touched.current);
      any_cold_ = true;
    }
    if (update_) {
      bool changed = false;
      for (size_t i = 0; i < assigned_.size(); ++i) {
        model::Value& current = touched.current[assigned_[i]];
        KALAM_CHECK(RowValues::check_not_null(table_->columns[assigned_[i]], touched.assigned[i], 0));
        changed |= !model::same(model::view(current), model::view(touched.assigned[i]));
        current = std::move(touched.assigned[i]);
      }
      if (!changed) return {};
      write.row = model::encode_row(*table_, touched.current);
    }
    write.table = table_;
    write.user = user_;
    writes_.request.rows.push_back(std::move(write));
    return {};
  }

  // `segments_version` is what the scope's segments were when the rows were read.
  PreparedWrites finish(uint64_t segments_version) {
    if (any_cold_) writes_.request.segments_read.push_back({table_->id, user_, segments_version});
    return std::move(writes_);
  }

  const UserId& user() const { return user_; }

 private:
  model::TablePtr table_;
  UserId user_;
  bool update_;
  std::vector<size_t> assigned_;
  bool any_cold_ = false;
  PreparedWrites writes_;
};

Result<model::Row> decode_row(const model::TableDefinition& table, const storage::FoundRow& found) {
  KALAM_TRY(const auto view, model::RowView::open(found.row));
  model::Row row;
  row.reserve(table.columns.size());
  for (const auto& column : table.columns) {
    if (column.is_system() && column.name != model::kHiddenKeyColumn) {
      row.emplace_back();
      continue;
    }
    KALAM_TRY(const model::ValueView value, view.get(column));
    row.push_back(model::to_value(value));
  }
  return row;
}

}  // namespace

Result<PreparedWrites> prepare_change(const Services& services, const StatementContext& context,
                                      const duck::Statement& statement) {
  const ChangeShape& change = *statement.change();
  const bool update = statement.kind() == duck::StatementKind::kUpdate;
  KALAM_TRY(const model::TablePtr table, resolve_table(services, context, change.table, Access::kWrite));
  KALAM_CHECK(check_change(*table, change, update));
  ChangeBuilder builder(context, table, change, update);
  StatementSources sources(services, context);
  sources.expect(table);
  KALAM_TRY(const uint64_t version, services.storage.segments_version(table, builder.user(), sources.snapshot()));
  KALAM_TRY(auto touched, services.engine.changes(statement, sources, query_context(services, context)));
  for (auto& row : touched) KALAM_CHECK(builder.add(std::move(row)));
  return builder.finish(version);
}

Result<std::optional<PreparedWrites>> prepare_point_change(const Services& services, const StatementContext& context,
                                                           const duck::Statement& statement, const PointPlan& plan) {
  const ChangeShape& change = *statement.change();
  const bool update = statement.kind() == duck::StatementKind::kUpdate;
  KALAM_CHECK(check_change(*plan.table, change, update));
  const auto key = point_key(plan, context.parameters);
  if (!key) return std::nullopt;
  ChangeBuilder builder(context, plan.table, change, update);
  RowValues values(services, context);
  duck::TouchedRow touched;
  for (size_t i = 0; i < plan.assigned.size(); ++i) {
    KALAM_TRY(model::Value value, values.of(*change.set[i].value, *plan.assigned[i], 0));
    touched.assigned.push_back(std::move(value));
  }
  StatementSources sources(services, context);
  const hot::SnapshotPtr& snapshot = sources.snapshot();
  KALAM_TRY(const uint64_t version, services.storage.segments_version(plan.table, builder.user(), snapshot));
  KALAM_TRY(const auto found, context.transaction() != nullptr
                                  ? context.transaction()->find(plan.table, builder.user(), *key)
                                  : services.storage.find(plan.table, builder.user(), *key, snapshot));
  if (!found) return builder.finish(version);
  KALAM_TRY(touched.current, decode_row(*plan.table, *found));
  touched.seq = found->seq;
  if (found->cold) {
    touched.cold = true;
    touched.segment_id = found->cold->segment_id;
    touched.position = found->cold->position;
  }
  KALAM_CHECK(builder.add(std::move(touched)));
  return builder.finish(version);
}

}  // namespace kalamdb::query
