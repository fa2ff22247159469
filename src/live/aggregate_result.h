// SELECT keys, COUNT, SUM, AVG, MIN, MAX … [GROUP BY keys] as a LiveResult.
#pragma once

#include <map>
#include <string>
#include <unordered_map>

#include "live/float_sum.h"
#include "live/result.h"

namespace kalamdb::live {

// Without GROUP BY there is one row at all times. SUM and AVG of FLOAT and DOUBLE may differ from those of a SELECT in
// their last digits, as two SELECTs may.
class AggregateResult final : public LiveResult {
 public:
  static Result<std::unique_ptr<LiveResult>> make(const std::vector<duck::LiveItem>& items,
                                                  const model::TableDefinition& of, ResultSource source);

  bool wants_reload() const override { return is_broken_; }
  std::vector<ResultRow> rows() const override;

 protected:
  Result<> load_row(model::Row values) override;
  Result<> loaded() override;
  Result<RowPtr> current(const std::string& key) override;
  void add(const storage::RowChange& change, model::Row values) override;
  void remove(const storage::RowChange& change, model::Row values) override;

 private:
  using Kind = duck::LiveItem::Kind;
  struct Item {
    Kind kind;
    model::DataType argument;
    model::DataType type;  // of the column
    size_t order = 0;      // kMin, kMax: where the bytes are among the values by which its arguments compare
  };
  // What is known of one item in one group.
  struct Accumulator {
    int64_t count = 0;      // of arguments that are not NULL
    model::Int128 sum = 0;  // of integers and decimals
    FloatSum float_sum;
    struct Occurring {
      model::Value value;
      int64_t times = 0;
    };
    std::map<std::string, Occurring> values;  // kMin, kMax
  };
  struct Group {
    int64_t rows = 0;
    model::Row keys;
    std::vector<Accumulator> items;
    RowPtr shown;  // as of the last take_changes()
  };

  AggregateResult(model::TablePtr table, std::vector<Item> items, ResultSource source);

  std::string key_of(model::Row& values) const;
  void count(model::Row values, int64_t times);
  void accumulate(Accumulator& accumulator, const Item& item, const model::Value& value, int64_t times);
  void count_value(Accumulator& accumulator, const std::string& order, model::Value value, int64_t times);
  Result<RowPtr> encode(const Group& group) const;
  Result<model::Value> value_of(const Accumulator& accumulator, const Item& item) const;
  size_t bytes_of(const std::string& key) const;

  const std::vector<Item> items_;
  const bool has_keys_;
  bool is_broken_ = false;  // a sum of floating-point numbers has overflowed
  std::unordered_map<std::string, Group> groups_;
};

}  // namespace kalamdb::live
