// Values on their way into a table: operands resolved, defaults filled in, types and NOT NULL checked.
#pragma once

#include "duck/statement.h"
#include "query/command.h"

namespace kalamdb::query {

// One statement's view of NOW() and the generators. Not thread-safe.
class RowValues {
 public:
  // Both must outlive it. `now_us` is what NOW() gives.
  RowValues(const Services& services, const StatementContext& context, int64_t now_us)
      : services_(services), context_(context), now_us_(now_us) {}

  // The operand as `column` stores it. `row_number` counts from 1, for messages; 0 leaves it out.
  // Errors: kInvalidOperation when the value does not fit; kParamCountMismatch.
  Result<model::Value> of(const duck::Operand& operand, const model::ColumnDefinition& column, size_t row_number);
  // `value` as `column` stores it. Errors: kInvalidOperation.
  Result<model::Value> coerced(const model::ValueView& value, const model::ColumnDefinition& column,
                               size_t row_number) const;
  // A cell that the engine has computed as a `type`, as `column` stores it. Errors: kInvalidOperation.
  Result<model::Value> computed(const model::ValueView& cell, const model::DataType& type,
                                const model::ColumnDefinition& column, size_t row_number) const;
  // What the column gets when an INSERT leaves it out.
  Result<model::Value> default_of(const model::ColumnDefinition& column);
  // Errors: kConstraintViolation when a NOT NULL column holds NULL.
  static Result<> check_not_null(const model::ColumnDefinition& column, const model::Value& value, size_t row_number);

 private:
  Result<model::Value> function(const std::string& name, const model::ColumnDefinition& column);

  const Services& services_;
  const StatementContext& context_;
  int64_t now_us_;
};

}  // namespace kalamdb::query
