#include "query/upsert.h"

#include <algorithm>
#include <unordered_set>

#include "model/key_codec.h"
#include "query/change.h"
#include "query/stored_row.h"

namespace kalamdb::query {

namespace {

using duck::InsertShape;

// The keys of the rows, each of which may come once.
Result<std::vector<std::string>> distinct_keys(const model::TableDefinition& table,
                                               const std::vector<storage::RowWrite>& rows) {
  std::vector<std::string> keys;
  keys.reserve(rows.size());
  std::unordered_set<std::string_view> seen;
  for (const auto& row : rows) {
    if (!seen.insert(row.key).second) {
      return fail(ErrorCode::kInvalidOperation, "ON CONFLICT DO UPDATE command cannot affect row a second time: key '" +
                                                    model::key_to_text(table, row.key) +
                                                    "' appears multiple times in the insert batch");
    }
    keys.push_back(row.key);
  }
  return keys;
}

bool is_plain(const InsertShape& insert) {
  return !insert.conflict_has_where &&
         std::ranges::all_of(insert.conflict_set, [](const auto& assignment) { return assignment.value.has_value(); });
}

// The value of each SET column where all are operands.
Result<model::Row> assigned_operands(const model::TableDefinition& table, const InsertShape& insert,
                                     const model::Row& excluded, RowValues& values) {
  model::Row assigned;
  for (const auto& assignment : insert.conflict_set) {
    const auto& column = *table.find_column(assignment.column);
    if (assignment.value->kind != duck::Operand::Kind::kExcluded) {
      KALAM_TRY(model::Value value, values.of(*assignment.value, column, 0));
      assigned.push_back(std::move(value));
      continue;
    }
    const auto* from = table.find_column(assignment.value->name);
    if (from == nullptr) {
      return fail(ErrorCode::kInvalidOperation, "Column 'excluded." + assignment.value->name + "' does not exist");
    }
    const model::Value& cell = excluded[static_cast<size_t>(from - table.columns.data())];
    KALAM_TRY(model::Value value, values.computed(model::view(cell), from->type, column, 0));
    assigned.push_back(std::move(value));
  }
  return assigned;
}

// For each conflict the values of the SET columns, or nullopt where the WHERE is not true.
Result<std::vector<std::optional<model::Row>>> assigned_rows(const Services& services, const StatementContext& context,
                                                             const duck::Statement& statement,
                                                             const model::TablePtr& table, StatementSources& sources,
                                                             RowValues& values,
                                                             const std::vector<duck::ConflictRow>& conflicts) {
  const InsertShape& insert = *statement.insert();
  std::vector<std::optional<model::Row>> assigned;
  assigned.reserve(conflicts.size());
  if (is_plain(insert)) {
    for (const auto& conflict : conflicts) {
      KALAM_TRY(assigned.emplace_back(), assigned_operands(*table, insert, conflict.excluded, values));
    }
    return assigned;
  }
  KALAM_TRY(duck::EvaluatedRows evaluated,
            services.engine.conflict_updates(statement, table, conflicts, sources,
                                             query_context(services, context, sources.now_us())));
  for (const model::Row& cells : evaluated.rows) {
    auto& row = assigned.emplace_back();
    if (insert.conflict_has_where) {
      const bool* holds = std::get_if<bool>(&cells.back());
      if (holds == nullptr || !*holds) continue;
    }
    row.emplace();
    for (size_t i = 0; i < insert.conflict_set.size(); ++i) {
      const auto& column = *table->find_column(insert.conflict_set[i].column);
      KALAM_TRY(model::Value value, values.computed(model::view(cells[i]), evaluated.columns[i].type, column, 0));
      row->push_back(std::move(value));
    }
  }
  return assigned;
}

}  // namespace

Result<> check_conflict_clause(const model::TableDefinition& table, const InsertShape& insert) {
  if (insert.on_conflict == InsertShape::OnConflict::kFail) return {};
  for (const std::string& name : insert.conflict_target) {
    if (table.find_column(name) == nullptr) {
      return fail(ErrorCode::kInvalidOperation, "Column '" + name + "' does not exist");
    }
  }
  const auto key = table.primary_key();
  const bool is_key = insert.conflict_target.size() == key.size() && std::ranges::all_of(key, [&](const auto* column) {
                        return std::ranges::any_of(insert.conflict_target, [&](const auto& name) {
                          return equal_ignoring_case(name, column->name);
                        });
                      });
  if (!insert.conflict_target.empty() && !is_key) {
    return fail(ErrorCode::kInvalidOperation, "ON CONFLICT works on the primary key only; name its columns, or none");
  }
  if (insert.on_conflict != InsertShape::OnConflict::kUpdate) return {};
  if (table.type == model::TableType::kStream) {
    return fail(ErrorCode::kInvalidOperation, "UPDATE not supported for STREAM tables");
  }
  if (table.find_column(model::kHiddenKeyColumn) != nullptr) {
    return fail(ErrorCode::kInvalidOperation,
                "ON CONFLICT DO UPDATE needs a PRIMARY KEY, which table " + table.qualified_name() + " does not have");
  }
  return check_assignments(table, insert.conflict_set);
}

Result<> resolve_conflicts(const Services& services, const StatementContext& context, const duck::Statement& statement,
                           const model::TablePtr& table, StatementSources& sources, RowValues& values,
                           PreparedWrites& writes) {
  std::vector<storage::RowWrite>& rows = writes.request.rows;
  KALAM_TRY(const auto keys, distinct_keys(*table, rows));
  KALAM_TRY(auto found, sources.find_rows(table, keys));
  KALAM_TRY(const uint64_t version, sources.segments_version(table));
  writes.request.segments_read.push_back({table, rows.front().user, version});

  std::vector<duck::ConflictRow> conflicts;
  for (size_t i = 0; i < rows.size(); ++i) {
    if (!found[i]) continue;
    duck::ConflictRow& conflict = conflicts.emplace_back();
    KALAM_TRY(conflict.current, decode_row(*table, found[i]->row, found[i]->seq, false));
    KALAM_TRY(conflict.excluded, decode_row(*table, rows[i].row, 0, false));
  }
  if (conflicts.empty()) return {};
  KALAM_TRY(auto assigned, assigned_rows(services, context, statement, table, sources, values, conflicts));

  const ChangeBuilder builder(table, rows.front().user, statement.insert()->conflict_set);
  std::vector<storage::RowWrite> resolved;
  size_t next = 0;
  for (size_t i = 0; i < rows.size(); ++i) {
    if (!found[i]) {
      resolved.push_back(std::move(rows[i]));
      continue;
    }
    const size_t conflict = next++;
    if (!assigned[conflict]) continue;
    duck::TouchedRow touched = touched_row(*found[i], std::move(conflicts[conflict].current));
    touched.assigned = *std::move(assigned[conflict]);
    KALAM_TRY(auto write, builder.update(std::move(touched)));
    if (write) resolved.push_back(*std::move(write));
  }
  rows = std::move(resolved);
  return {};
}

}  // namespace kalamdb::query
