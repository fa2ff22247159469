// KalamDB types and cells as DuckDB types and vectors, and back. For the other files of this folder only.
#pragma once

#include <duckdb.hpp>

#include "model/table.h"
#include "model/value.h"

namespace kalamdb::duck {

// The DuckDB type that holds every value of `type` without loss.
duckdb::LogicalType to_duck_type(const model::DataType& type);

// How a result column of a DuckDB type is delivered.
struct ResultType {
  model::DataType type;
  // The DuckDB type that cells are read from: the column is cast to it when it differs.
  duckdb::LogicalType physical;
};
ResultType to_result_type(const duckdb::LogicalType& type);
// The type with names for the fields of ROW(…), which have none: f1, f2, …, as PostgreSQL calls them in JSON.
duckdb::LogicalType with_field_names(const duckdb::LogicalType& type);

// A constant of `type`.
duckdb::Value to_duck_value(const model::ValueView& value, const model::DataType& type);
// A constant of whatever type fits the alternative, as a literal in SQL text would be.
duckdb::Value to_duck_literal(const model::Value& value);
// The value of a constant that has the DuckDB type of `type`; nullopt when it is NULL or of another type.
std::optional<model::Value> to_model_value(const duckdb::Value& value, const model::DataType& type);

// Stores a cell into a flat vector of to_duck_type(type).
void write_cell(duckdb::Vector& vector, duckdb::idx_t row, const model::ValueView& value, const model::DataType& type);

// Reads cells of one vector of to_result_type(…).physical. The vector must outlive what cell() returns.
class ColumnView {
 public:
  ColumnView(duckdb::Vector& vector, duckdb::idx_t count, const model::DataType& type);
  model::ValueView cell(duckdb::idx_t row) const;

 private:
  model::DataType type_;
  duckdb::UnifiedVectorFormat format_;
  const float* floats_ = nullptr;  // EMBEDDING: the elements of all rows
};

model::Uuid to_uuid(duckdb::hugeint_t value);
duckdb::hugeint_t from_uuid(const model::Uuid& uuid);

}  // namespace kalamdb::duck
