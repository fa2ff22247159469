#include "query/change.h"

#include <algorithm>

#include "model/key_codec.h"
#include "model/row_codec.h"
#include "query/row_values.h"
#include "query/stored_row.h"

namespace kalamdb::query {

namespace {

using duck::ChangeShape;

bool is_update(const duck::Statement& statement) { return statement.kind() == duck::StatementKind::kUpdate; }

// What holds for every UPDATE and DELETE before any row is looked at.
Result<> check_change(const model::TableDefinition& table, const duck::Statement& statement) {
  const ChangeShape& change = *statement.change();
  if (is_update(statement) && table.type == model::TableType::kStream) {
    return fail(ErrorCode::kInvalidOperation, "UPDATE not supported for STREAM tables");
  }
  if (!change.has_where) {
    return fail(ErrorCode::kInvalidOperation,
                std::string(is_update(statement) ? "UPDATE" : "DELETE") + " requires a WHERE clause");
  }
  return check_assignments(table, change.set);
}

std::unexpected<Error> key_is_fixed(const model::TableDefinition& table, const model::ColumnDefinition& column) {
  const auto& value = column.default_value;
  if (value.kind == model::ColumnDefault::Kind::kFunction && value.function == "SNOWFLAKE_ID") {
    return fail(ErrorCode::kInvalidOperation, "Cannot modify auto-increment primary key column '" + column.name +
                                                  "' in table " + table.namespace_id + ":" + table.name);
  }
  return fail(ErrorCode::kInvalidOperation, "UPDATE cannot modify primary key column '" + column.name + "'");
}

// What is written, and that the segments are still those in which cold rows were found.
Result<PreparedWrites> finish(std::vector<storage::RowWrite> rows, const model::TablePtr& table, const UserId& user,
                              StatementSources& sources) {
  PreparedWrites writes;
  writes.table = table;
  writes.request.rows = std::move(rows);
  if (std::ranges::any_of(writes.request.rows, [](const auto& write) { return write.cold.has_value(); })) {
    KALAM_TRY(const uint64_t version, sources.segments_version(table));
    writes.request.segments_read.push_back({table, user, version});
  }
  return writes;
}

}  // namespace

Result<> check_assignments(const model::TableDefinition& table, const std::vector<duck::Assignment>& set) {
  std::vector<const model::ColumnDefinition*> columns;
  for (const auto& assignment : set) {
    const model::ColumnDefinition* column = table.find_column(assignment.column);
    if (column == nullptr) {
      return fail(ErrorCode::kInvalidOperation, "Column '" + assignment.column + "' does not exist");
    }
    if (column->is_system()) {
      return fail(ErrorCode::kInvalidOperation,
                  "Column '" + column->name + "' is a system column and cannot be written");
    }
    if (column->is_primary_key()) return key_is_fixed(table, *column);
    if (std::ranges::find(columns, column) != columns.end()) {
      return fail(ErrorCode::kInvalidOperation, "Column '" + column->name + "' is assigned twice");
    }
    columns.push_back(column);
  }
  return {};
}

duck::TouchedRow touched_row(const storage::FoundRow& found, model::Row current) {
  duck::TouchedRow touched;
  touched.current = std::move(current);
  touched.seq = found.seq;
  if (found.cold) {
    touched.cold = true;
    touched.segment_id = found.cold->segment_id;
    touched.position = found.cold->position;
  }
  return touched;
}

ChangeBuilder::ChangeBuilder(model::TablePtr table, UserId user, const std::vector<duck::Assignment>& set)
    : table_(std::move(table)), user_(std::move(user)) {
  for (const auto& assignment : set) {
    assigned_.push_back(static_cast<size_t>(table_->find_column(assignment.column) - table_->columns.data()));
  }
}

storage::RowWrite ChangeBuilder::write_of(const duck::TouchedRow& touched, storage::WriteKind kind) const {
  storage::RowWrite write;
  write.table = table_;
  write.user = user_;
  write.kind = kind;
  write.key = model::encode_key(*table_, touched.current);
  write.read_seq = touched.seq;
  if (touched.cold) write.cold = storage::ColdPosition{touched.segment_id, touched.position};
  if (touched.cold || kind == storage::WriteKind::kDelete) write.old_row = model::encode_row(*table_, touched.current);
  return write;
}

Result<std::optional<storage::RowWrite>> ChangeBuilder::update(duck::TouchedRow touched) const {
  storage::RowWrite write = write_of(touched, storage::WriteKind::kUpdate);
  bool changed = false;
  for (size_t i = 0; i < assigned_.size(); ++i) {
    model::Value& current = touched.current[assigned_[i]];
    KALAM_CHECK(RowValues::check_not_null(table_->columns[assigned_[i]], touched.assigned[i], 0));
    changed |= !model::same(model::view(current), model::view(touched.assigned[i]));
    current = std::move(touched.assigned[i]);
  }
  if (!changed) return std::nullopt;
  write.row = model::encode_row(*table_, touched.current);
  return write;
}

storage::RowWrite ChangeBuilder::remove(const duck::TouchedRow& touched) const {
  return write_of(touched, storage::WriteKind::kDelete);
}

Result<PreparedWrites> prepare_change(const Services& services, const StatementContext& context,
                                      const duck::Statement& statement, StatementSources& sources) {
  const ChangeShape& change = *statement.change();
  const Access access = is_update(statement) ? Access::kUpdate : Access::kDelete;
  KALAM_TRY(const model::TablePtr table, resolve_table(services, context, change.table, access));
  KALAM_CHECK(check_change(*table, statement));
  const UserId user = scope_of(*table, context.caller);
  sources.expect(table);
  RowValues values(services, context, sources.now_us());
  // A value that does not fit is an error even if no row is found, as it is for a change by key.
  for (const auto& assignment : change.set) {
    if (assignment.value) KALAM_CHECK(values.of(*assignment.value, *table->find_column(assignment.column), 0));
  }
  KALAM_TRY(auto touched,
            services.engine.changes(statement, sources, query_context(services, context, sources.now_us())));
  const ChangeBuilder builder(table, user, change.set);
  std::vector<storage::RowWrite> rows;
  for (auto& row : touched.rows) {
    if (!is_update(statement)) {
      rows.push_back(builder.remove(row));
      continue;
    }
    for (size_t i = 0; i < change.set.size(); ++i) {
      const auto& column = *table->find_column(change.set[i].column);
      KALAM_TRY(row.assigned[i], values.computed(model::view(row.assigned[i]), touched.assigned_types[i], column, 0));
    }
    KALAM_TRY(auto write, builder.update(std::move(row)));
    if (write) rows.push_back(*std::move(write));
  }
  return finish(std::move(rows), table, user, sources);
}

Result<std::optional<PreparedWrites>> prepare_point_change(const Services& services, const StatementContext& context,
                                                           const duck::Statement& statement, const PointPlan& plan,
                                                           StatementSources& sources) {
  const ChangeShape& change = *statement.change();
  KALAM_CHECK(check_change(*plan.table, statement));
  const auto key = point_key(plan, context.parameters);
  if (!key) return std::nullopt;
  const UserId user = scope_of(*plan.table, context.caller);
  RowValues values(services, context, sources.now_us());
  model::Row assigned;
  for (size_t i = 0; i < plan.assigned.size(); ++i) {
    KALAM_TRY(model::Value value, values.of(*change.set[i].value, *plan.assigned[i], 0));
    assigned.push_back(std::move(value));
  }
  KALAM_TRY(const auto found, sources.find_rows(plan.table, std::span(&*key, 1)));
  std::vector<storage::RowWrite> rows;
  if (found.front()) {
    KALAM_TRY(model::Row current, decode_row(*plan.table, found.front()->row, found.front()->seq, false));
    duck::TouchedRow touched = touched_row(*found.front(), std::move(current));
    touched.assigned = std::move(assigned);
    const ChangeBuilder builder(plan.table, user, change.set);
    if (is_update(statement)) {
      KALAM_TRY(auto write, builder.update(std::move(touched)));
      if (write) rows.push_back(*std::move(write));
    } else {
      rows.push_back(builder.remove(touched));
    }
  }
  KALAM_TRY(PreparedWrites writes, finish(std::move(rows), plan.table, user, sources));
  return writes;
}

}  // namespace kalamdb::query
