// A QueryResult over rows in memory.
#include "query/command.h"

namespace kalamdb::query {

namespace {

class RowsResult : public duck::QueryResult, duck::ResultBatch {
 public:
  RowsResult(std::vector<duck::ResultColumn> columns, std::vector<model::Row> rows, model::TablePtr table)
      : table_(std::move(table)), columns_(std::move(columns)), rows_(std::move(rows)) {}

  const std::vector<duck::ResultColumn>& columns() const override { return columns_; }
  Result<const duck::ResultBatch*> next() override {
    if (given_ || rows_.empty()) return static_cast<const duck::ResultBatch*>(nullptr);
    given_ = true;
    return static_cast<const duck::ResultBatch*>(this);
  }
  void cancel() override {}
  size_t row_count() const override { return rows_.size(); }
  model::ValueView cell(size_t row, size_t column) const override { return model::view(rows_[row][column]); }

 private:
  model::TablePtr table_;
  std::vector<duck::ResultColumn> columns_;
  std::vector<model::Row> rows_;
  bool given_ = false;
};

}  // namespace

std::unique_ptr<duck::QueryResult> make_result(std::vector<duck::ResultColumn> columns, std::vector<model::Row> rows,
                                               model::TablePtr table) {
  return std::make_unique<RowsResult>(std::move(columns), std::move(rows), std::move(table));
}

}  // namespace kalamdb::query
