#include "live/result.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <numeric>
#include <random>

#include "live/float_sum.h"
#include "live/top_result.h"
#include "model/key_codec.h"
#include "model/row_codec.h"

namespace kalamdb::live {
namespace {

using duck::LiveItem;
using duck::LiveKind;
using model::DataType;
using model::TypeTag;

model::TablePtr make_table() {
  auto table = std::make_shared<model::TableDefinition>();
  table->namespace_id = "n";
  table->name = "t";
  const DataType integer{.tag = TypeTag::kBigInt};
  table->columns = {{.name = "id", .ordinal = 1, .type = integer, .primary_key_position = 1},
                    {.name = "x", .ordinal = 2, .type = integer},
                    {.name = "g", .ordinal = 3, .type = integer},
                    {.name = "_seq", .ordinal = 4, .type = integer}};
  return table;
}

const model::TablePtr kTable = make_table();

std::string sort_key(int64_t value) {
  std::string key;
  for (int shift = 56; shift >= 0; shift -= 8) {
    key.push_back(static_cast<char>((static_cast<uint64_t>(value) ^ (uint64_t{1} << 63)) >> shift));
  }
  return key;
}

int64_t column(const std::string& row, size_t i) {
  const auto view = model::RowView::open(row);
  return std::get<int64_t>(*view->get(kTable->columns[i]));
}

// What the engine would evaluate: over (x, g) what `values` makes of them; fails for x = -1.
class FakeExpressions : public duck::RowExpressions {
 public:
  using Values = std::function<model::Row(int64_t x, int64_t g)>;
  FakeExpressions(std::vector<DataType> types, Values values) : types_(std::move(types)), values_(std::move(values)) {}

  Result<> evaluate(std::span<const model::RowRecord> rows, std::vector<model::Row>& values) override {
    values.clear();
    for (const auto& row : rows) {
      const std::string bytes(row.row);
      if (column(bytes, 1) == -1) return fail(ErrorCode::kExecution, "-1 fails");
      values.push_back(values_(column(bytes, 1), column(bytes, 2)));
    }
    return {};
  }
  const std::vector<DataType>& types() const override { return types_; }

 private:
  std::vector<DataType> types_;
  Values values_;
};

// The rows of a table and of what is loaded from it.
class Rows : public duck::QueryResult, public duck::ResultBatch {
 public:
  explicit Rows(std::vector<model::Row> rows) : rows_(std::move(rows)) {
    if (!rows_.empty()) columns_.resize(rows_[0].size());
  }
  const std::vector<duck::ResultColumn>& columns() const override { return columns_; }
  Result<const duck::ResultBatch*> next() override {
    const bool first = std::exchange(is_first_, false);
    return first && !rows_.empty() ? this : nullptr;
  }
  void cancel() override {}
  size_t row_count() const override { return rows_.size(); }
  model::ValueView cell(size_t row, size_t column) const override { return model::view(rows_[row][column]); }

 private:
  std::vector<model::Row> rows_;
  std::vector<duck::ResultColumn> columns_;
  bool is_first_ = true;
};

// A table with its changes, each of which a result is told.
class ResultTest : public testing::Test {
 protected:
  struct Stored {
    int64_t x = 0;
    int64_t g = 0;
  };

  static std::string encode(int64_t id, const Stored& row) {
    return model::encode_row(*kTable, {id, row.x, row.g, model::Null()});
  }
  static std::string key(int64_t id) { return model::encode_key(*kTable, {id, int64_t{0}, int64_t{0}, model::Null()}); }

  void write(int64_t id, std::optional<Stored> now) {
    storage::RowChange change{.table = kTable, .user = {}, .key = key(id)};
    const auto before = table_.find(id);
    if (before == table_.end() && !now) return;
    change.kind = !now                     ? storage::ChangeKind::kDelete
                  : before == table_.end() ? storage::ChangeKind::kInsert
                                           : storage::ChangeKind::kUpdate;
    if (before != table_.end()) change.old_row = encode(id, before->second);
    if (now) change.row = encode(id, *now);
    const auto* pointer = &change;
    for (const Error& error : result_->apply(std::span(&pointer, 1))) errors_.push_back(error.message);
    if (now) {
      table_[id] = *now;
    } else {
      table_.erase(id);
    }
  }

  // What a client makes of the changes.
  void take() {
    auto changes = result_->take_changes();
    ASSERT_TRUE(changes) << changes.error().message;
    for (const ResultChange& change : *changes) {
      const auto known = client_.find(change.key);
      ASSERT_EQ(known == client_.end(), change.before == nullptr);
      if (change.before != nullptr) ASSERT_EQ(known->second, *change.before);
      ASSERT_TRUE(change.before == nullptr || change.now == nullptr || *change.before != *change.now);
      if (change.now == nullptr) {
        client_.erase(change.key);
      } else {
        client_[change.key] = *change.now;
      }
    }
    std::map<std::string, std::string> rows;
    for (const ResultRow& row : result_->rows()) rows[row.key] = *row.row;
    EXPECT_EQ(client_, rows);
  }

