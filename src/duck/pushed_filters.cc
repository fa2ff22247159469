#include "duck/pushed_filters.h"

#include <algorithm>

#include "duck/types.h"
#include "duckdb/planner/expression/bound_operator_expression.hpp"
#include "duckdb/planner/expression/bound_reference_expression.hpp"
#include "duckdb/planner/filter/conjunction_filter.hpp"
#include "duckdb/planner/filter/constant_filter.hpp"
#include "duckdb/planner/filter/expression_filter.hpp"
#include "duckdb/planner/filter/in_filter.hpp"
#include "duckdb/planner/filter/optional_filter.hpp"
#include "model/key_codec.h"

namespace kalamdb::duck {

using duckdb::ExpressionType;
using duckdb::TableFilterType;

namespace {

// Constants between which a column's values lie, and whether they are NULL.
struct ValueRange {
  std::optional<duckdb::Value> low, high;
  bool low_open = false, high_open = false;
  bool is_null = false, not_null = false;

  void raise_low(const duckdb::Value& value, bool open) {
    if (low && (*low > value || (*low == value && low_open))) return;
    low = value;
    low_open = open;
  }
  void lower_high(const duckdb::Value& value, bool open) {
    if (high && (*high < value || (*high == value && high_open))) return;
    high = value;
    high_open = open;
  }
  bool is_point() const { return low && high && !low_open && !high_open && *low == *high; }
};

void add_constant(ValueRange& range, ExpressionType comparison, const duckdb::Value& value) {
  if (value.IsNull()) return;
  switch (comparison) {
    case ExpressionType::COMPARE_EQUAL:
      range.raise_low(value, false);
      range.lower_high(value, false);
      break;
    case ExpressionType::COMPARE_GREATERTHAN:
      range.raise_low(value, true);
      break;
    case ExpressionType::COMPARE_GREATERTHANOREQUALTO:
      range.raise_low(value, false);
      break;
    case ExpressionType::COMPARE_LESSTHAN:
      range.lower_high(value, true);
      break;
    case ExpressionType::COMPARE_LESSTHANOREQUALTO:
      range.lower_high(value, false);
      break;
    default:
      break;
  }
}

// The column IS [NOT] NULL.
void narrow(ValueRange& range, const duckdb::Expression& condition) {
  if (condition.GetExpressionClass() != duckdb::ExpressionClass::BOUND_OPERATOR) return;
  const auto& children = condition.Cast<duckdb::BoundOperatorExpression>().children;
  if (children.size() != 1 || children[0]->GetExpressionClass() != duckdb::ExpressionClass::BOUND_REF) return;
  if (condition.type == ExpressionType::OPERATOR_IS_NULL) range.is_null = true;
  if (condition.type == ExpressionType::OPERATOR_IS_NOT_NULL) range.not_null = true;
}

void narrow(ValueRange& range, const duckdb::TableFilter& filter) {
  switch (filter.filter_type) {
    case TableFilterType::CONSTANT_COMPARISON: {
      const auto& constant = filter.Cast<duckdb::ConstantFilter>();
      return add_constant(range, constant.comparison_type, constant.constant);
    }
    case TableFilterType::CONJUNCTION_AND:
      for (const auto& child : filter.Cast<duckdb::ConjunctionAndFilter>().child_filters) narrow(range, *child);
      return;
    case TableFilterType::OPTIONAL_FILTER:
      // Optional only because the same condition is checked again above the scan.
      if (const auto& child = filter.Cast<duckdb::OptionalFilter>().child_filter) narrow(range, *child);
      return;
    case TableFilterType::IN_FILTER: {
      const auto& values = filter.Cast<duckdb::InFilter>().values;
      if (values.empty()) return;
      const auto [low, high] = std::minmax_element(values.begin(), values.end());
      range.raise_low(*low, false);
      range.lower_high(*high, false);
      return;
    }
    case TableFilterType::IS_NULL:
      range.is_null = true;
      return;
    case TableFilterType::IS_NOT_NULL:
      range.not_null = true;
      return;
    case TableFilterType::EXPRESSION_FILTER:
      narrow(range, *filter.Cast<duckdb::ExpressionFilter>().expr);
      return;
    default:
      return;
  }
}

// The least string above every string that starts with `prefix`; empty if there is none.
std::string after_prefix(std::string prefix) {
  while (!prefix.empty() && static_cast<unsigned char>(prefix.back()) == 0xFF) prefix.pop_back();
  if (!prefix.empty()) ++prefix.back();
  return prefix;
}

// The encoded key column; nullopt for a constant that is none of the type.
std::optional<std::string> encode(const std::optional<duckdb::Value>& value, const model::DataType& type) {
  if (!value || !model::can_be_key(type.tag)) return std::nullopt;
  const auto converted = to_model_value(*value, type);
  if (!converted) return std::nullopt;
  std::string bytes;
  model::append_key(bytes, model::view(*converted), type);
  return bytes;
}

KeyRange key_range(const model::TableDefinition& table, const FilterLookup& filter_of) {
  std::string prefix;
  for (const auto* column : table.primary_key()) {
    const auto* filter = filter_of(*column);
    if (!filter) break;
    ValueRange range;
    narrow(range, *filter);
    const auto low = encode(range.low, column->type);
    const auto high = encode(range.high, column->type);
    if (range.is_point() && low) {
      prefix += *low;
      continue;
    }
    KeyRange keys{prefix, after_prefix(prefix)};
    if (low) keys.begin = range.low_open ? after_prefix(prefix + *low) : prefix + *low;
    if (high) keys.end = range.high_open ? prefix + *high : after_prefix(prefix + *high);
    return keys;
  }
  return {prefix, after_prefix(prefix)};
}

std::optional<ColumnBounds> column_bounds(const model::ColumnDefinition& column, const duckdb::TableFilter& filter) {
  ValueRange range;
  narrow(range, filter);
  ColumnBounds bounds{
      .slot = column.slot(), .low_open = range.low_open, .high_open = range.high_open, .is_null = range.is_null};
  bounds.low = encode(range.low, column.type).value_or("");
  bounds.high = encode(range.high, column.type).value_or("");
  // A comparison is never true of NULL.
  bounds.not_null = range.not_null || range.low || range.high;
  if (!bounds.is_null && !bounds.not_null) return std::nullopt;
  return bounds;
}

bool may_match(const model::ColumnStats& stats, uint64_t row_count, const ColumnBounds& bounds) {
  if (bounds.is_null && stats.null_count == 0) return false;
  if (bounds.not_null && stats.null_count == row_count) return false;
  if (stats.max.empty()) return true;  // not known; no encoded value is empty
  if (!bounds.low.empty() && (stats.max < bounds.low || (bounds.low_open && stats.max == bounds.low))) return false;
  return bounds.high.empty() || stats.min < bounds.high || (!bounds.high_open && stats.min == bounds.high);
}

bool asks_for_true(const duckdb::TableFilter& filter) {
  const auto any = [](const auto& children) {
    return std::any_of(children.begin(), children.end(), [](const auto& child) { return asks_for_true(*child); });
  };
  switch (filter.filter_type) {
    case TableFilterType::CONSTANT_COMPARISON:
      return filter.Cast<duckdb::ConstantFilter>().Compare(duckdb::Value::BOOLEAN(true));
    case TableFilterType::IN_FILTER: {
      const auto& values = filter.Cast<duckdb::InFilter>().values;
      return std::find(values.begin(), values.end(), duckdb::Value::BOOLEAN(true)) != values.end();
    }
    case TableFilterType::OPTIONAL_FILTER: {
      const auto& child = filter.Cast<duckdb::OptionalFilter>().child_filter;
      return child && asks_for_true(*child);
    }
    case TableFilterType::CONJUNCTION_OR:
      return any(filter.Cast<duckdb::ConjunctionOrFilter>().child_filters);
    case TableFilterType::CONJUNCTION_AND:
      return any(filter.Cast<duckdb::ConjunctionAndFilter>().child_filters);
    case TableFilterType::EXPRESSION_FILTER:
      // `WHERE _deleted` arrives as the bare column.
      return filter.Cast<duckdb::ExpressionFilter>().expr->GetExpressionClass() == duckdb::ExpressionClass::BOUND_REF;
    default:
      return false;
  }
}

}  // namespace

ScanBounds scan_bounds(const model::TableDefinition& table, const FilterLookup& filter_of) {
  ScanBounds bounds{.keys = key_range(table, filter_of)};
  for (const auto& column : table.columns) {
    const auto* filter = filter_of(column);
    if (!filter) continue;
    if (column.name != model::kSeqColumn && column.name != model::kDeletedColumn) {
      if (auto known = column_bounds(column, *filter)) bounds.columns.push_back(*std::move(known));
      continue;
    }
    if (column.name == model::kDeletedColumn) {
      bounds.with_tombstones = asks_for_true(*filter);
      continue;
    }
    ValueRange range;
    narrow(range, *filter);
    if (range.low) bounds.min_seq = range.low->GetValue<int64_t>();
    if (range.high) bounds.max_seq = range.high->GetValue<int64_t>();
  }
  return bounds;
}

bool may_match(const Segment& segment, const ScanBounds& bounds) {
  if (segment.max_seq < bounds.min_seq || segment.min_seq > bounds.max_seq) return false;
  // An empty bound is one that the manifest does not know.
  if (!segment.max_key.empty() && segment.max_key < bounds.keys.begin) return false;
  if (!bounds.keys.end.empty() && segment.min_key >= bounds.keys.end) return false;
  if (segment.columns == nullptr) return true;
  return std::ranges::all_of(bounds.columns, [&](const ColumnBounds& column) {
    // One that was added or changed its type since has another slot: what it reads as is not known here.
    const auto stats = std::ranges::lower_bound(*segment.columns, column.slot, {}, &model::ColumnStats::slot);
    return stats == segment.columns->end() || stats->slot != column.slot ||
           may_match(*stats, segment.row_count, column);
  });
}

}  // namespace kalamdb::duck
