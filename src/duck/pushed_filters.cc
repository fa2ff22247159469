#include "duck/pushed_filters.h"

#include "duck/types.h"
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

// Constants between which a column's values lie.
struct ValueRange {
  std::optional<duckdb::Value> low, high;
  bool low_open = false, high_open = false;

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

// The encoded key column, or nullopt where bytes do not decide as values do (0.0 = -0.0, NaN = NaN).
std::optional<std::string> encode(const std::optional<duckdb::Value>& value, const model::DataType& type) {
  if (!value || type.tag == model::TypeTag::kFloat || type.tag == model::TypeTag::kDouble) return std::nullopt;
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
    if (column.name != model::kSeqColumn && column.name != model::kDeletedColumn) continue;
    const auto* filter = filter_of(column);
    if (!filter) continue;
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
  return bounds.keys.end.empty() || segment.min_key < bounds.keys.end;
}

}  // namespace kalamdb::duck