  std::map<int64_t, Stored> table_;
  std::unique_ptr<LiveResult> result_;
  std::map<std::string, std::string> client_;
  std::vector<std::string> errors_;
};

class TopResultTest : public ResultTest {
 protected:
  void load(uint64_t limit) {
    const auto values = [](int64_t x, int64_t) { return model::Row{sort_key(x)}; };
    const duck::LiveShape shape{.kind = LiveKind::kTop, .limit = limit};
    result_ = *LiveResult::make(
        shape, kTable,
        {nullptr, std::make_unique<FakeExpressions>(std::vector<DataType>{{.tag = TypeTag::kBytes}}, values)});
    std::vector<model::Row> rows;
    for (const auto& [id, row] : sorted()) {
      if (rows.size() == result_->load_limit()) break;
      rows.push_back({id, row.x, row.g, model::Null(), sort_key(row.x)});
    }
    Rows first(std::move(rows));
    ASSERT_TRUE(result_->load(first, 1 << 30));
    client_.clear();
    for (const ResultRow& row : result_->rows()) client_[row.key] = *row.row;
  }

  std::vector<std::pair<int64_t, Stored>> sorted() const {
    std::vector<std::pair<int64_t, Stored>> rows(table_.begin(), table_.end());
    std::ranges::stable_sort(rows, {}, [](const auto& row) { return row.second.x; });
    return rows;
  }

