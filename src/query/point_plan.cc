#include "query/point_plan.h"

#include <algorithm>

#include "model/key_codec.h"

namespace kalamdb::query {

using model::TypeTag;

namespace {

// nullptr also for a view, and when it cannot be read, which the long way then tells.
model::TablePtr find_table(const Services& services, const duck::TableName& name, const std::string& namespace_id) {
  auto table = services.catalog.find_table(name.schema.empty() ? namespace_id : name.schema, name.name);
  return table && *table != nullptr && !(*table)->is_view() ? *std::move(table) : nullptr;
}

// The operands of the key columns if `where` is an equality for each of them and nothing else.
std::optional<std::vector<duck::Operand>> key_operands(const model::TableDefinition& table,
                                                       const std::vector<duck::Equality>& where) {
  const auto key = table.primary_key();
  if (where.size() != key.size()) return std::nullopt;
  std::vector<duck::Operand> operands;
  for (const model::ColumnDefinition* column : key) {
    const auto found = std::ranges::find_if(
        where, [&](const duck::Equality& equality) { return equal_ignoring_case(equality.column, column->name); });
    if (found == where.end()) return std::nullopt;
    operands.push_back(found->value);
  }
  return operands;
}

bool plan_select(const duck::PointSelect& select, PointPlan& plan) {
  auto key = key_operands(*plan.table, select.where);
  if (!key) return false;
  plan.key = *std::move(key);
  if (select.star) {
    for (const auto& column : plan.table->columns) {
      if (column.name != model::kHiddenKeyColumn) plan.columns.push_back({column.name, column.type, &column});
    }
    return true;
  }
  for (const auto& item : select.columns) {
    const model::ColumnDefinition* column = plan.table->find_column(item.column);
    if (column == nullptr) return false;
    plan.columns.push_back({item.name, column->type, column});
  }
  return true;
}

bool plan_change(const duck::ChangeShape& change, PointPlan& plan) {
  if (!change.where) return false;
  auto key = key_operands(*plan.table, *change.where);
  if (!key) return false;
  plan.key = *std::move(key);
  for (const auto& assignment : change.set) {
    const model::ColumnDefinition* column = plan.table->find_column(assignment.column);
    if (column == nullptr || !assignment.value) return false;
    plan.assigned.push_back(column);
  }
  return true;
}

bool plan_insert(const duck::InsertShape& insert, PointPlan& plan) {
  if (insert.rows.empty()) return false;
  if (insert.columns.empty()) plan.inserted = insertable_columns(*plan.table);
  for (const std::string& name : insert.columns) {
    const model::ColumnDefinition* column = plan.table->find_column(name);
    // What is wrong with the list is worded where every other INSERT is checked.
    if (column == nullptr || column->is_system() || std::ranges::find(plan.inserted, column) != plan.inserted.end()) {
      return false;
    }
    plan.inserted.push_back(column);
  }
  return std::ranges::all_of(insert.rows, [&](const auto& row) { return row.size() == plan.inserted.size(); });
}

bool has_expressions(const duck::Statement& statement) {
  const auto computed = [](const duck::Assignment& assignment) { return !assignment.value; };
  const auto& insert = statement.insert();
  return std::ranges::find(statement.returning(), duck::ReturningItem::Kind::kExpression, &duck::ReturningItem::kind) !=
             statement.returning().end() ||
         (insert && (insert->conflict_has_where || std::ranges::any_of(insert->conflict_set, computed)));
}

bool fill(const Services& services, const duck::Statement& statement, PointPlan& plan) {
  plan.needs_engine = has_expressions(statement);
  if (const auto& select = statement.point_select()) {
    plan.table = find_table(services, select->table, plan.namespace_id);
    return plan.table != nullptr && plan_select(*select, plan);
  }
  if (const auto& insert = statement.insert()) {
    plan.table = find_table(services, insert->table, plan.namespace_id);
    return plan.table != nullptr && plan_insert(*insert, plan);
  }
  if (const auto& change = statement.change()) {
    plan.table = find_table(services, change->table, plan.namespace_id);
    return plan.table != nullptr && plan_change(*change, plan);
  }
  return false;
}

// Whether comparing a column of this type with a value of this kind means what comparing the coerced value means.
bool compares_as_stored(const model::Value& value, TypeTag type) {
  if (std::holds_alternative<int64_t>(value)) return model::is_integer(type);
  if (std::holds_alternative<bool>(value)) return type == TypeTag::kBoolean;
  if (std::holds_alternative<std::string>(value)) {
    return type != TypeTag::kFloat && type != TypeTag::kDouble && type != TypeTag::kDecimal;
  }
  return false;
}

}  // namespace

std::shared_ptr<const PointPlan> point_plan(const Services& services, const Prepared& prepared,
                                            const std::string& namespace_id) {
  auto plan = prepared.plan.load();
  const uint64_t version = services.catalog.version();
  if (plan && plan->catalog_version == version && plan->namespace_id == namespace_id) return plan;
  auto fresh = std::make_shared<PointPlan>();
  fresh->catalog_version = version;
  fresh->namespace_id = namespace_id;
  if (!services.limits.fast_lane || !fill(services, *prepared.statement, *fresh)) fresh->table = nullptr;
  prepared.plan.store(fresh);
  return fresh;
}

std::optional<std::string> point_key(const PointPlan& plan, std::span<const model::Value> parameters) {
  std::string key;
  const auto columns = plan.table->primary_key();
  for (size_t i = 0; i < columns.size(); ++i) {
    const duck::Operand& operand = plan.key[i];
    const model::Value* value = nullptr;
    if (operand.kind == duck::Operand::Kind::kLiteral) value = &operand.literal;
    if (operand.kind == duck::Operand::Kind::kParameter && operand.parameter <= parameters.size()) {
      value = &parameters[operand.parameter - 1];
    }
    if (value == nullptr || !compares_as_stored(*value, columns[i]->type.tag)) return std::nullopt;
    const auto coerced = model::coerce(model::view(*value), columns[i]->type);
    if (!coerced) return std::nullopt;
    model::append_key(key, model::view(*coerced), columns[i]->type);
  }
  return key;
}

std::vector<const model::ColumnDefinition*> insertable_columns(const model::TableDefinition& table) {
  std::vector<const model::ColumnDefinition*> columns;
  for (const auto& column : table.columns) {
    if (!column.is_system()) columns.push_back(&column);
  }
  return columns;
}

}  // namespace kalamdb::query
