#include "live/result.h"

#include <algorithm>

#include "live/aggregate_result.h"
#include "live/top_result.h"

namespace kalamdb::live {

Result<std::unique_ptr<LiveResult>> LiveResult::make(const duck::LiveShape& shape, const model::TablePtr& table,
                                                     ResultSource source) {
  if (shape.kind == duck::LiveKind::kTop) return std::make_unique<TopResult>(shape.limit, table, std::move(source));
  return AggregateResult::make(shape.items, *table, std::move(source));
}

Result<> LiveResult::load(duck::QueryResult& rows, size_t max_bytes) {
  while (true) {
    KALAM_TRY(const duck::ResultBatch* const batch, rows.next());
    if (batch == nullptr) {
      KALAM_CHECK(loaded());
      noted_.clear();
      return {};
    }
    for (size_t r = 0; r < batch->row_count(); ++r) {
      model::Row values;
      values.reserve(rows.columns().size());
      for (size_t i = 0; i < rows.columns().size(); ++i) values.push_back(model::to_value(batch->cell(r, i)));
      KALAM_CHECK(load_row(std::move(values)));
    }
    if (bytes_ > max_bytes) {
      return fail(ErrorCode::kResultTooLarge, "The result needs more than the " + std::to_string(max_bytes) +
                                                  " bytes of live.max_result_bytes; narrow it by a WHERE");
    }
  }
}

std::vector<Error> LiveResult::apply(std::span<const storage::RowChange* const> changes) {
  using storage::ChangeKind;
  std::vector<model::RowRecord> before;
  std::vector<model::RowRecord> now;
  for (const auto* change : changes) {
    if (change->kind != ChangeKind::kInsert) before.push_back({.seq = change->old_seq, .row = change->old_row});
    if (change->kind != ChangeKind::kDelete) now.push_back({.seq = change->seq, .row = change->row});
  }
  std::vector<Error> errors;
  Evaluated old_values = removes_by_key() ? Evaluated(before.size(), model::Row()) : evaluate(before, nullptr);
  Evaluated new_values = evaluate(now, &errors);
  auto next_old = old_values.begin();
  auto next_new = new_values.begin();
  for (const auto* change : changes) {
    if (change->kind != ChangeKind::kInsert) {
      if (auto& values = *next_old++) remove(*change, *std::move(values));
    }
    if (change->kind != ChangeKind::kDelete) {
      if (auto& values = *next_new++) add(*change, *std::move(values));
    }
  }
  return errors;
}

Result<std::vector<ResultChange>> LiveResult::take_changes() {
  std::vector<ResultChange> changes;
  for (auto& [key, before] : noted_) {
    KALAM_TRY(RowPtr now, current(key));
    if (before == now || (before != nullptr && now != nullptr && *before == *now)) continue;
    changes.push_back({key, before, std::move(now)});
  }
  noted_.clear();
  std::ranges::stable_partition(changes, [](const ResultChange& change) { return change.now == nullptr; });
  return changes;
}

LiveResult::Evaluated LiveResult::evaluate(std::span<const model::RowRecord> rows, std::vector<Error>* errors) {
  auto all = try_evaluate(rows);
  if (all) return *std::move(all);
  // One by one, to find out which it is.
  Evaluated evaluated;
  for (const auto& row : rows) {
    auto one = try_evaluate(std::span(&row, 1));
    if (!one && errors != nullptr) errors->push_back(one.error());
    evaluated.push_back(one ? std::move(one->front()) : std::nullopt);
  }
  return evaluated;
}

Result<LiveResult::Evaluated> LiveResult::try_evaluate(std::span<const model::RowRecord> rows) {
  std::vector<char> matches(rows.size(), 1);
  if (source_.predicate != nullptr) KALAM_CHECK(source_.predicate->evaluate(rows, matches));
  std::vector<model::RowRecord> taken;
  for (size_t i = 0; i < rows.size(); ++i) {
    if (matches[i] != 0) taken.push_back(rows[i]);
  }
  std::vector<model::Row> values;
  if (!taken.empty()) KALAM_CHECK(source_.expressions->evaluate(taken, values));
  Evaluated evaluated(rows.size());
  auto next = values.begin();
  for (size_t i = 0; i < rows.size(); ++i) {
    if (matches[i] != 0) evaluated[i] = std::move(*next++);
  }
  return evaluated;
}

}  // namespace kalamdb::live