  void expect_first(size_t limit) {
    std::vector<std::string> expected;
    for (const auto& [id, row] : sorted()) {
      if (expected.size() < limit) expected.push_back(encode(id, row));
    }
    std::vector<std::string> rows;
    for (const ResultRow& row : result_->rows()) rows.push_back(*row.row);
    EXPECT_EQ(rows, expected);
  }
};

TEST_F(TopResultTest, FollowsRandomChanges) {
  std::mt19937 random(3);
  load(10);
  for (int step = 0; step < 20'000; ++step) {
    const int64_t id = static_cast<int64_t>(random() % 3000);
    // More come than go at first, then the other way round.
    const bool goes = random() % 10 < (step < 8000 ? 2 : 6);
    write(id, goes ? std::nullopt : std::optional(Stored{static_cast<int64_t>(random() % 500), 0}));
    if (step % 50 == 0) {
      take();
      expect_first(10);
    }
    if (result_->wants_reload()) {
      take();
      load(10);
    }
  }
  take();
  expect_first(10);
}

TEST_F(TopResultTest, IsBoundedAndAsksForMoreBeforeItRunsOut) {
  for (int64_t id = 0; id < 10'000; ++id) table_[id] = {id, 0};
  load(10);
  const size_t bytes = result_->bytes();
  EXPECT_FALSE(result_->wants_reload());
  for (int64_t id = 10'000; id < 20'000; ++id) write(id, Stored{-id, 0});
  take();
  EXPECT_LT(result_->bytes(), bytes * 2);
  expect_first(10);
  for (int64_t id = 19'999; !result_->wants_reload(); --id) write(id, std::nullopt);
  take();
  expect_first(10);
  EXPECT_GT(result_->rows().size(), 9u);
}

TEST_F(TopResultTest, OfRowsThatAreEqualTheKeyDecides) {
  load(2);
  for (const int64_t id : {3, 1, 2}) write(id, Stored{7, 0});
  take();
  EXPECT_EQ(column(*result_->rows()[0].row, 0), 1);
  EXPECT_EQ(column(*result_->rows()[1].row, 0), 2);
}

class AggregateResultTest : public ResultTest {
 protected:
  void load(bool grouped) {
    std::vector<LiveItem> items;
    if (grouped) items.push_back({LiveItem::Kind::kKey, "g"});
    for (const auto& [kind, name] : {std::pair(LiveItem::Kind::kCount, "n"), std::pair(LiveItem::Kind::kSum, "total"),
                                     std::pair(LiveItem::Kind::kMin, "low"), std::pair(LiveItem::Kind::kMax, "high")}) {
      items.push_back({kind, name});
    }
    std::vector<DataType> types(items.size(), DataType{.tag = TypeTag::kBigInt});
    types.resize(items.size() + 2, DataType{.tag = TypeTag::kBytes});
    const auto values = [grouped](int64_t x, int64_t g) {
      model::Row row;
      if (grouped) row.emplace_back(g);
      for (int i = 0; i < 4; ++i) row.emplace_back(x);
      for (int i = 0; i < 2; ++i) row.emplace_back(sort_key(x));
      return row;
    };
    const duck::LiveShape shape{.kind = LiveKind::kAggregate, .items = items};
    auto made = LiveResult::make(shape, kTable, {nullptr, std::make_unique<FakeExpressions>(types, values)});
    ASSERT_TRUE(made) << made.error().message;
    result_ = *std::move(made);
    Rows none({});
    ASSERT_TRUE(result_->load(none, 1 << 30));
    for (const ResultRow& row : result_->rows()) client_[row.key] = *row.row;
  }

  int64_t shown(const std::string& row, size_t i) const {
    return std::get<int64_t>(*model::RowView::open(row)->get(result_->table()->columns[i]));
  }
};

TEST_F(AggregateResultTest, FollowsRandomChanges) {
  std::mt19937 random(5);
  load(true);
  for (int step = 0; step < 5000; ++step) {
    const int64_t id = static_cast<int64_t>(random() % 100);
    const Stored row{static_cast<int64_t>(random() % 50), static_cast<int64_t>(random() % 8)};
    write(id, random() % 3 == 0 ? std::nullopt : std::optional(row));
    if (step % 20 != 0) continue;
    take();
    std::map<int64_t, std::vector<int64_t>> groups;
    for (const auto& [key, stored] : table_) groups[stored.g].push_back(stored.x);
    ASSERT_EQ(result_->rows().size(), groups.size());
    for (const ResultRow& row : result_->rows()) {
      const auto& values = groups.at(shown(*row.row, 0));
      EXPECT_EQ(shown(*row.row, 1), static_cast<int64_t>(values.size()));
      EXPECT_EQ(shown(*row.row, 2), std::accumulate(values.begin(), values.end(), int64_t{0}));
      EXPECT_EQ(shown(*row.row, 3), *std::ranges::min_element(values));
      EXPECT_EQ(shown(*row.row, 4), *std::ranges::max_element(values));
    }
  }
  for (int64_t id = 0; id < 100; ++id) write(id, std::nullopt);
  take();
  EXPECT_TRUE(client_.empty());
  EXPECT_EQ(result_->bytes(), 0u) << "nothing is kept of groups that are gone";
}

TEST_F(AggregateResultTest, WithoutKeysThereIsOneRowAtAllTimes) {
  load(false);
  ASSERT_EQ(client_.size(), 1u);
  write(1, Stored{5, 0});
  take();
  EXPECT_EQ(shown(client_.begin()->second, 1), 5);
  write(1, std::nullopt);
  take();
  ASSERT_EQ(client_.size(), 1u);
  EXPECT_EQ(shown(client_.begin()->second, 0), 0);
}

TEST_F(AggregateResultTest, ARowThatFailsCountsAsNotTaken) {
  load(true);
  write(1, Stored{-1, 1});
  write(2, Stored{3, 1});
  EXPECT_EQ(errors_, std::vector<std::string>{"-1 fails"});
  write(1, Stored{4, 1});
  write(2, std::nullopt);
  take();
  ASSERT_EQ(client_.size(), 1u);
  EXPECT_EQ(shown(client_.begin()->second, 2), 4);
  EXPECT_EQ(errors_.size(), 1u) << "nobody is told twice";
}

TEST_F(AggregateResultTest, ASumThatDoesNotFitIsAnError) {
  load(true);
  write(1, Stored{INT64_MAX, 1});
  take();
  write(2, Stored{1, 1});
  const auto changes = result_->take_changes();
  ASSERT_FALSE(changes);
  EXPECT_EQ(changes.error().code, ErrorCode::kInvalidOperation);
}

TEST(FloatSum, WhatIsTakenOutLeavesWhatWasThere) {
  FloatSum sum;
  sum.add(1e300);
  sum.add(1);
  sum.add(std::numeric_limits<double>::quiet_NaN());
  EXPECT_TRUE(std::isnan(sum.value()));
  sum.remove(std::numeric_limits<double>::quiet_NaN());
  sum.remove(1e300);
  EXPECT_EQ(sum.value(), 1);
  sum.add(std::numeric_limits<double>::infinity());
  EXPECT_EQ(sum.value(), std::numeric_limits<double>::infinity());
  sum.add(-std::numeric_limits<double>::infinity());
  EXPECT_TRUE(std::isnan(sum.value()));
}

TEST(FloatSum, IsOfNoUsePastWhatADoubleHolds) {
  FloatSum sum;
  sum.add(1.7e308);
  EXPECT_TRUE(sum.is_usable());
  sum.add(1.7e308);
  EXPECT_FALSE(sum.is_usable());
}

}  // namespace
}  // namespace kalamdb::live
