#include "live/aggregate_result.h"

#include <algorithm>
#include <cmath>

#include "model/decimal.h"
#include "model/row_codec.h"

namespace kalamdb::live {

using model::TypeTag;

namespace {

bool is_float(TypeTag tag) { return tag == TypeTag::kFloat || tag == TypeTag::kDouble; }

double to_double(const model::Value& value) {
  if (const auto* single = std::get_if<float>(&value)) return *single;
  return std::get<double>(value);
}

// The column of an item over arguments of a type. Errors: kInvalidSql.
Result<model::DataType> column_type(const duck::LiveItem& item, const model::DataType& argument) {
  using Kind = duck::LiveItem::Kind;
  switch (item.kind) {
    case Kind::kCount:
      return model::DataType{.tag = TypeTag::kBigInt};
    case Kind::kKey:
    case Kind::kMin:
    case Kind::kMax:
      return argument;
    case Kind::kSum:
    case Kind::kAvg:
      break;
  }
  const bool is_decimal = argument.tag == TypeTag::kDecimal;
  if (!is_decimal && !is_integer(argument.tag) && !is_float(argument.tag)) {
    return fail(ErrorCode::kInvalidSql, "Subscription query supports SUM and AVG of numbers only: '" + item.name + "'");
  }
  if (item.kind == Kind::kAvg || is_float(argument.tag)) return model::DataType{.tag = TypeTag::kDouble};
  if (!is_decimal) return model::DataType{.tag = TypeTag::kBigInt};
  return model::DataType{.tag = TypeTag::kDecimal, .precision = model::kMaxDecimalPrecision, .scale = argument.scale};
}

}  // namespace

Result<std::unique_ptr<LiveResult>> AggregateResult::make(const std::vector<duck::LiveItem>& items,
                                                          const model::TableDefinition& of, ResultSource source) {
  auto table = std::make_shared<model::TableDefinition>();
  table->id = of.id;
  table->namespace_id = of.namespace_id;
  table->name = of.name;
  std::vector<Item> own;
  uint32_t keys = 0;
  size_t order = items.size();
  for (size_t i = 0; i < items.size(); ++i) {
    const bool is_key = items[i].kind == Kind::kKey;
    Item item{.kind = items[i].kind, .argument = source.expressions->types()[i], .type = {}};
    KALAM_TRY(item.type, column_type(items[i], item.argument));
    if (item.kind == Kind::kMin || item.kind == Kind::kMax) item.order = order++;
    table->columns.push_back({.name = items[i].name,
                              .ordinal = static_cast<uint32_t>(i) + 1,
                              .type = item.type,
                              .nullable = item.kind != Kind::kCount,
                              .primary_key_position = is_key ? ++keys : 0});
    own.push_back(std::move(item));
  }
  table->columns.push_back({.name = std::string(model::kSeqColumn),
                            .ordinal = static_cast<uint32_t>(items.size()) + 1,
                            .type = {.tag = TypeTag::kBigInt},
                            .nullable = false});
  return std::unique_ptr<LiveResult>(new AggregateResult(std::move(table), std::move(own), std::move(source)));
}

AggregateResult::AggregateResult(model::TablePtr table, std::vector<Item> items, ResultSource source)
    : LiveResult(std::move(table), std::move(source)),
      items_(std::move(items)),
      has_keys_(std::ranges::any_of(items_, [](const Item& item) { return item.kind == Kind::kKey; })) {
  if (!has_keys_) groups_[""].items.resize(items_.size());
}

size_t AggregateResult::bytes_of(const std::string& key) const {
  return 3 * key.size() + 200 + items_.size() * (sizeof(Accumulator) + sizeof(model::Value) + 16);
}

Result<> AggregateResult::load_row(model::Row values) {
  count(std::move(values), 1);
  return {};
}

Result<> AggregateResult::loaded() {
  for (auto& [key, group] : groups_) {
    KALAM_TRY(group.shown, encode(group));
  }
  return {};
}

void AggregateResult::add(const storage::RowChange&, model::Row values) { count(std::move(values), 1); }
void AggregateResult::remove(const storage::RowChange&, model::Row values) { count(std::move(values), -1); }

std::string AggregateResult::key_of(model::Row& values) const {
  std::string key;
  for (size_t i = 0; i < items_.size(); ++i) {
    if (items_[i].kind != Kind::kKey) continue;
    // They are one group.
    if (auto* number = std::get_if<double>(&values[i]); number != nullptr && *number == 0) *number = 0;
    if (auto* number = std::get_if<float>(&values[i]); number != nullptr && *number == 0) *number = 0;
    model::append_wire(key, model::view(values[i]), items_[i].argument);
  }
  return key;
}

void AggregateResult::count(model::Row values, int64_t times) {
  const std::string key = key_of(values);
  auto [at, is_new] = groups_.try_emplace(key);
  Group& group = at->second;
  if (is_new) {
    group.items.resize(items_.size());
    for (size_t i = 0; i < items_.size(); ++i) {
      if (items_[i].kind == Kind::kKey) group.keys.push_back(values[i]);
    }
    bytes_ += bytes_of(key);
  }
  note(key, group.shown);
  group.rows += times;
  for (size_t i = 0; i < items_.size(); ++i) {
    if (items_[i].kind == Kind::kKey || model::is_null(values[i])) continue;
    accumulate(group.items[i], items_[i], values[i], times);
    if (items_[i].order == 0) continue;
    count_value(group.items[i], std::get<std::string>(values[items_[i].order]), std::move(values[i]), times);
  }
  if (group.rows > 0 || !has_keys_) return;
  bytes_ -= bytes_of(key);
  groups_.erase(at);
}

void AggregateResult::accumulate(Accumulator& accumulator, const Item& item, const model::Value& value, int64_t times) {
  accumulator.count += times;
  if (item.kind != Kind::kSum && item.kind != Kind::kAvg) return;
  if (is_float(item.argument.tag)) {
    times > 0 ? accumulator.float_sum.add(to_double(value)) : accumulator.float_sum.remove(to_double(value));
    is_broken_ = is_broken_ || !accumulator.float_sum.is_usable();
  } else if (const auto* decimal = std::get_if<model::Decimal>(&value)) {
    // 10^38 is less than a 1.7th of what it holds, and rows come one at a time: a sum that is too large is noticed.
    accumulator.sum += times * decimal->unscaled;
  } else {
    accumulator.sum += times * model::Int128(std::get<int64_t>(value));
  }
}

void AggregateResult::count_value(Accumulator& accumulator, const std::string& order, model::Value value,
                                  int64_t times) {
  const size_t bytes = 128 + 2 * order.size();
  const auto [at, is_new] = accumulator.values.try_emplace(order);
  if (is_new) {
    at->second.value = std::move(value);
    bytes_ += bytes;
  }
  at->second.times += times;
  if (at->second.times > 0) return;
  accumulator.values.erase(at);
  bytes_ -= bytes;
}

Result<model::Value> AggregateResult::value_of(const Accumulator& accumulator, const Item& item) const {
  if (item.kind == Kind::kCount) return model::Value(accumulator.count);
  if (accumulator.count == 0) return model::Value(model::Null());
  if (item.kind == Kind::kMin) return accumulator.values.begin()->second.value;
  if (item.kind == Kind::kMax) return accumulator.values.rbegin()->second.value;
  if (item.kind == Kind::kAvg) {
    const auto count = static_cast<double>(accumulator.count);
    if (is_float(item.argument.tag)) return model::Value(accumulator.float_sum.value() / count);
    const double scale = std::pow(10.0, item.argument.tag == TypeTag::kDecimal ? item.argument.scale : 0);
    return model::Value(static_cast<double>(accumulator.sum) / count / scale);
  }
  if (is_float(item.argument.tag)) return model::Value(accumulator.float_sum.value());
  if (item.type.tag == TypeTag::kDecimal) {
    const model::Decimal sum{accumulator.sum};
    if (model::fits_precision(sum, item.type.precision)) return model::Value(sum);
  } else if (accumulator.sum >= INT64_MIN && accumulator.sum <= INT64_MAX) {
    return model::Value(static_cast<int64_t>(accumulator.sum));
  }
  return fail(ErrorCode::kInvalidOperation,
              "A SUM of the result is too large for its type; cast its argument to DECIMAL(38, 0) or DOUBLE");
}

Result<RowPtr> AggregateResult::encode(const Group& group) const {
  model::Row row;
  auto key = group.keys.begin();
  for (size_t i = 0; i < items_.size(); ++i) {
    if (items_[i].kind == Kind::kKey) {
      row.push_back(*key++);
      continue;
    }
    KALAM_TRY(auto value, value_of(group.items[i], items_[i]));
    row.push_back(std::move(value));
  }
  row.emplace_back(model::Null());  // `_seq`
  return std::make_shared<const std::string>(model::encode_row(*table_, row));
}

Result<RowPtr> AggregateResult::current(const std::string& key) {
  const auto group = groups_.find(key);
  if (group == groups_.end()) return nullptr;
  KALAM_TRY(group->second.shown, encode(group->second));
  return group->second.shown;
}

std::vector<ResultRow> AggregateResult::rows() const {
  std::vector<ResultRow> rows;
  rows.reserve(groups_.size());
  for (const auto& [key, group] : groups_) rows.push_back({key, group.shown});
  std::ranges::sort(rows, {}, &ResultRow::key);
  return rows;
}

}  // namespace kalamdb::live
