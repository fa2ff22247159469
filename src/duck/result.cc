// Query results: DuckDB's chunks as batches of KalamDB cells.
#include <deque>

#include "duck/duck_error.h"
#include "duck/session.h"
#include "duck/types.h"
#include "duckdb/common/vector_operations/vector_operations.hpp"

namespace kalamdb::duck {

namespace {

using duckdb::idx_t;
using duckdb::LogicalTypeId;

bool is_wide_integer(const duckdb::LogicalType& type) {
  return type.id() == LogicalTypeId::HUGEINT || type.id() == LogicalTypeId::UHUGEINT ||
         type.id() == LogicalTypeId::UBIGINT;
}

class Batch : public ResultBatch {
 public:
  size_t row_count() const override { return rows_; }
  model::ValueView cell(size_t row, size_t column) const override { return views_[column].cell(row); }

  // Casts the columns of `chunk`, which stays with the batch, to what is delivered.
  void load(duckdb::ClientContext& context, duckdb::unique_ptr<duckdb::DataChunk> chunk,
            const std::vector<ResultType>& types) {
    views_.clear();
    casts_.clear();
    chunk_ = std::move(chunk);
    rows_ = chunk_->size();
    for (idx_t i = 0; i < chunk_->ColumnCount(); ++i) {
      auto* vector = &chunk_->data[i];
      const auto cast = [&](const duckdb::LogicalType& type) {
        if (vector->GetType() == type) return;
        casts_.push_back(std::make_unique<duckdb::Vector>(type, rows_));
        duckdb::VectorOperations::Cast(context, *vector, *casts_.back(), rows_);
        vector = casts_.back().get();
      };
      if (types[i].physical.IsJSONType()) cast(with_field_names(vector->GetType()));
      cast(types[i].physical);
      views_.emplace_back(*vector, rows_, types[i].type);
    }
  }

 private:
  duckdb::unique_ptr<duckdb::DataChunk> chunk_;
  std::vector<std::unique_ptr<duckdb::Vector>> casts_;
  std::vector<ColumnView> views_;
  size_t rows_ = 0;
};

class StreamedResult : public QueryResult {
 public:
  StreamedResult(std::unique_ptr<Session> session, duckdb::unique_ptr<duckdb::QueryResult> result)
      : session_(std::move(session)), result_(std::move(result)) {}
  ~StreamedResult() override { result_.reset(); }

  Result<> init() {
    bool has_wide_integers = false;
    const auto& sources = session_->state().result_sources;
    for (idx_t i = 0; i < result_->types.size(); ++i) {
      ResultColumn column{.name = result_->names[i]};
      types_.push_back(to_result_type(result_->types[i]));
      has_wide_integers |= is_wide_integer(result_->types[i]);
      if (sources.size() == result_->types.size() && sources[i] &&
          to_duck_type(sources[i]->type) == result_->types[i]) {
        column.source = sources[i];
        types_.back().type = sources[i]->type;
      }
      column.type = types_.back().type;
      columns_.push_back(std::move(column));
    }
    return has_wide_integers ? size_wide_integers() : Result<>{};
  }

  const std::vector<ResultColumn>& columns() const override { return columns_; }

  Result<const ResultBatch*> next() override {
    if (cancelled_.load(std::memory_order_relaxed))
      return fail(ErrorCode::kTimeout, "The query was stopped because it ran too long or was cancelled");
    duckdb::unique_ptr<duckdb::DataChunk> chunk;
    if (!read_ahead_.empty()) {
      chunk = std::move(read_ahead_.front());
      read_ahead_.pop_front();
    } else if (!finished_) {
      KALAM_TRY(chunk, session_->fetch(*result_));
    }
    if (!chunk) {
      finished_ = true;
      return nullptr;
    }
    return guarded([&]() -> Result<const ResultBatch*> {
      batch_.load(session_->context(), std::move(chunk), types_);
      return &batch_;
    });
  }

  void cancel() override {
    cancelled_.store(true, std::memory_order_relaxed);
    session_->interrupt();
  }

 private:
  // Sums and the like are BIGINT unless a value needs more, so the result is looked at first: a computed one of that
  // kind is rarely long. Where it is, a value behind what is looked at that does not fit ends it with an error.
  Result<> size_wide_integers() {
    constexpr size_t kMostBytes = 32 << 20;
    for (size_t bytes = 0; bytes < kMostBytes;) {
      KALAM_TRY(auto chunk, session_->fetch(*result_));
      if (!chunk) {
        finished_ = true;
        break;
      }
      bytes += chunk->GetAllocationSize();
      for (idx_t i = 0; i < chunk->ColumnCount(); ++i) {
        if (is_wide_integer(chunk->data[i].GetType())) widen(i, chunk->data[i], chunk->size());
      }
      read_ahead_.push_back(std::move(chunk));
    }
    return {};
  }

  // Column `i` as the first of BIGINT, DECIMAL(38, 0) and TEXT that holds these values and those before.
  void widen(idx_t i, duckdb::Vector& vector, idx_t count) {
    const model::DataType decimal{.tag = model::TypeTag::kDecimal, .precision = model::kMaxDecimalPrecision};
    for (const model::DataType& wider : {decimal, model::DataType{.tag = model::TypeTag::kText}}) {
      if (fits(types_[i].physical, vector, count)) break;
      if (types_[i].type == wider) continue;
      types_[i] = {wider, to_duck_type(wider)};
    }
    columns_[i].type = types_[i].type;
  }

  static bool fits(const duckdb::LogicalType& type, duckdb::Vector& vector, idx_t count) {
    duckdb::Vector narrow(type, count);
    std::string error;
    return duckdb::VectorOperations::DefaultTryCast(vector, narrow, count, &error, true);
  }

  std::unique_ptr<Session> session_;
  duckdb::unique_ptr<duckdb::QueryResult> result_;
  std::vector<ResultColumn> columns_;
  std::vector<ResultType> types_;
  std::deque<duckdb::unique_ptr<duckdb::DataChunk>> read_ahead_;
  Batch batch_;
  bool finished_ = false;
  std::atomic<bool> cancelled_ = false;
};

}  // namespace

Result<std::unique_ptr<QueryResult>> stream_result(std::unique_ptr<Session> session,
                                                   duckdb::unique_ptr<duckdb::QueryResult> result) {
  auto streamed = std::make_unique<StreamedResult>(std::move(session), std::move(result));
  KALAM_CHECK(streamed->init());
  return streamed;
}

}  // namespace kalamdb::duck
