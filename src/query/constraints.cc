#include "query/constraints.h"

#include <algorithm>

#include "model/row_codec.h"
#include "query/dml.h"

namespace kalamdb::query {

using model::CheckConstraint;
using model::TableDefinition;

namespace {

// A row violates a check that is false for it: NULL passes, as in PostgreSQL.
Result<std::shared_ptr<const duck::Statement>> violation(const CheckConstraint& check) {
  return duck::Statement::parse("SELECT * FROM checked.t WHERE NOT (" + check.expression + "\n)");
}

Result<std::unique_ptr<duck::Predicate>> bind_violation(const Services& services, const model::TablePtr& table,
                                                        const CheckConstraint& check) {
  KALAM_TRY(const auto statement, violation(check));
  return services.engine.bind_predicate(*statement, table, duck::QueryContext{});
}

Result<std::unique_ptr<CheckPool::Bound>> bind_all(const Services& services, const model::TablePtr& table) {
  if (auto idle = services.checks->take(*table)) return idle;
  auto bound = std::make_unique<CheckPool::Bound>(table);
  for (const CheckConstraint& check : table->checks) {
    KALAM_TRY(auto predicate, bind_violation(services, table, check));
    bound->violated.push_back(std::move(predicate));
  }
  return bound;
}

// Rows of one table.
Result<> enforce(const Services& services, std::span<const storage::RowWrite> writes) {
  const model::TablePtr& table = writes.front().table;
  std::vector<model::RowRecord> rows;
  std::vector<size_t> numbers;
  for (size_t i = 0; i < writes.size(); ++i) {
    if (writes[i].kind == storage::WriteKind::kDelete) continue;
    rows.push_back({.key = writes[i].key, .row = writes[i].row});
    numbers.push_back(i + 1);
  }
  if (rows.empty()) return {};
  KALAM_TRY(auto bound, bind_all(services, table));
  std::vector<char> violates;
  for (size_t i = 0; i < bound->violated.size(); ++i) {
    KALAM_CHECK(bound->violated[i]->evaluate(rows, violates));
    const auto found = std::ranges::find_if(violates, [](char is) { return is != 0; });
    if (found == violates.end()) continue;
    return fail(ErrorCode::kConstraintViolation,
                "CHECK constraint violation: constraint '" + table->checks[i].name + "' of table " +
                    table->qualified_name() + " is not met (row " +
                    std::to_string(numbers[static_cast<size_t>(found - violates.begin())]) + ")");
  }
  services.checks->give_back(std::move(bound));
  return {};
}

std::string default_name(const TableDefinition& table, const std::vector<uint32_t>& ordinals) {
  std::string base = table.name;
  for (const auto& column : table.columns) {
    if (ordinals.size() == 1 && column.ordinal == ordinals.front()) base += "_" + column.name;
  }
  base += "_check";
  std::string name = base;
  const auto is_taken = [&](const CheckConstraint& other) { return other.name == name; };
  for (int number = 1; std::ranges::any_of(table.checks, is_taken); ++number) name = base + std::to_string(number);
  return name;
}

}  // namespace

CheckPool::CheckPool() = default;
CheckPool::~CheckPool() = default;

std::unique_ptr<CheckPool::Bound> CheckPool::take(const TableDefinition& table) {
  const std::lock_guard lock(mutex_);
  const auto idle = idle_.find(table.id);
  if (idle == idle_.end()) return nullptr;
  while (!idle->second.empty()) {
    auto bound = std::move(idle->second.back());
    idle->second.pop_back();
    if (bound->table->schema_version == table.schema_version) return bound;
  }
  return nullptr;
}

void CheckPool::give_back(std::unique_ptr<Bound> bound) {
  const std::lock_guard lock(mutex_);
  if (idle_.size() >= kMaxTables && !idle_.contains(bound->table->id)) idle_.erase(idle_.begin());
  auto& idle = idle_[bound->table->id];
  if (idle.size() < kMaxIdle) idle.push_back(std::move(bound));
}

Result<> bind_check(const Services& services, const TableDefinition& table, CheckConstraint& check) {
  const std::string what = "CHECK constraint" + (check.name.empty() ? "" : " '" + check.name + "'") + ": ";
  const auto named = [&](const Error& error) { return fail(error.code, what + error.message); };
  const auto copy = std::make_shared<const TableDefinition>(table);
  const auto statement = violation(check);
  if (!statement) return named(statement.error());
  const auto shape = (*statement)->live();
  if (!shape) return named(shape.error());
  const auto predicate = bind_violation(services, copy, check);
  if (!predicate) return named(predicate.error());
  if (shape->uses_current_user || !(*predicate)->is_deterministic()) {
    return fail(ErrorCode::kInvalidSql, what + "it must mean the same at any time and for any user");
  }
  check.ordinals.clear();
  for (const auto* column : (*predicate)->columns()) {
    if (column->is_system()) return fail(ErrorCode::kInvalidSql, what + "it cannot use system columns");
    check.ordinals.push_back(column->ordinal);
  }
  if (check.name.empty()) check.name = default_name(table, check.ordinals);
  if (std::ranges::any_of(table.checks, [&](const auto& other) { return other.name == check.name; })) {
    return fail(ErrorCode::kInvalidOperation, "Constraint '" + check.name + "' already exists");
  }
  return {};
}

Result<bool> meets_check(const Services& services, const TableDefinition& table, const CheckConstraint& check,
                         const std::string& row) {
  KALAM_TRY(const auto violated, bind_violation(services, std::make_shared<const TableDefinition>(table), check));
  const model::RowRecord record{.row = row};
  std::vector<char> violates;
  KALAM_CHECK(violated->evaluate(std::span(&record, 1), violates));
  return violates[0] == 0;
}

Result<> enforce_checks(const Services& services, const PreparedWrites& writes) {
  const std::span<const storage::RowWrite> rows(writes.request.rows);
  for (size_t begin = 0; begin < rows.size();) {
    size_t end = begin + 1;
    while (end < rows.size() && rows[end].table == rows[begin].table) ++end;
    if (!rows[begin].table->checks.empty()) KALAM_CHECK(enforce(services, rows.subspan(begin, end - begin)));
    begin = end;
  }
  return {};
}

}  // namespace kalamdb::query
